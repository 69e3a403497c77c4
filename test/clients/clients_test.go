package clients_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dnsgate/test/rig"
)

// TestClients runs each command of docs/clients.md with each type of key, and
// finds what README.md says of it. A client that gets in has to pass on every
// status and reply, and to refuse a gateway whose host key is not the pinned one.
func TestClients(t *testing.T) {
	rig.Needs(t, "ssh", "ssh-keygen", "ssh-agent", "/usr/sbin/sshd", "dbclient", "dropbearconvert", "plink", "puttygen", "cc", "ruby", "node", "npm")
	t.Parallel()
	ways, variables := documented(t)
	g := newGateway(t)
	matrix := &matrix{cells: make(map[string]bool)}
	t.Run("way", func(t *testing.T) {
		for _, w := range ways {
			t.Run(w.slug(), func(t *testing.T) {
				t.Parallel()
				newTrial(t, g, w, variables).run(t, matrix)
			})
		}
	})
	published, err := os.ReadFile(g.dir + "/gate/root/dnsgate")
	rig.Must(t, err)
	if !strings.Contains(string(published), "openssh.ed25519.example.test") || strings.Contains(string(published), "changed") {
		t.Errorf("what was published:\n%s", published)
	}
	if jumped, _ := os.ReadFile(g.jumpLog); !strings.Contains(string(jumped), "Accepted publickey") {
		t.Error("nobody went through the machine between")
	}
	if !t.Failed() {
		compare(t, matrix.table(ways))
	}
}

// trial is the trying of a way.
type trial struct {
	*gateway
	way
	dir    string
	values map[string]string // of the document's variables
}

func newTrial(t *testing.T, g *gateway, w way, variables []string) *trial {
	t.Helper()
	dir := filepath.Join(g.dir, w.slug())
	rig.Must(t, os.Mkdir(dir, 0o700))
	values := map[string]string{
		"GATE": "127.0.0.1", "PORT": g.port, "KEY": "", "KNOWN_HOSTS": g.known, "COMMAND": "",
		"JUMP": g.jump, "PROVIDER": g.dir + "/security_key.so", "SRC": rig.Source(t, ""),
	}
	if known := slices.Sorted(maps.Keys(values)); !slices.Equal(known, slices.Sorted(slices.Values(variables))) {
		t.Fatalf("the document defines %v, this test %v", variables, known)
	}
	if strings.Contains(strings.Join(w.before, ""), "ProxyJump") {
		values["KNOWN_HOSTS"] += ".jump"
	}
	x := &trial{gateway: g, way: w, dir: dir, values: values}
	if w.variant == byAgent {
		g.start(t, w.slug()+".log", "ssh-agent", "-D", "-a", dir+"/agent", "-P", g.dir+"/*")
	}
	return x
}

// do runs a block of the document.
func (x *trial) do(t *testing.T, block string) result {
	t.Helper()
	cmd := exec.Command("sh", "-c", block)
	cmd.Dir = x.dir
	cmd.Env = slices.Clone(x.env)
	for name, value := range x.values {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if x.variant == byAgent {
		cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+x.dir+"/agent")
	}
	return finish(t, cmd)
}

// ask runs the way's command with words for the gateway.
func (x *trial) ask(t *testing.T, words string) result {
	t.Helper()
	x.values["COMMAND"] = words
	return x.do(t, x.command)
}

func (x *trial) run(t *testing.T, m *matrix) {
	for _, b := range x.before { // what is the same for all keys
		if strings.Contains(b, "$KEY") {
			continue
		}
		if r := x.do(t, b); r.status != 0 {
			t.Fatalf("%s: status %d\n%s%s", b, r.status, r.stdout, r.stderr)
		}
	}
	keys := x.keys()
	for i, key := range keys {
		works := x.try(t, key, i == 0)
		m.set(x.way, key, works)
		if i == 0 && !works {
			return
		}
	}
	x.changedHostKey(t, keys[0])
}

// useKey makes a key ready, and reports whether the way takes it.
func (x *trial) useKey(t *testing.T, name string) (bool, string) {
	t.Helper()
	x.values["KEY"] = filepath.Join(x.dir, name)
	if r := x.do(t, "cp -p ../"+name+" ../"+name+".pub ."); r.status != 0 {
		t.Fatalf("copying the key: %s", r.stderr)
	}
	if x.variant == byAgent {
		x.do(t, "ssh-add -q -D")
	}
	for _, b := range x.before {
		if !strings.Contains(b, "$KEY") {
			continue
		}
		if r := x.do(t, "set -e\n"+b); r.status != 0 {
			return false, r.stderr
		}
	}
	return true, ""
}

// cannot is what clients say that have no algorithm in common with the gateway.
var cannot = regexp.MustCompile("no acceptable ciphers|Unable to exchange encryption keys|could not settle on kex")

// try updates a name with a key of a type, and reports whether that works. With
// the first key everything has to, unless the client cannot speak to the gateway.
func (x *trial) try(t *testing.T, key string, first bool) bool {
	t.Helper()
	host := x.slug() + "." + key + ".example.test"
	ready, why := x.useKey(t, key)
	var r result
	if ready {
		r = x.ask(t, "update "+host+" 203.0.113.7")
		why = r.stderr
	}
	works := ready && r.status == 0
	switch {
	case works:
		x.expect(t, r, 0, "good 203.0.113.7 "+host)
	case r.stdout != "" || first && (x.variant != "" || !cannot.MatchString(why)):
		t.Errorf("%s: status %d, said %q, %q", key, r.status, r.stdout, why)
	default:
		t.Logf("%s: no: %s", key, strings.TrimSpace(why))
	}
	if works && first {
		x.outcomes(t, host)
	}
	for _, b := range x.after {
		if r := x.do(t, b); works && r.status != 0 {
			t.Errorf("%s: status %d: %s", b, r.status, r.stderr)
		}
	}
	return works
}

func (x *trial) outcomes(t *testing.T, host string) {
	t.Helper()
	for _, o := range []struct {
		words  string
		status int
		reply  string
	}{
		{"update " + host + " 203.0.113.7", 0, "nochg 203.0.113.7 " + host},
		{"update " + host + " 203.0.113.8 2001:db8::8", 0, "good 203.0.113.8,2001:db8::8 " + host},
		{"list " + host, 0, host + ". 300 IN A 203.0.113.8\n" + host + ". 300 IN AAAA 2001:db8::8"},
		{"upgrade " + host, 64, "badcmd "},
		{"update " + host + " 127.0.0.1", 65, "badaddr "},
		{"update " + host + " other.example.net 203.0.113.9", 77, "nohost "},
	} {
		x.expect(t, x.ask(t, o.words), o.status, o.reply)
	}
}

// expect checks a reply, whole or only its first word where that ends in a
// blank, and that errors are on stderr too.
func (x *trial) expect(t *testing.T, r result, status int, reply string) {
	t.Helper()
	got := strings.TrimSuffix(r.stdout, "\n")
	right := got == reply
	if strings.HasSuffix(reply, " ") {
		right = strings.HasPrefix(got, reply) && strings.Contains(r.stderr, got)
	}
	if r.status != status || !right {
		t.Errorf("%s: status %d, said %q, %q; want %d, %q", x.values["COMMAND"], r.status, r.stdout, r.stderr, status, reply)
	}
}

// refused is what clients say of a host key that is not the pinned one.
var refused = regexp.MustCompile("(?i)host key|key mismatch")

// changedHostKey tries to update a name through a gateway whose host key is
// not the pinned one.
func (x *trial) changedHostKey(t *testing.T, key string) {
	t.Helper()
	x.values["KNOWN_HOSTS"] = strings.Replace(x.values["KNOWN_HOSTS"], x.known, x.changed, 1)
	r := result{status: 255}
	ready, why := x.useKey(t, key)
	if ready {
		r = x.ask(t, "update changed."+x.slug()+"."+key+".example.test 203.0.113.7")
		why = r.stderr
	}
	if r.status != 255 && r.status != 1 || r.stdout != "" || !refused.MatchString(why) {
		t.Errorf("with a changed host key: status %d, said %q, %q", r.status, r.stdout, why)
	}
}
