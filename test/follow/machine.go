package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"dnsgate/internal/records"
	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// machine has a folder for all set-ups, and the program.
type machine struct{ folder, dnsgate string }

func (m *machine) build() {
	m.dnsgate = filepath.Join(m.folder, "dnsgate")
	run("", "go", "build", "-o", m.dnsgate, "./cmd/dnsgate")
}

// daemon is a gateway or a follower that runs.
type daemon struct {
	*machine
	dir     string
	process *exec.Cmd
	started time.Time
	address string // of a gateway
}

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }

// gateway starts one with so many hosts in each of some zones.
func (m *machine) gateway(name string, zones, hosts int) *daemon {
	d := &daemon{machine: m, dir: filepath.Join(m.folder, name)}
	run("", m.dnsgate, "init", d.dir)
	check(os.WriteFile(d.path("root/data"), []byte(".example.com:127.0.0.1:a\n"), 0o644))
	text, err := os.ReadFile(d.path("dnsgate.toml"))
	check(err)
	config := strings.NewReplacer(`["[::]:2222"]`, `["127.0.0.1:0"]`, "updates_per_minute = 30 ", "updates_per_minute = 1000000 ").Replace(string(text))
	check(os.WriteFile(d.path("dnsgate.toml"), []byte(config), 0o644))
	var backup bytes.Buffer
	w := records.NewBackupWriter(&backup)
	for i := range zones * hosts {
		address := netip.AddrFrom4([4]byte{198, byte(18 + i>>16&1), byte(i >> 8), byte(i)})
		check(w.Write(records.StateLine(records.Host{
			Name: records.Name(fmt.Sprintf("h%d.z%d.example.com", i%hosts, i/hosts)), Revision: uint64(i + 1), Session: 1764374400e6, TTL: 300,
			Records: []records.Record{{Addr: address}},
		})))
	}
	check(w.Close(uint64(zones * hosts)))
	run(backup.String(), m.dnsgate, "restore", "--config", d.path("dnsgate.toml"))
	d.start("serve")
	d.address = d.await(`address="?(127\.0\.0\.1:\d+)`)
	for {
		if _, err := os.Stat(d.path("root/data.cdb")); err == nil {
			return d
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// authorize makes a key for the gateway.
func (d *daemon) authorize(words ...string) ssh.Signer {
	_, key, err := ed25519.GenerateKey(nil)
	check(err)
	signer, err := ssh.NewSignerFromKey(key)
	check(err)
	run(string(ssh.MarshalAuthorizedKey(signer.PublicKey())), d.dnsgate, append([]string{"key", "add", "--config", d.path("dnsgate.toml")}, words...)...)
	return signer
}

// follower starts one that follows a gateway.
func (m *machine) follower(name string, g *daemon, suffix string) *daemon {
	d := &daemon{machine: m, dir: filepath.Join(m.folder, name)}
	check(os.MkdirAll(d.path("root"), 0o755))
	check(os.WriteFile(d.path("root/data"), []byte(".example.com:127.0.0.1:a\n"), 0o644))
	run("", "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", d.path("id_ed25519"))
	public, err := os.ReadFile(d.path("id_ed25519.pub"))
	check(err)
	run(string(public), m.dnsgate, "key", "add", "--config", g.path("dnsgate.toml"), "--follow", suffix)
	host, err := exec.Command("ssh-keygen", "-y", "-f", g.path("ssh_host_ed25519_key")).Output()
	check(err)
	_, port, _ := strings.Cut(g.address, ":")
	check(os.WriteFile(d.path("known_hosts"), fmt.Appendf(nil, "[127.0.0.1]:%s %s", port, host), 0o644))
	check(os.WriteFile(d.path("dnsgate.toml"), fmt.Appendf(nil, "[limits]\nmax_hosts = 20000000\n[follow]\ngateway = [%q]\nnames = [%q]\n[tinydns]\n", g.address, suffix), 0o644))
	time.Sleep(time.Second) // the key is known then
	d.start("follow")
	return d
}

func (d *daemon) start(command string) {
	file, err := os.Create(d.path("log"))
	check(err)
	d.process = exec.Command(d.dnsgate, command, "--config", d.path("dnsgate.toml"))
	d.process.Stderr = file
	d.started = time.Now()
	check(d.process.Start())
}

func (d *daemon) stop() { d.process.Process.Signal(os.Interrupt); d.process.Wait() }

// await waits until the log matches, and returns what its group has.
func (d *daemon) await(pattern string) string {
	wanted := regexp.MustCompile(pattern)
	for {
		text, err := os.ReadFile(d.path("log"))
		check(err)
		if found := wanted.FindSubmatch(text); found != nil {
			return string(found[1])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// resident is what the process holds at rest, and peak the most that it held, in MiB.
func (d *daemon) resident() int {
	time.Sleep(3 * time.Second) // what was only needed for a moment is given back
	return d.memory("VmRSS")
}

func (d *daemon) peak() int { return d.memory("VmHWM") }

func (d *daemon) memory(figure string) (mebibytes int) {
	kib, err := rig.Memory(d.process.Process.Pid, figure)
	check(err)
	return kib / 1024
}

// ticks is the CPU time of the process, in hundredths of a second.
func (d *daemon) ticks() (sum int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.process.Process.Pid))
	check(err)
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var user, system int
	fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	return user + system
}

// cpu is the part of a processor that is used for a while.
func (d *daemon) cpu(while time.Duration) float64 {
	before := d.ticks()
	time.Sleep(while)
	return float64(d.ticks()-before) / 100 / while.Seconds()
}

func run(stdin, program string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		log.Fatalf("%v: %v\n%s", c, err, out)
	}
}
