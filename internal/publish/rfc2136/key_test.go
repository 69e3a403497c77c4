package rfc2136

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dnsgate/test/rig"
)

const (
	testSecret = "c2l4dGVlbiBieXRlcyBhbmQgbW9yZQ=="
)

func TestRFC2136KeyFile(t *testing.T) {
	const name, algorithm = "gateway", "hmac-sha256"
	statement := keyStatementText(name, algorithm, testSecret)
	for _, test := range []struct {
		what, text string
		set        string // tsig_name
		want       string // "": the key; else the error after "FILE:"
	}{
		{"bare", testSecret, name, ""},
		{"bare, with a newline", testSecret + "\n", name, ""},
		{"bare, wrapped", testSecret[:10] + "\n" + testSecret[10:] + "\r\n", name, ""},
		{"bare, slashes first", "//" + testSecret[2:], name, ""},
		{"bare, no name", testSecret, "", "1: a secret without a key name"},
		{"bare, no base64", testSecret + "!", name, "1: the secret is not base64"},
		{"bare, too short", "c2hvcnQ=", name, "1: the secret has 5 bytes"},
		{"empty", "", name, "1: there is no secret"},
		{"blank", " \n\n", name, "1: there is no secret"},
		{"statement", statement, "", ""},
		{"statement and name", statement, "Gateway.", ""},
		{"on one line", `key gateway. {secret "` + testSecret + `";algorithm HMAC-SHA256;};`, "", ""},
		{"no final ;", strings.TrimSuffix(statement, ";\n"), "", ""},
		{"comments", "# one\n// two {\n/* three\n} */" + statement + "// end", "", ""},
		{"unquoted", strings.ReplaceAll(statement, `"`, ""), "", ""},
		{"another name", statement, "other", "1: the key statement has another name than tsig_name, other"},
		{"MD5", strings.Replace(statement, algorithm, "hmac-md5", 1), "", "2: algorithm: not one of hmac-sha256"},
		{"SHA-1", strings.Replace(statement, algorithm, "hmac-sha1", 1), "", "2: algorithm: not one of"},
		{"short", strings.Replace(statement, testSecret, "c2hvcnQ=", 1), "", "3: the secret has 5 bytes"},
		{"bad base64", strings.Replace(statement, testSecret, testSecret+"x", 1), "", "3: the secret is not base64"},
		{"empty secret", strings.Replace(statement, testSecret, "", 1), "", "3: there is no secret"},
		{"no secret", "key gateway {\n algorithm hmac-sha256;\n};", "", "3: the key statement has no secret"},
		{"no algorithm", "key gateway {\n secret " + testSecret + ";\n};", "", "3: the key statement has no algorithm"},
		{"secret twice", strings.Replace(statement, "};", "\tsecret "+testSecret+";\n};", 1), "", "4: in a key statement stand"},
		{"another clause", "key gateway {\n\n foo bar;\n};", "", "3: in a key statement stand"},
		{"two keys", statement + statement, "", "5: more than one key statement"},
		{"another statement", "options {\n};", "", "1: neither one secret"},
		{"no name", "key {\n};", "", "1: no key name after key"},
		{"bad name", "key a..b {\n};", "", "1: no key name after key"},
		{"no brace", "key gateway secret {\n};", "", "1: no { after the key's name"},
		{"quoted brace", `key gateway "{" secret` + "\n{}", "", "1: no { after the key's name"},
		{"missing ;", "key gateway {\n algorithm hmac-sha256\n secret " + testSecret + ";\n};", "", "2: a ; is missing"},
		{"cut short", "key gateway {\n algorithm hmac-sha256;\n", "", "2: in a key statement stand"},
		{"open quote", "key gateway {\n secret \"abc\n};", "", "2: a quoted word does not end"},
		{"open comment", "key gateway {\n /* secret \n};", "", "2: in a key statement stand"},
	} {
		t.Run(test.what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tsig.key")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := newKeyFile(path, test.set, "")
			if err != nil {
				t.Fatal(err)
			}
			key, err := file.read()
			if test.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), path+":"+test.want) {
					t.Fatalf("got %v, want %s:%s", err, path, test.want)
				}
				if strings.Contains(err.Error(), testSecret[:8]) {
					t.Errorf("the secret is in %q", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if key.name != name || key.algorithm != algorithm || len(key.secret) < minSecret {
				t.Errorf("got %v with %d bytes", key, len(key.secret))
			}
			if s := fmt.Sprintf("%v %+v %#v %s", key, key, key, key); strings.Contains(s, string(key.secret)) || strings.Contains(s, "0x") {
				t.Errorf("the secret is printed: %s", s)
			}
		})
	}
}

func TestReadTSIG(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tsig.key")
	if err := os.WriteFile(path, []byte(keyStatementText("Gateway.", "hmac-sha512", testSecret)), 0o600); err != nil {
		t.Fatal(err)
	}
	name, algorithm, secret, err := ReadTSIG(path, "", "")
	if err != nil || name != "gateway" || algorithm != "hmac-sha512" || secret != testSecret {
		t.Errorf("got %s %s, %v", name, algorithm, err)
	}
	for _, set := range [][2]string{{"other", ""}, {"", "hmac-md5"}, {"a..b", ""}} {
		if _, _, secret, err := ReadTSIG(path, set[0], set[1]); err == nil || secret != "" {
			t.Errorf("%v is accepted", set)
		}
	}
}

func TestRFC2136KeyFileAccess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tsig.key")
	if err := os.WriteFile(path, []byte(testSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := newKeyFile(path, "gateway", "")
	if err != nil {
		t.Fatal(err)
	}
	for mode, refuse := range map[os.FileMode]bool{
		0o600: false, 0o400: false, 0o700: false, 0o640: true, 0o604: true, 0o620: true, 0o602: true, 0o644: true,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := file.read()
		if (err != nil) != refuse {
			t.Errorf("mode %o: %v", mode, err)
		}
		if refuse && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}

	file.path = dir
	if _, err := file.read(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	file.path = filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(file.path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.read(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a FIFO: %v", err)
	}
	file.path = filepath.Join(dir, "large")
	if err := os.WriteFile(file.path, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.read(); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a large file: %v", err)
	}
	file.path = filepath.Join(dir, "absent")
	if _, err := file.read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// What BIND's own tool writes is read.
func TestRFC2136KeyFileOfTsigKeygen(t *testing.T) {
	rig.Needs(t, "tsig-keygen")
	for _, algorithm := range []string{"hmac-sha256", "hmac-sha384", "hmac-sha512"} {
		text := runProgram(t, "", "tsig-keygen", "-a", algorithm, "home.example.com")
		key, line, err := parseKey(text)
		if err != nil || key.name != "home.example.com" || key.algorithm != algorithm {
			t.Errorf("got %v, line %d: %v\n%s", key, line, err, text)
		}
		if secret := base64.StdEncoding.EncodeToString(key.secret); !strings.Contains(text, `"`+secret+`"`) {
			t.Errorf("another secret than in %s", text)
		}
	}
}

// FuzzRFC2136Key: no file is a crash, no error holds the secret, and a key
// that was read is the same when written out and read again.
func FuzzRFC2136Key(f *testing.F) {
	const marker = "TheSecretOfTheKeyFile24x"
	f.Add("", "")
	f.Add("key \"gateway\" {\n\talgorithm hmac-sha256;\n\tsecret \"", "\";\n};\n")
	f.Add("key gateway {\n/* # // */ secret ", "; algorithm hmac-sha512 };\n")
	f.Add("key ", "")
	f.Add("key k { algorithm ", ";")
	f.Fuzz(func(t *testing.T, before, after string) {
		key, line, err := parseKey(before + marker + after)
		if err != nil {
			if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(marker)) {
				t.Errorf("the secret is in %q", err)
			}
			if line < 1 || line > 1+strings.Count(before+after, "\n") {
				t.Errorf("line %d", line)
			}
			return
		}
		if key.name == "" {
			return
		}
		text := keyStatementText(key.name, key.algorithm, base64.StdEncoding.EncodeToString(key.secret))
		again, _, err := parseKey(text)
		if err != nil || again.name != key.name || again.algorithm != key.algorithm || !bytes.Equal(again.secret, key.secret) {
			t.Errorf("%v became %v: %v", key, again, err)
		}
	})
}
