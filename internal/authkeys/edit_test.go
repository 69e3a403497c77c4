package authkeys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

func add(path, line string) (Grant, error) {
	added, err := Add(path, NewLine{Text: line, At: "here"})
	if err != nil {
		return Grant{}, err
	}
	return added[0], nil
}

func TestAdd(t *testing.T) {
	for _, before := range []string{
		"", "# only a comment", "\xff\x00 junk \r\n\n\n", "sesame " + keyB + "x\r\n" + header + keyB,
	} {
		path := keysFile(t, before)
		g, err := add(path, header+keyA+" new")
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
	if _, err := add(path, "sesame "+keyA); err == nil {
		t.Error("a bad line was added")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a bad line made the file")
	}
	if _, err := add(path, header+keyA); err != nil {
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
		if _, err := add(path, test.line); err == nil || !strings.Contains(err.Error(), test.why) {
			t.Errorf("%q: %v", test.line, err)
		}
		if got := contentOf(t, path); got != content {
			t.Errorf("%q: the file became %q", test.line, got)
		}
	}
	path := keysFile(t, content)
	must(t, os.Chmod(path, 0o666))
	if _, err := add(path, header+keyB); err == nil {
		t.Error("added to a file that anybody may write")
	}
}

func TestRemove(t *testing.T) {
	fingerprint := ssh.FingerprintSHA256(mustKey(t, keyA))
	content := "# a\r\n" + header + keyA + " one\nsesame " + keyA + " two\n" + header + keyB + "\n# z " + keyA
	want := "# a\r\n" + header + keyB + "\n# z " + keyA
	for _, name := range []string{fingerprint, strings.TrimPrefix(fingerprint, "SHA256:")} {
		path := keysFile(t, content)
		_, err := Remove(path, name)
		must(t, err)
		if got := contentOf(t, path); got != want {
			t.Errorf("left %q", got)
		}
		if _, err := Remove(path, name); !errors.Is(err, ErrUnknown) {
			t.Errorf("removed twice: %v", err)
		}
		if got := contentOf(t, path); got != want {
			t.Errorf("left %q", got)
		}
	}
	if _, err := Remove(filepath.Join(t.TempDir(), "none"), fingerprint); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

// TestAddMany adds all lines or none, and says of each why not.
func TestAddMany(t *testing.T) {
	content := "# first\nsesame " + keyA + "\n"
	path := keysFile(t, content)
	new := func(at, text string) NewLine { return NewLine{Text: text, At: at} }
	_, err := Add(path, new("one", header+numberedKey(1)), new("two", header+keyA), new("three", header+numberedKey(1)))
	want := "two: " + path + ":2: has this key already, " + ssh.FingerprintSHA256(mustKey(t, keyA)) +
		"\nthree: one has the same key, " + ssh.FingerprintSHA256(mustKey(t, numberedKey(1)))
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if got := contentOf(t, path); got != content {
		t.Errorf("the file became %q", got)
	}
	var many []NewLine
	for i := range 1000 {
		many = append(many, new(strconv.Itoa(i), header+numberedKey(i)))
	}
	added, err := Add(path, many...)
	must(t, err)
	if len(added) != 1000 || added[999].Line != 1002 {
		t.Errorf("%d added, the last in line %d", len(added), added[len(added)-1].Line)
	}
	if _, err := Add(path, many...); err == nil || !strings.HasSuffix(err.Error(), "\nand 980 more lines") {
		t.Errorf("added twice: %v", err)
	}
}

// TestWhich names keys by all that names one, and by what names several.
func TestWhich(t *testing.T) {
	lines := []string{
		header + keyA + " router", // has home.example.com
		`command="dnsgate allow *.home.example.com .lab.example.com" ` + keyB + " lab",
		header + numberedKey(1) + " other", // has home.example.com too
		`command="dnsgate allow nas.example.com" ` + numberedKey(2) + " other",
		"sesame " + numberedKey(2) + " refused",
	}
	const ambiguous = -1
	for which, want := range map[string][]int{
		"router": {1}, "lab": {2}, "other": {ambiguous}, "home.example.com": {ambiguous}, "NAS.example.com.": {4, 5}, "refused": {4, 5},
		"*.home.example.com": {2}, ".lab.example.com": {2}, "lab.example.com": nil, "x.lab.example.com": nil, "": nil, "SHA256:": nil, "none": nil,
		ssh.FingerprintSHA256(mustKey(t, numberedKey(2))): {4, 5},
	} {
		path := keysFile(t, strings.Join(lines, "\n")+"\n")
		removed, err := Remove(path, which)
		switch {
		case want == nil:
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%q: %v, %v", which, removed, err)
			}
			continue
		case want[0] == ambiguous:
			if err == nil || errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "name one by its fingerprint") {
				t.Errorf("%q: %v, %v", which, removed, err)
			}
			continue
		}
		must(t, err)
		var got []int
		for _, g := range removed {
			got = append(got, g.Line)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q removes lines %v, want %v", which, got, want)
		}
	}
}

func TestReplace(t *testing.T) {
	const options = `FROM="192.0.2.0/24",,command="dnsgate  allow	home.example.com"`
	path := keysFile(t, "# a\r\n"+options+"\t"+keyA+"  the router\r\n# z")
	before, after, err := Replace(path, "the router", mustKey(t, keyB), "")
	must(t, err)
	if before.Fingerprint != ssh.FingerprintSHA256(mustKey(t, keyA)) || after.Fingerprint != ssh.FingerprintSHA256(mustKey(t, keyB)) || after.Line != 2 {
		t.Errorf("%+v %+v", before, after)
	}
	if got, want := contentOf(t, path), "# a\r\n"+options+" "+keyB+" the router\n# z"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	_, after, err = Replace(path, "the router", mustKey(t, keyA), "the new one")
	if must(t, err); after.Comment != "the new one" {
		t.Errorf("%+v", after)
	}
	for why, content := range map[string]string{
		":2: has the new key already":          header + keyA + " one\n" + header + keyB,
		":2: has the same key as line 1":       header + keyA + " one\nsesame " + keyA,
		":1: with the new key: no-touch-":      `no-touch-required,` + header + skEd25519() + " one",
		":1: with the new key: unknown option": "sesame " + keyA + " one",
		"no line with the key":                 header + keyA + " two",
		"name one by its fingerprint":          header + keyA + " one\n" + header + numberedKey(1) + " one",
	} {
		path := keysFile(t, content)
		if _, _, err := Replace(path, "one", mustKey(t, keyB), ""); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%v; want %s", err, why)
		}
		if got := contentOf(t, path); got != content {
			t.Errorf("%s: the file became %q", why, got)
		}
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
			_, err := add(path, header+key)
			must(t, err)
			if i%3 == 0 {
				_, err := Remove(path, ssh.FingerprintSHA256(mustKey(t, key)))
				must(t, err)
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
