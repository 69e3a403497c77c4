package authkeys

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// guarded is a file of keys behind one of revoked keys.
func guarded(t *testing.T, keys, revoked string) (guard *Guard, log *journal, path string) {
	t.Helper()
	file, log, _ := openFile(t, keys)
	path = filepath.Join(t.TempDir(), "revoked_keys")
	must(t, os.WriteFile(path, []byte(revoked), 0o600))
	r, err := OpenRevoked(path, slog.New(slog.NewTextHandler(log, nil)))
	must(t, err)
	t.Cleanup(r.Close)
	guard = &Guard{Keys: file}
	guard.Revoked.Store(r)
	return guard, log, path
}

// TestRevoked revokes keys and certificates in every way, and nothing else.
func TestRevoked(t *testing.T) {
	w := newWorkshop(t)
	ca, user, plain := w.key("ca"), w.key("user"), w.key("plain")
	cert := w.sign("ca", "user", "-n", "home.example.com")
	certified, err := Certify(cert)
	must(t, err)
	of := func(text string) string { return ssh.FingerprintSHA256(mustKey(t, text)) }
	none, all := []string{}, []string{"plain", "cert"}
	for list, want := range map[string][]string{
		"# nothing\r\n\n":         none,
		user:                      {"cert"},
		user + " with a comment":  {"cert"},
		of(user) + "\n":           {"cert"},
		"\t" + of(ca) + " our CA": {"cert"},
		ca:                        {"cert"},
		"id:id of user":           {"cert"},
		"id: id of user ":         {"cert"},
		"id:id of":                none,
		plain:                     {"plain"},
		of(plain):                 {"plain"},
		"id:plain":                none,
		w.key("other") + "\n" + of(w.key("other")): none,
		of(plain) + "\nid:id of user":              all,
	} {
		guard, _, _ := guarded(t, header+plain+"\ncert-authority,"+header+ca+"\n", list)
		for name, keys := range map[string][]ssh.PublicKey{"plain": {mustKey(t, plain)}, "cert": {cert, certified}} {
			for _, key := range keys {
				_, err := guard.Lookup(key, local, testNow)
				if revoked := errors.Is(err, ErrRevoked); revoked != strings.Contains(strings.Join(want, " "), name) || !revoked && err != nil {
					t.Errorf("%q: %s: %v", list, name, err)
				}
			}
		}
	}
}

func TestRevokedIsRead(t *testing.T) {
	w := newWorkshop(t)
	w.key("ca")
	w.keygen("-q", "-k", "-f", "krl", "ca.pub")
	krl, err := os.ReadFile(filepath.Join(w.dir, "krl"))
	must(t, err)
	for content, why := range map[string]string{
		string(krl):                   ":1: this is a KRL",
		"\nsesame":                    ":2: neither a public key nor SHA256:... nor id:KEYID",
		"SHA256:short":                `:1: "SHA256:short" is not a fingerprint`,
		"MD5:00:11":                   ":1: neither",
		"id:":                         ":1: the certificate's id",
		"serial:7":                    ":1: neither",
		keyA + "\n" + header + keyB:   ":2: neither",
		strings.Repeat("\n", 9) + "x": ":10: neither",
	} {
		path := filepath.Join(t.TempDir(), "revoked_keys")
		must(t, os.WriteFile(path, []byte(content), 0o600))
		if err := LoadRevoked(path); err == nil || !strings.Contains(err.Error(), path+why) {
			t.Errorf("%q: %v; want %s", content, err, why)
		}
	}
	path := filepath.Join(t.TempDir(), "revoked_keys")
	if _, err := OpenRevoked(path, slog.Default()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	must(t, os.WriteFile(path, nil, 0o666))
	must(t, os.Chmod(path, 0o666))
	if _, err := OpenRevoked(path, slog.Default()); err == nil || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("one that anybody may write: %v", err)
	}
}

// TestRevokedFollowsChanges: what cannot be read revokes what it did before.
func TestRevokedFollowsChanges(t *testing.T) {
	guard, log, path := guarded(t, header+keyA+"\n"+header+keyB+"\n", "")
	a, b := mustKey(t, keyA), mustKey(t, keyB)
	revoked := func(key ssh.PublicKey) bool {
		_, err := guard.Lookup(key, local, testNow)
		return errors.Is(err, ErrRevoked)
	}
	r := guard.Revoked.Load()
	must(t, os.WriteFile(path, []byte(keyA+"\n"), 0o600))
	eventually(t, "the key is revoked", func() bool { return revoked(a) })
	for what, spoil := range map[string]func(){
		"a bad line": func() { must(t, os.WriteFile(path, []byte(keyB+"\nsesame\n"), 0o600)) },
		"no file":    func() { must(t, os.Remove(path)) },
	} {
		spoil()
		eventually(t, what+" is told", func() bool { why, since := r.Failure(); return why != "" && !since.IsZero() })
		if !revoked(a) || revoked(b) || log.count("revoked keys not reloaded, keeping those there are") == 0 {
			t.Errorf("%s: another list is used, or nothing is logged", what)
		}
		must(t, os.WriteFile(path, []byte(keyA+"\n"), 0o600))
		eventually(t, "it can be read again", func() bool { why, _ := r.Failure(); return why == "" })
	}
	must(t, os.WriteFile(path, []byte(keyB+"\n"), 0o600))
	eventually(t, "the other one is", func() bool { return !revoked(a) && revoked(b) })
}

// TestRevokedWrittenSlowly: a list that is half there revokes no less than before.
func TestRevokedWrittenSlowly(t *testing.T) {
	guard, _, path := guarded(t, header+keyA+"\n"+header+keyB+"\n", keyA+"\n")
	r := guard.Revoked.Load()
	must(t, os.WriteFile(path, []byte(keyB+"\n"), 0o600))
	must(t, r.read(true))
	for _, key := range []string{keyA, keyB} {
		if _, err := guard.Lookup(mustKey(t, key), local, testNow); !errors.Is(err, ErrRevoked) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
