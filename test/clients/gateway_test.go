package clients_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/test/rig"
)

// keyTypes are the client keys, by the names of their files: what ssh-keygen
// makes them from. The last two are security keys, in software.
var keyTypes = []keyType{
	{"ed25519", "-t ed25519"},
	{"ecdsa-256", "-t ecdsa -b 256"},
	{"ecdsa-384", "-t ecdsa -b 384"},
	{"ecdsa-521", "-t ecdsa -b 521"},
	{"rsa-2048", "-t rsa -b 2048"},
	{"rsa-4096", "-t rsa -b 4096"},
	{"ed25519-sk", "-t ed25519-sk"},
	{"ecdsa-sk", "-t ecdsa-sk"},
}

type keyType struct{ name, made string }

func (k keyType) security() bool { return strings.HasSuffix(k.name, "-sk") }

// gateway is a dnsgate on loopback. The key of each type may update the names
// below TYPE.example.test.
type gateway struct {
	dir     string // short enough for the names of sockets in it
	env     []string
	port    string
	known   string // known_hosts with its host key, and that of sshd at jump
	changed string // the same with other keys
	jump    string // user@host:port of an sshd that lets the keys in
	jumpLog string
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	dir, err := os.MkdirTemp("", "clients")
	rig.Must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &gateway{dir: dir, known: dir + "/known", changed: dir + "/changed", jumpLog: dir + "/sshd.log"}
	g.env = environment(t, dir)
	g.sh(t, "", `go build -C "$SRC" -o "$PWD/dnsgate" ./cmd/dnsgate`)
	g.sh(t, "", `cc -Wall -shared -fPIC -o security_key.so "$SRC/test/clients/testdata/security_key.c" -lcrypto`)
	g.sh(t, "", "./dnsgate init gate >init.out && echo .example.test:127.0.0.1:a >gate/root/data")
	g.makeKeys(t)
	g.serve(t)
	g.startSSHD(t)
	g.pin(t)
	return g
}

// environment is that of a person who has Debian's programs and this source
// tree's Go, and neither keys nor configuration.
func environment(t *testing.T, home string) []string {
	t.Helper()
	program, err := exec.LookPath("go")
	rig.Must(t, err)
	env := []string{
		"HOME=" + home, "SRC=" + rig.Source(t, ""), "LC_ALL=C", "SSH_SK_PROVIDER=" + home + "/security_key.so",
		"PATH=" + filepath.Dir(program) + ":/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin",
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOFLAGS", "GOPROXY"} {
		value, err := exec.Command("go", "env", name).Output()
		rig.Must(t, err)
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return env
}

// sh runs a script that has to succeed.
func (g *gateway) sh(t *testing.T, stdin, script string, variables ...string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env, cmd.Stdin = g.dir, append(g.env[:len(g.env):len(g.env)], variables...), strings.NewReader(stdin)
	r := finish(t, cmd)
	if r.status != 0 {
		t.Fatalf("%s: status %d\n%s%s", script, r.status, r.stdout, r.stderr)
	}
	return r.stdout
}

func (g *gateway) makeKeys(t *testing.T) {
	t.Helper()
	var made sync.WaitGroup
	for _, k := range keyTypes { // side by side: RSA takes seconds
		made.Go(func() { g.sh(t, "", "ssh-keygen -q "+k.made+" -N '' -C "+k.name+" -f "+k.name) })
	}
	made.Wait()
	for _, k := range keyTypes {
		g.sh(t, "", "./dnsgate key add --config gate/dnsgate.toml ."+k.name+".example.test <"+k.name+".pub")
	}
}

// serve starts the gateway on a free port.
func (g *gateway) serve(t *testing.T) {
	t.Helper()
	g.sh(t, "", `sed -i 's/^listen *=.*/listen = ["127.0.0.1:0"]/' gate/dnsgate.toml`)
	log := g.start(t, "gateway.log", "./dnsgate", "serve", "--config", "gate/dnsgate.toml")
	g.port = await(t, log, "msg=listening address=127.0.0.1:")
}

// startSSHD starts OpenSSH's server, as the machine between.
func (g *gateway) startSSHD(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		rig.Must(t, os.MkdirAll("/run/sshd", 0o755)) // its privilege separation folder
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	rig.Must(t, err)
	address := l.Addr().String()
	l.Close()
	user := strings.TrimSpace(g.sh(t, "", "id -un"))
	g.jump = user + "@" + address
	g.sh(t, "", "ssh-keygen -q -t ed25519 -N '' -f sshd_key; cat *.pub >sshd_authorized")
	config := fmt.Sprintf("ListenAddress %s\nHostKey %s/sshd_key\nAuthorizedKeysFile %s/sshd_authorized\nPidFile none\n"+
		"UsePAM no\nStrictModes no\nPermitRootLogin yes\nAllowUsers %s\n", address, g.dir, g.dir, user)
	rig.Must(t, os.WriteFile(g.dir+"/sshd_config", []byte(config), 0o600))
	log := g.start(t, filepath.Base(g.jumpLog), "/usr/sbin/sshd", "-D", "-e", "-f", g.dir+"/sshd_config")
	await(t, log, "Server listening on ")
}

// pin writes the files known and changed.
func (g *gateway) pin(t *testing.T) {
	t.Helper()
	port := g.jump[strings.LastIndex(g.jump, ":")+1:]
	g.sh(t, "", `
		line() { echo "[127.0.0.1]:$1 $(cut -d' ' -f1,2 "$2")"; }
		ssh-keygen -y -f gate/ssh_host_ed25519_key >gate.pub
		ssh-keygen -q -t ed25519 -N '' -f other
		{ line "$PORT" gate.pub; } >known
		{ line "$PORT" other.pub; } >changed
		for file in known changed; do { cat $file; line "$JUMP_PORT" sshd_key.pub; } >$file.jump; done`,
		"PORT="+g.port, "JUMP_PORT="+port)
}

// start starts a program that runs until the test ends, and returns its log.
func (g *gateway) start(t *testing.T, log string, words ...string) string {
	t.Helper()
	log = filepath.Join(g.dir, log)
	file, err := os.Create(log)
	rig.Must(t, err)
	defer file.Close()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, g.env, file, file
	rig.Must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if said, _ := os.ReadFile(log); t.Failed() {
			t.Logf("%s said at last:\n%s", words[0], said[max(0, len(said)-4096):])
		}
	})
	return log
}

// await waits until a file has text, and returns the word that goes on there.
func await(t *testing.T, file, text string) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		content, _ := os.ReadFile(file)
		if _, after, found := bytes.Cut(content, []byte(text)); found && bytes.ContainsRune(after, '\n') {
			return strings.Fields(string(after))[0]
		}
		if time.Now().After(end) {
			t.Fatalf("no %q in %s:\n%s", text, file, content)
		}
	}
}
