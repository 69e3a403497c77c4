//go:build !client

package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/internal/sysexits"
)

// TestImportRefuses: what cannot be read ends with a status of sysexits(3), names
// the place, prints nothing to standard output, and never a secret.
func TestImportRefuses(t *testing.T) {
	const secret = "c2VjcmV0LW9mLXRoZS10ZXN0LWtleS1oZXJlISEhISE="
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	data := file("data", "+home.example.com:203.0.113.5\n", 0o644)
	key := file("key", "key \"k\" { algorithm hmac-sha256; secret \""+secret+"\"; };\n", 0o600)
	open := file("open", secret, 0o644)
	torn := file("torn", "key \"k\" {\n\tsecret \""+secret+"\n", 0o600)
	absent := filepath.Join(dir, "absent")
	for name, c := range map[string]struct {
		args   []string
		status int
		says   string
	}{
		"no source":       {[]string{"hosts"}, sysexits.Usage, "an argument is missing"},
		"no such kind":    {[]string{"bind", data}, sysexits.Usage, "there is no import bind"},
		"hosts of a kind": {[]string{"section", data, "home.example.com"}, sysexits.Usage, "only import rewrite and import zone take hosts"},
		"no hosts":        {[]string{"rewrite", data}, sysexits.Usage, "needs the hosts"},
		"a bad host":      {[]string{"rewrite", data, "home"}, sysexits.Usage, `"home" is not a fully qualified hostname`},
		"no server":       {[]string{"zone", "example.com"}, sysexits.Usage, "is not ZONE@SERVER"},
		"an absent file":  {[]string{"section", absent}, sysexits.IO, absent},
		"no folder":       {[]string{"hosts", data}, sysexits.IO, data},
		"no section":      {[]string{"section", data}, sysexits.Data, data + ":1: there is no line"},
		"a folder":        {[]string{"hostkeys", dir}, sysexits.Data, dir + ": not a regular file"},
		"no answer":       {[]string{"zone", "example.com@127.0.0.1:1", "--tsig-secret-file", key}, sysexits.Unavailable, "transferring example.com from 127.0.0.1:1"},
		"an open secret":  {[]string{"zone", "example.com@127.0.0.1:1", "--tsig-secret-file", open, "--tsig-name", "k"}, sysexits.Config, "chmod 600"},
		"another key":     {[]string{"zone", "example.com@127.0.0.1:1", "--tsig-secret-file", key, "--tsig-name", "x"}, sysexits.Config, key + ":1: "},
		"a torn key":      {[]string{"zone", "example.com@127.0.0.1:1", "--tsig-secret-file", torn}, sysexits.Config, torn + ":2: "},
	} {
		t.Run(name, func(t *testing.T) {
			var out, about bytes.Buffer
			root := commands()
			root.SetArgs(append([]string{"import"}, c.args...))
			root.SetOut(&out)
			root.SetErr(&about)
			err := root.Execute()
			var e *exit
			if !errors.As(err, &e) || e.status != c.status || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want status %d and %q", err, c.status, c.says)
			}
			if said := out.String() + about.String() + err.Error(); out.Len() > 0 || strings.Contains(said, secret[:12]) {
				t.Errorf("it printed %q", said)
			}
		})
	}
}
