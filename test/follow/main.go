// Command follow measures a gateway and a follower with many hosts: the first whole,
// what both hold in memory, and how long an update takes with require = 1.
//
//	go run ./test/follow [-hosts 1000000] [-updates 500]
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/records"
)

func main() {
	hosts := flag.Int("hosts", 1_000_000, "hosts of the gateway")
	updates := flag.Int("updates", 500, "updates, one after the other")
	flag.Parse()
	folder, err := os.MkdirTemp("", "follow")
	check(err)
	defer os.RemoveAll(folder)
	m := &machine{folder, filepath.Join(folder, "dnsgate")}
	run("go", "build", "-o", m.dnsgate, "./cmd/dnsgate")
	m.prepare(*hosts)

	gateway := m.start("gate.log", "serve", "--config", m.path("gate/dnsgate.toml"))
	defer stop(gateway)
	port := m.await("gate.log", `address="?127\.0\.0\.1:(\d+)`)
	m.config(port)
	m.awaitFile(m.path("gate/root/data.cdb"))
	before := resident(gateway)

	began := time.Now()
	follower := m.start("two.log", "follow", "--config", m.path("two/dnsgate.toml"))
	defer stop(follower)
	m.await("two.log", `msg=(serving)`)
	fmt.Printf("%d hosts: the first whole served after %.2f s\n", *hosts, time.Since(began).Seconds())
	fmt.Printf("gateway: %d MiB before, %d MiB after; follower: %d MiB\n", before, resident(gateway), resident(follower))

	var took []time.Duration
	for i := range *updates {
		at := time.Now()
		run("ssh", "-F", m.path("ssh_config"), "gate", "update", "h1.example.com", fmt.Sprintf("203.0.113.%d", i%200+1))
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	if n := len(took); n > 0 {
		fmt.Printf("update by ssh with require = 1: p50 %v, p99 %v\n", took[n/2].Round(time.Millisecond), took[n*99/100].Round(time.Millisecond))
	}
}

type machine struct{ folder, dnsgate string }

func (m *machine) path(name string) string { return filepath.Join(m.folder, name) }

// prepare makes a gateway with so many hosts, and two keys.
func (m *machine) prepare(hosts int) {
	run(m.dnsgate, "init", m.path("gate"))
	check(os.MkdirAll(m.path("two/root"), 0o755))
	for _, file := range []string{"gate/root/data", "two/root/data"} {
		check(os.WriteFile(m.path(file), []byte(".example.com:127.0.0.1:a\n"), 0o644))
	}
	text, err := os.ReadFile(m.path("gate/dnsgate.toml"))
	check(err)
	config := strings.NewReplacer(`["[::]:2222"]`, `["127.0.0.1:0"]`, "require = 0 ", "require = 1 ", "updates_per_minute = 30 ", "updates_per_minute = 1000000 ").Replace(string(text))
	check(os.WriteFile(m.path("gate/dnsgate.toml"), []byte(config), 0o644))
	for key, words := range map[string][]string{"id": {"h1.example.com"}, "two/id_ed25519": {"--follow", ".example.com"}} {
		run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", m.path(key))
		add := exec.Command(m.dnsgate, append([]string{"key", "add", "--config", m.path("gate/dnsgate.toml")}, words...)...)
		add.Stdin, err = os.Open(m.path(key + ".pub"))
		check(err)
		check(add.Run())
	}
	backup, err := os.Create(m.path("backup"))
	check(err)
	w := records.NewBackupWriter(backup)
	for i := range hosts {
		address := netip.AddrFrom4([4]byte{198, byte(18 + i>>16&1), byte(i >> 8), byte(i)})
		check(w.Write(records.StateLine(records.Host{
			Name: records.Name(fmt.Sprintf("h%d.example.com", i)), Revision: uint64(i + 1), Session: 1, TTL: 300,
			Records: []records.Record{{Addr: address}},
		})))
	}
	check(w.Close(uint64(hosts)))
	restore := exec.Command(m.dnsgate, "restore", "--config", m.path("gate/dnsgate.toml"))
	restore.Stdin, err = os.Open(backup.Name())
	check(err)
	check(restore.Run())
}

// config makes what is only known with the gateway's port.
func (m *machine) config(port string) {
	key, err := os.ReadFile(m.path("gate/ssh_host_ed25519_key.pub"))
	if err != nil {
		out, err := exec.Command("ssh-keygen", "-y", "-f", m.path("gate/ssh_host_ed25519_key")).Output()
		check(err)
		key = out
	}
	check(os.WriteFile(m.path("two/known_hosts"), fmt.Appendf(nil, "[127.0.0.1]:%s %s", port, key), 0o644))
	check(os.WriteFile(m.path("two/dnsgate.toml"), fmt.Appendf(nil, "[limits]\nmax_hosts = 10000000\n[follow]\ngateway = [\"127.0.0.1:%s\"]\nnames = [\".example.com\"]\n[tinydns]\n", port), 0o644))
	check(os.WriteFile(m.path("ssh_config"), fmt.Appendf(nil, "Host gate\nHostName 127.0.0.1\nPort %s\nUserKnownHostsFile %s\nIdentityFile %s\nIdentitiesOnly yes\nBatchMode yes\nControlMaster auto\nControlPath %s\nControlPersist 60\n",
		port, m.path("two/known_hosts"), m.path("id"), m.path("master")), 0o644))
}

func (m *machine) start(log string, words ...string) *exec.Cmd {
	file, err := os.Create(m.path(log))
	check(err)
	c := exec.Command(m.dnsgate, words...)
	c.Stderr = file
	check(c.Start())
	return c
}

func stop(c *exec.Cmd) { c.Process.Signal(os.Interrupt); c.Wait() }

// await waits until a log matches, and returns what its group has.
func (m *machine) await(log, pattern string) string {
	for {
		text, err := os.ReadFile(m.path(log))
		check(err)
		if found := regexp.MustCompile(pattern).FindSubmatch(text); found != nil {
			return string(found[1])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// awaitFile waits until a file is there.
func (m *machine) awaitFile(path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// resident is what a process holds, in MiB.
func resident(c *exec.Cmd) (mebibytes int) {
	time.Sleep(3 * time.Second) // what was only needed for a moment is given back
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
	check(err)
	found := regexp.MustCompile(`VmRSS:\s+(\d+)`).FindSubmatch(text)
	fmt.Sscan(string(found[1]), &mebibytes)
	return mebibytes / 1024
}

func run(words ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, words[0], words[1:]...).CombinedOutput(); err != nil {
		log.Fatalf("%v: %v\n%s", words, err, out)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
