package authkeys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func keysFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authorized_keys")
	must(t, os.WriteFile(path, []byte(content), 0o640))
	return path
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return string(content)
}

func TestAdd(t *testing.T) {
	for _, before := range []string{
		"", "# only a comment", "\xff\x00 junk \r\n\n\n", "sesame " + keyB + "x\r\n" + header + keyB,
	} {
		path := keysFile(t, before)
		g, err := Add(path, header+keyA+" new")
		must(t, err)
		want := before
		if want != "" && !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		line := strings.Count(want, "\n") + 1
		want += header + keyA + " new\n"
		if got := contentOf(t, path); got != want {
			t.Errorf("%q becomes %q", before, got)
		}
		if g.Line != line || g.Comment != "new" {
			t.Errorf("%q: %+v", before, g)
		}
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v", info.Mode())
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("litter: %v", left)
		}
	}
}

func TestAddMakesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if _, err := Add(path, "sesame "+keyA); err == nil {
		t.Error("a bad line was added")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a bad line made the file")
	}
	if _, err := Add(path, header+keyA); err != nil {
		t.Error(err)
	}
	if _, _, err := Load(path); err != nil {
		t.Error(err)
	}
}

func TestAddRefuses(t *testing.T) {
	content := "# first\nsesame " + keyA + "\n"
	for _, test := range []struct{ line, why string }{
		{header + keyA, ":2: has this key already"},
		{"sesame " + keyB, "unknown option"},
		{header, "there is no key"},
		{header + keyB + "\n" + header + keyA, "line end"},
		{"", "blank"},
		{"# " + header + keyB, "a comment"},
	} {
		path := keysFile(t, content)
		if _, err := Add(path, test.line); err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%q: %v", test.line, err)
		}
		if got := contentOf(t, path); got != content {
			t.Errorf("%q: the file became %q", test.line, got)
		}
	}
	path := keysFile(t, content)
	must(t, os.Chmod(path, 0o666))
	if _, err := Add(path, header+keyB); err == nil {
		t.Error("added to a file that anybody may write")
	}
}

func TestRemove(t *testing.T) {
	fingerprint := ssh.FingerprintSHA256(mustKey(t, keyA))
	content := "# a\r\n" + header + keyA + " one\nsesame " + keyA + " two\n" + header + keyB + "\n# z " + keyA
	want := "# a\r\n" + header + keyB + "\n# z " + keyA
	for _, name := range []string{fingerprint, strings.TrimPrefix(fingerprint, "SHA256:")} {
		path := keysFile(t, content)
		must(t, Remove(path, name))
		if got := contentOf(t, path); got != want {
			t.Errorf("left %q", got)
		}
		if err := Remove(path, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("removed twice: %v", err)
		}
		if got := contentOf(t, path); got != want {
			t.Errorf("left %q", got)
		}
	}
	if err := Remove(filepath.Join(t.TempDir(), "none"), fingerprint); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

// TestEditsOfManyProcesses adds and removes keys from several processes at
// once: nothing may be lost.
func TestEditsOfManyProcesses(t *testing.T) {
	const each = 15
	if path := os.Getenv("AUTHKEYS_TEST_EDIT"); path != "" {
		from, err := strconv.Atoi(os.Getenv("AUTHKEYS_TEST_FROM"))
		must(t, err)
		for i := range each {
			key := numberedKey(from + i)
			_, err := Add(path, header+key)
			must(t, err)
			if i%3 == 0 {
				must(t, Remove(path, ssh.FingerprintSHA256(mustKey(t, key))))
			}
		}
		return
	}
	path := keysFile(t, "# first\n")
	var others []*exec.Cmd
	for p := range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEditsOfManyProcesses$")
		cmd.Env = append(os.Environ(), "AUTHKEYS_TEST_EDIT="+path, "AUTHKEYS_TEST_FROM="+strconv.Itoa(p*1000))
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		must(t, cmd.Start())
		others = append(others, cmd)
	}
	for _, cmd := range others {
		must(t, cmd.Wait())
	}
	set, faults, err := Load(path)
	must(t, err)
	if len(faults) > 0 {
		t.Error(faults)
	}
	if want := 4 * (each - each/3); len(set.Grants()) != want {
		t.Errorf("%d keys, want %d", len(set.Grants()), want)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("litter: %v", left)
	}
}
