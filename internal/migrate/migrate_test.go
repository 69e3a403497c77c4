package migrate

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/config"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// told is what a person is told of s: hosts with TTLs and addresses, then the
// remarks, without the folder's name.
func told(s *Setup, folder string) string {
	var b strings.Builder
	for _, h := range s.Hosts {
		b.WriteString(string(h.Name))
		if h.HasTTL {
			b.WriteString(" " + (time.Duration(h.TTL) * time.Second).String())
		}
		for _, a := range h.Addresses {
			b.WriteString(" " + a.String())
		}
		b.WriteString("\n")
	}
	for _, remark := range s.Remarks {
		b.WriteString(strings.ReplaceAll(remark, folder+"/", "") + "\n")
	}
	return b.String()
}

func check(t *testing.T, s *Setup, err error, folder, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got := told(s, folder); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHostFiles(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "hosts")
	write(t, filepath.Join(folder, "home.example.com"), "# by hand\n+HOME.example.com.:203.0.113.7:60\n+*.home.example.com:203.0.113.7:60\n+home.example.com:203.0.113.8:90\n")
	write(t, filepath.Join(folder, "nas"), "=nas.example.com:10.0.0.5\n:nas.example.com:28:\\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\007:120\n@nas.example.com:192.0.2.1:mx\n")
	write(t, filepath.Join(folder, "odd.example.com"), "+odd.example.com:203.0.113.300:60\n+odd.example.com::60\n-odd.example.com:203.0.113.1\n+odd.example.com:127.0.0.1:60\n+odd.example.com:203.0.113.9:60::in\n+a_b.example.com:203.0.113.9\n6odd.example.com:20010db8000000000000000000000009:9999999999\n6odd.example.com:20010db8000000000000000000000008:60x\n")
	write(t, filepath.Join(folder, ".home.example.com.swp"), "+hidden.example.com:203.0.113.1\n")
	if err := os.MkdirAll(filepath.Join(folder, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	s, err := HostFiles(folder)
	check(t, s, err, folder, `*.home.example.com 1m0s 203.0.113.7
home.example.com 1m0s 203.0.113.7 203.0.113.8
nas.example.com 2m0s 10.0.0.5 2001:db8::7
odd.example.com 1m0s 203.0.113.44 2001:db8::8
nas:1: nas.example.com becomes a + line and so loses its PTR record; with write = "rewrite" it would stay
nas:1: dnsgate will write the file nas.example.com for this host: remove the line here then
nas:3: left out, not an address: dnsgate will not write this line again; if it is needed, move it to another data file
odd.example.com:3: left out, turned off: dnsgate will not write this line again; if it is needed, move it to another data file
odd.example.com:4: left out: odd.example.com: not an address to publish: 127.0.0.1 is a loopback address
odd.example.com:5: left out: odd.example.com has a timestamp or a location here: dnsgate will not write this line again; if it is needed, move it to another data file
odd.example.com:6: left out: "a_b.example.com" is not a fully qualified hostname: '_' may not stand in a hostname: dnsgate will not write this line again; if it is needed, move it to another data file
odd.example.com:7: left out: odd.example.com: its TTL 9999999999 is more than 2147483647 seconds
old:1: left out: not a regular file
`)
	if n := restored(t, s); n != 4 {
		t.Errorf("%d hosts in the store", n)
	}
	if want := "[tinydns]\nroot = \"" + root + "\"\nwrite = \"hosts\"\npath = \"hosts\"\nsources = []"; !strings.HasPrefix(s.Config, want) {
		t.Errorf("got %s", s.Config)
	}
	write(t, filepath.Join(root, "Makefile"), "")
	if s, err = HostFiles(folder); err != nil || !strings.Contains(s.Config, `rebuild = ["make"]`) {
		t.Errorf("got %s, %v", s.Config, err)
	}
	var templates bytes.Buffer
	if err := s.WriteTemplates(&templates); err != nil {
		t.Fatal(err)
	}
	const want = `#command="dnsgate allow --ttl=60 home.example.com *.home.example.com" ssh-ed25519 PUT-THE-PUBLIC-KEY-HERE home.example.com
#command="dnsgate allow --ttl=120 --private nas.example.com" ssh-ed25519 PUT-THE-PUBLIC-KEY-HERE nas.example.com
#command="dnsgate allow --ttl=60 odd.example.com" ssh-ed25519 PUT-THE-PUBLIC-KEY-HERE odd.example.com
`
	if got := templates.String(); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestHostFilesThatCannotBeRead(t *testing.T) {
	folder := t.TempDir()
	if err := os.Symlink("absent", filepath.Join(folder, "a.example.com")); err != nil {
		t.Fatal(err)
	}
	if _, err := HostFiles(folder); err == nil || !strings.Contains(err.Error(), filepath.Join(folder, "a.example.com")) {
		t.Errorf("got %v", err)
	}
	if _, err := HostFiles(filepath.Join(folder, "absent")); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
	os.Remove(filepath.Join(folder, "a.example.com"))
	write(t, filepath.Join(folder, "b.example.com"), "\n"+strings.Repeat("x", maxLine+1))
	if _, err := HostFiles(folder); err == nil || !strings.Contains(err.Error(), "b.example.com:2: ") {
		t.Errorf("got %v", err)
	}
	if err := os.Truncate(filepath.Join(folder, "b.example.com"), maxFile+1); err != nil {
		t.Fatal(err)
	}
	if _, err := HostFiles(folder); err == nil || !strings.Contains(err.Error(), "b.example.com: larger than") {
		t.Errorf("got %v", err)
	}
	os.Remove(filepath.Join(folder, "b.example.com"))
	if err := syscall.Mkfifo(filepath.Join(folder, "c.example.com"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := HostFiles(folder); err != nil || len(s.Remarks) != 1 {
		t.Errorf("got %v, %v", s, err)
	}
	if _, err := Section(filepath.Join(folder, "c.example.com")); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

func TestSection(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, ".example.com::a\n# start dynamic dns entries \r\n+home.example.com:203.0.113.7\r\n\n# a remark\nCwww.example.com:home.example.com\n# end dynamic dns entries\n+static.example.com:192.0.2.1\n")
	s, err := Section(data)
	check(t, s, err, root, `home.example.com 24h0m0s 203.0.113.7
data:6: left out, not an address: dnsgate will not write this line again; if it is needed, move it to another data file
`)
	t.Chdir(root)
	if s, err := Section("data"); err != nil || !strings.Contains(s.Config, "root = \""+root+"\"\n") {
		t.Errorf("from a relative path: %s, %v", s.Config, err)
	}
	for content, want := range map[string]string{
		"":                                  `:1: there is no line "# start`,
		"x\n# BEGIN dyndns\n# END dyndns\n": `:1: there is no line "# start dynamic dns entries"; if line 2, "# BEGIN dyndns", begins the section`,
		"x\n# start dynamic dns entries\n+a.b:1.2.3.4\n":                                      `:2: no line "# end dynamic dns entries" follows`,
		"# end dynamic dns entries\n# start dynamic dns entries\n":                            `:2: the line "# start dynamic dns entries" comes after`,
		"# start dynamic dns entries\n# start dynamic dns entries\n":                          `:2: a second line "# start dynamic dns entries"; the first is line 1`,
		"# start dynamic dns entries\n# end dynamic dns entries\n# end dynamic dns entries\n": `:3: a second line "# end dynamic dns entries"; the first is line 2`,
	} {
		write(t, data, content)
		if _, err := Section(data); err == nil || !strings.Contains(err.Error(), data+want) {
			t.Errorf("%q: got %v", content, err)
		}
	}
}

func TestLines(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, `+home.example.com:203.0.113.7:60    #the house
=home.example.com:203.0.113.7
+*.home.example.com:203.0.113.9:60
+two.example.com:10.0.0.5:60::in
-nas.example.com:203.0.113.1:60
+*.only.example.com:203.0.113.2
+other.example.com:203.0.113.3
-=ptr.example.com:203.0.113.4
@home.example.com:203.0.113.7:mx
+bad.example.com:nothing
+two.example.com:203.0.113.5:60::ex
+\163tar..Example.com.:203.0.113.6
+*.star.example.com:203.0.113.6:7
+half.example.com:203.0.113.8
+half.example.com:127.0.0.1
`)
	var names []records.Name
	for _, host := range strings.Fields("home nas only ptr absent bad two star half") {
		names = append(names, records.Name(host+".example.com"))
	}
	s, err := Lines(data, names)
	check(t, s, err, root, `*.home.example.com 203.0.113.9
*.only.example.com 203.0.113.2
bad.example.com
half.example.com
home.example.com 203.0.113.7
nas.example.com
ptr.example.com
star.example.com 203.0.113.6
two.example.com
data:3: *.home.example.com has other addresses than home.example.com: it becomes a host of its own
data:1: absent.example.com has no address line in it, and dnsgate never adds one
data:10: left out: bad.example.com: "nothing" is not an IPv4 address
data:11: left out: the lines of two.example.com differ by location: line 4 has another; say with location in [tinydns] which are dnsgate's
data:15: left out: half.example.com: not an address to publish: 127.0.0.1 is a loopback address
`)
}

func TestHostkeysKeepsNoSecret(t *testing.T) {
	const secret = "c2VjcmV0LXNlY3JldA=="
	path := filepath.Join(t.TempDir(), "hostkeys")
	write(t, path, "# host ttl key\nhome.example.com 60 "+secret+"\nNAS.example.com.:300:"+secret+"\n"+
		secret+" home.example.com 60\nlap.example.com "+secret+"\n*.w.example.com,5,"+secret+"\n\n")
	s, err := Hostkeys(path)
	check(t, s, err, filepath.Dir(path), `*.w.example.com 5s
home.example.com 1m0s
lap.example.com
nas.example.com 5m0s
hostkeys:4: left out: its first word is not a hostname
hostkeys:5: lap.example.com has no TTL after its name; its template comes without
`)
	if out := outputs(t, s); strings.Contains(out, "c2Vj") {
		t.Errorf("the secret is in %s", out)
	}
}

func TestTooManyAddressesAndRemarks(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	var lines strings.Builder
	lines.WriteString(sectionStart + "\n")
	for i := range 12 {
		lines.WriteString("+h.example.com:203.0.113." + string(rune('a'+i)) + "\n+h.example.com:203.0.113.1" + string(rune('0'+i%10)) + "\n")
	}
	lines.WriteString(strings.Repeat("'t\n", maxRemarks) + sectionEnd)
	write(t, data, lines.String())
	s, err := Section(data)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Hosts[0].Addresses); n != records.MaxAddresses {
		t.Errorf("%d addresses", n)
	}
	if n := len(s.Remarks); n != maxRemarks+1 || s.Remarks[n-1] != "and 14 more remarks" {
		t.Errorf("%d remarks, the last is %q", n, s.Remarks[n-1])
	}
}

func TestOnly(t *testing.T) {
	s := Setup{Hosts: []Host{{Name: "*.a.example.com"}, {Name: "a.example.com"}, {Name: "b.example.com"}}}
	s.Only([]records.Name{"a.example.com", "c.example.com"}, "example.com@ns")
	if len(s.Hosts) != 2 || s.Hosts[1].Name != "a.example.com" {
		t.Errorf("kept %v", s.Hosts)
	}
	if len(s.Remarks) != 1 || s.Remarks[0] != "example.com@ns: c.example.com has no address in it" {
		t.Errorf("remarks are %q", s.Remarks)
	}
}

// restored checks that dnsgate restore takes the backup of s, and returns the
// hosts in the store then.
func restored(t *testing.T, s *Setup) int {
	t.Helper()
	var backup bytes.Buffer
	if err := s.WriteBackup(&backup, time.Now()); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "state")
	if err := boltstore.Restore(state, &backup); err != nil {
		t.Fatal(err)
	}
	store, err := boltstore.Open(state, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	return store.Len()
}

// outputs is all that s prints. What must hold of any source is checked on the
// way: the backup's lines are changes, the templates are grants once they have
// a key, and the configuration is one.
func outputs(t testing.TB, s *Setup) string {
	t.Helper()
	var backup, templates bytes.Buffer
	if err := s.WriteBackup(&backup, time.Now()); err != nil {
		t.Fatal(err)
	}
	text := backup.String()
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			continue
		}
		if _, err := records.ParseChange(strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatalf("%q is no change: %v", line, err)
		}
	}
	if err := s.WriteTemplates(&templates); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(templates.String()) {
		command, ok := strings.CutPrefix(line, `#command="`)
		command, _, _ = strings.Cut(command, `"`)
		if _, err := authkeys.ParseCommand(command); err != nil || !ok {
			t.Fatalf("%q is no template: %v", line, err)
		}
	}
	file := filepath.Join(t.TempDir(), "dnsgate.toml")
	write(t, file, s.Config)
	if _, err := config.Load(file); err != nil {
		t.Fatalf("%s: %v", s.Config, err)
	}
	return text + templates.String() + s.Config + strings.Join(s.Remarks, "\n")
}

func FuzzSection(f *testing.F) {
	for _, line := range []string{"+a.b:1.2.3.4", "=a.b:1.2.3.4:5:6:lo", ":a.b:28:\\001\\1x\\\\:::", "6a.b:" + strings.Repeat("0", 31) + "2", "3*.a.b:00", "-=a.b:1", "+A.B.::", "\\", "'a.b:x"} {
		f.Add(line)
	}
	data := filepath.Join(f.TempDir(), "data")
	f.Fuzz(func(t *testing.T, lines string) {
		write(t, data, sectionStart+"\n"+lines+"\n"+sectionEnd+"\n")
		if s, err := Section(data); err == nil {
			outputs(t, s)
		}
		s, err := Lines(data, []records.Name{"a.b", "b.c"})
		if err != nil {
			return
		}
		outputs(t, s)
		for _, h := range s.Hosts {
			if host := h.Name.Host(); host != "a.b" && host != "b.c" {
				t.Errorf("%s was not asked for", h.Name)
			}
		}
	})
}

func FuzzHostkeys(f *testing.F) {
	f.Add("home.example.com 60 ", "secret")
	f.Add("", "a:b")
	f.Add("*.a.b,2147483648;", "#")
	path := filepath.Join(f.TempDir(), "hostkeys")
	f.Fuzz(func(t *testing.T, before, junk string) {
		const secret = "PrivateWordOfTheHost="
		write(t, path, before+" "+secret+junk+"\n")
		s, err := Hostkeys(path)
		if err != nil {
			return
		}
		if out := outputs(t, s); strings.Contains(strings.ToLower(out), strings.ToLower(secret)) {
			t.Errorf("the secret is in %s", out)
		}
	})
}
