package rfc2136

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dnsgate/test/rig"

	"github.com/miekg/dns"
)

// Real name servers as child processes on a loopback port, each with the same
// dynamic zone, for tests of everything that sends updates:
//
//	server := startBIND(t)
//	server.keyFile("gateway")          // a key statement, as tsig-keygen writes it
//	server.lookup(t, "home."+testZone, dns.TypeA)
//	server.pause(t); server.resume(t)  // slow
//	server.kill(t); server.start(t)    // down and back, on the same port
//
// Debian: apt-get install bind9 bind9-dnsutils knot pdns-server
// pdns-backend-sqlite3 sqlite3 nsd

const testZone = "dyn.example.com"

// testZoneFile holds what updates must never touch, besides the apex.
const testZoneFile = `$ORIGIN dyn.example.com.
$TTL 300
@	SOA	ns hostmaster 1 3600 900 604800 60
@	NS	ns
ns	A	127.0.0.1
mixed	MX	10 ns
mixed	TXT	"of somebody else"
alias	CNAME	ns
fixed	A	192.0.2.1
`

// testKeys are the keys that each server knows. Those named gateway may update
// all of the zone, home only the name home, four only A at four, and mixed A at
// four, A and AAAA at home, and A and TXT below text.
var testKeys = []struct{ name, algorithm string }{
	{"gateway", "hmac-sha256"},
	{"gateway384", "hmac-sha384"},
	{"gateway512", "hmac-sha512"},
	{"home", "hmac-sha256"},
	{"four", "hmac-sha256"},
	{"mixed", "hmac-sha256"},
}

// nameServer is one running server.
type nameServer struct {
	addr    string // host:port, UDP and TCP
	dir     string
	secrets map[string]string // base64 by key name
	argv    []string
	process *exec.Cmd
	log     rig.Output // stdout and stderr
}

// newNameServer makes a folder with the zone file and the keys' files. It is
// in memory, where there is such a place, since servers sync each update to
// disk, which only a benchmark wants to see.
func newNameServer(t testing.TB) *nameServer {
	t.Helper()
	parent := "/dev/shm"
	_, benchmark := t.(*testing.B)
	if _, err := os.Stat(parent); err != nil || benchmark {
		parent = ""
	}
	// Not t.TempDir: control sockets allow only 107 bytes of path.
	dir, err := os.MkdirTemp(parent, "dnsgate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &nameServer{addr: freePort(t), dir: dir, secrets: map[string]string{}, log: rig.Output{Most: 1 << 20}}
	s.write(t, "zone", testZoneFile)
	for _, key := range testKeys {
		secret := make([]byte, 32)
		rand.Read(secret)
		s.secrets[key.name] = base64.StdEncoding.EncodeToString(secret)
		s.write(t, key.name+".key", keyStatementText(key.name, key.algorithm, s.secrets[key.name]))
	}
	return s
}

func keyStatementText(name, algorithm, secret string) string {
	return fmt.Sprintf("key \"%s\" {\n\talgorithm %s;\n\tsecret \"%s\";\n};\n", name, algorithm, secret)
}

// freePort returns an address whose port nobody used a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := tcp.Addr().String()
		udp, err := net.ListenPacket("udp", addr)
		tcp.Close()
		if err == nil {
			udp.Close()
			return addr
		}
	}
	t.Fatal("no port is free for both TCP and UDP")
	return ""
}

func (s *nameServer) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *nameServer) path(name string) string { return filepath.Join(s.dir, name) }

func (s *nameServer) port() string { return s.addr[strings.LastIndexByte(s.addr, ':')+1:] }

// keyFile is the path of a key statement, mode 0600.
func (s *nameServer) keyFile(key string) string { return s.path(key + ".key") }

// behind is s as seen through a relay at addr.
func (s *nameServer) behind(addr string) *nameServer {
	return &nameServer{addr: addr, dir: s.dir, secrets: s.secrets}
}

// start runs the server and waits until it serves the zone.
func (s *nameServer) start(t testing.TB) {
	t.Helper()
	s.process = exec.Command(s.argv[0], s.argv[1:]...)
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	process := s.process
	t.Cleanup(func() { process.Process.Kill(); process.Wait() })
	for deadline := time.Now().Add(20 * time.Second); ; {
		answer, err := s.query(testZone, dns.TypeSOA)
		if err == nil && len(answer) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve %s (%v):\n%s", s.argv[0], testZone, err, s.log.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// kill ends the server at once, and waits until it is gone.
func (s *nameServer) kill(t testing.TB) {
	t.Helper()
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.process.Wait()
}

// pause stops the server in its tracks: the kernel still takes connections
// and data for it.
func (s *nameServer) pause(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
	var status syscall.WaitStatus // the last of its threads may run on for a moment
	if _, err := syscall.Wait4(s.process.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("%s did not stop: %v", s.argv[0], err)
	}
}

func (s *nameServer) resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *nameServer) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (s *nameServer) query(name string, rrtype uint16) ([]dns.RR, error) {
	client := dns.Client{Net: "tcp", Timeout: 5 * time.Second}
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), rrtype)
	answer, _, err := client.Exchange(question, s.addr)
	if err != nil {
		return nil, err
	}
	return answer.Answer, nil
}

// lookup returns the records of name as "TTL DATA", sorted.
func (s *nameServer) lookup(t testing.TB, name string, rrtype uint16) []string {
	t.Helper()
	answer, err := s.query(name, rrtype)
	if err != nil {
		t.Fatalf("asking for %s: %v", name, err)
	}
	var found []string
	for _, rr := range answer {
		if rr.Header().Rrtype == rrtype {
			data := strings.TrimPrefix(rr.String(), rr.Header().String())
			found = append(found, fmt.Sprint(rr.Header().Ttl, " ", data))
		}
	}
	slices.Sort(found)
	return found
}

// serial is that of the zone's SOA.
func (s *nameServer) serial(t testing.TB) uint32 {
	t.Helper()
	answer, err := s.query(testZone, dns.TypeSOA)
	if err != nil || len(answer) != 1 {
		t.Fatalf("asking for the SOA: %v, %v", answer, err)
	}
	return answer[0].(*dns.SOA).Serial
}

func runProgram(t testing.TB, stdin string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// bindPolicy is what update-policy says: keys for all of the zone, and for one
// host or type.
const bindPolicy = `
		grant gateway subdomain dyn.example.com. A AAAA TXT;
		grant gateway384 subdomain dyn.example.com. A AAAA TXT;
		grant gateway512 subdomain dyn.example.com. A AAAA TXT;
		grant home name home.dyn.example.com. A AAAA TXT;
		grant four name four.dyn.example.com. A;
		grant mixed name four.dyn.example.com. A;
		grant mixed name home.dyn.example.com. A AAAA;
		grant mixed subdomain text.dyn.example.com. A TXT;
`

// startBIND runs BIND 9 with bindPolicy.
func startBIND(t testing.TB) *nameServer {
	t.Helper()
	rig.Needs(t, "named")
	s := newNameServer(t)
	var conf strings.Builder
	for _, key := range testKeys {
		fmt.Fprintf(&conf, "include \"%s\";\n", s.keyFile(key.name))
	}
	fmt.Fprintf(&conf, `options {
	directory "%s";
	listen-on port %s { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	lock-file none;
	session-keyfile none;
	allow-transfer { 127.0.0.1; };
	recursion no;
	dnssec-validation no;
	notify no;
};
controls { };
logging { category update { null; }; };
zone "%s" {
	type primary;
	file "zone";
	update-policy {%s	};
};
`, s.dir, s.port(), testZone, bindPolicy)
	s.write(t, "named.conf", conf.String())
	s.argv = []string{"named", "-g", "-n", "2", "-c", s.path("named.conf")}
	s.start(t)
	return s
}

// startKnot runs Knot DNS, which keeps updates over a restart only with
// zonefile-load "whole".
func startKnot(t testing.TB) *nameServer {
	t.Helper()
	rig.Needs(t, "knotd")
	s := newNameServer(t)
	if err := os.Mkdir(s.path("db"), 0o700); err != nil { // or each update is SERVFAIL
		t.Fatal(err)
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, `server:
    rundir: "%[1]s"
    listen: 127.0.0.1@%[2]s
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "%[1]s/db"
key:
`, s.dir, s.port())
	for _, key := range testKeys {
		fmt.Fprintf(&conf, "  - id: %s\n    algorithm: %s\n    secret: %s\n", key.name, key.algorithm, s.secrets[key.name])
	}
	fmt.Fprintf(&conf, `acl:
  - id: gateways
    key: [gateway, gateway384, gateway512]
    action: update
    update-type: [A, AAAA, TXT]
    update-owner: zone
    update-owner-match: sub
  - id: home
    key: home
    action: update
    update-owner: name
    update-owner-match: equal
    update-owner-name: home
  - id: four
    key: [four, mixed]
    action: update
    update-type: A
    update-owner: name
    update-owner-match: equal
    update-owner-name: four
  - id: mixed-home
    key: mixed
    action: update
    update-type: [A, AAAA]
    update-owner: name
    update-owner-match: equal
    update-owner-name: home
  - id: mixed-text
    key: mixed
    action: update
    update-type: [A, TXT]
    update-owner: name
    update-owner-match: sub-or-equal
    update-owner-name: text
zone:
  - domain: %s
    storage: "%s"
    file: zone
    zonefile-load: whole
    acl: [gateways, home, four, mixed-home, mixed-text]
`, testZone, s.dir)
	s.write(t, "knot.conf", conf.String())
	s.argv = []string{"knotd", "-c", s.path("knot.conf")}
	s.start(t)
	return s
}

// startPowerDNS runs PowerDNS on SQLite. It has no policy per name.
func startPowerDNS(t testing.TB) *nameServer {
	t.Helper()
	rig.Needs(t, "pdns_server", "pdnsutil", "sqlite3")
	const schema = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql"
	create, err := os.ReadFile(schema)
	if os.IsNotExist(err) {
		create, err = os.ReadFile("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql")
	}
	if err != nil {
		t.Fatalf("pdns-backend-sqlite3 is not installed: %v", err)
	}
	s := newNameServer(t)
	runProgram(t, string(create), "sqlite3", s.path("db"))
	s.write(t, "pdns.conf", fmt.Sprintf(`launch=gsqlite3
gsqlite3-database=%[1]s/db
local-address=127.0.0.1
local-port=%[2]s
socket-dir=%[1]s
daemon=no
guardian=no
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
security-poll-suffix=
`, s.dir, s.port()))
	pdnsutil := func(args ...string) {
		runProgram(t, "", slices.Concat([]string{"pdnsutil", "--config-dir=" + s.dir}, args)...)
	}
	pdnsutil("load-zone", testZone, s.path("zone"))
	pdnsutil("set-meta", testZone, "SOA-EDIT-DNSUPDATE", "INCREASE")
	allowed := []string{"set-meta", testZone, "TSIG-ALLOW-DNSUPDATE"}
	for _, key := range testKeys {
		pdnsutil("import-tsig-key", key.name, key.algorithm, s.secrets[key.name])
		allowed = append(allowed, key.name)
	}
	pdnsutil(allowed...)
	s.argv = []string{"pdns_server", "--config-dir=" + s.dir}
	s.start(t)
	return s
}

// startNSD runs NSD, which takes no updates.
func startNSD(t testing.TB) *nameServer {
	t.Helper()
	rig.Needs(t, "nsd")
	s := newNameServer(t)
	s.write(t, "nsd.conf", fmt.Sprintf(`server:
	ip-address: 127.0.0.1@%[2]s
	username: ""
	chroot: ""
	zonesdir: "%[1]s"
	database: ""
	pidfile: ""
	xfrdfile: "%[1]s/xfrd.state"
	xfrdir: "%[1]s"
	zonelistfile: "%[1]s/zone.list"
remote-control:
	control-enable: no
zone:
	name: %[3]s
	zonefile: zone
`, s.dir, s.port(), testZone))
	s.argv = []string{"nsd", "-d", "-c", s.path("nsd.conf")}
	s.start(t)
	return s
}
