package main

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"dnsgate/internal/records"

	gossh "golang.org/x/crypto/ssh"
)

// settling is how long a server is left alone before its memory is read.
const settling = 4 * time.Second

// memory: what the gateway holds, and how long it takes to start.
func (b *bench) memory() error {
	t := newTable("memory and start", "figure", "value")
	binary, err := os.Stat(b.dnsgate)
	if err != nil {
		return err
	}
	t.add("size of the binary", mib(binary.Size()))
	if err := b.connections(t); err != nil {
		return err
	}
	if err := b.million(t); err != nil {
		return err
	}
	t.print()
	return nil
}

// connections: idle ones, with and without a login.
func (b *bench) connections(t *table) error {
	s, err := b.scene(0, 0)
	if err != nil {
		return err
	}
	folder, err := b.folder()
	if err != nil {
		return err
	}
	if err := b.prepareGateway(s, folder); err != nil {
		return err
	}
	srv, took, err := b.serveGateway(s, folder)
	if err != nil {
		return err
	}
	defer srv.stop()
	t.add("start, empty store", ms(took)+" ms")
	time.Sleep(settling)
	idle, err := srv.rss()
	if err != nil {
		return err
	}
	t.add("RSS, idle", mib(idle))
	var open []interface{ Close() error }
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for _, kind := range []struct {
		name string
		dial func(i int) (interface{ Close() error }, error)
	}{
		{"idle authenticated connections", func(i int) (interface{ Close() error }, error) {
			var c *gossh.Client
			c, err := srv.dial(i, i%len(s.signers))
			return c, err
		}},
		{"silent unauthenticated connections", func(i int) (interface{ Close() error }, error) {
			return net.Dial("tcp", srv.address)
		}},
	} {
		before, err := srv.rss()
		if err != nil {
			return err
		}
		for i := range b.idle {
			c, err := kind.dial(i)
			if err != nil {
				return fmt.Errorf("connection %d: %w", i, err)
			}
			open = append(open, c)
		}
		time.Sleep(settling)
		after, err := srv.rss()
		if err != nil {
			return err
		}
		t.add(fmt.Sprintf("RSS with %d %s more", b.idle, kind.name),
			fmt.Sprintf("%s, %.1f KiB each", mib(after), float64(after-before)/1024/float64(b.idle)))
	}
	return nil
}

// million: a store with very many hosts.
func (b *bench) million(t *table) error {
	s, err := b.scene(0, 0)
	if err != nil {
		return err
	}
	s.wide = true
	folder, err := b.folder()
	if err != nil {
		return err
	}
	if err := b.prepareGateway(s, folder); err != nil {
		return err
	}
	backup := filepath.Join(folder, "backup")
	if err := b.writeBackup(backup); err != nil {
		return err
	}
	hosts := count(float64(b.hosts)) + " hosts: "
	took, err := restore(b.dnsgate, folder, backup)
	if err != nil {
		return err
	}
	t.add(hosts+"dnsgate restore", fmt.Sprintf("%.1f s", took.Seconds()))
	for _, first := range []bool{true, false} {
		if err := b.startLarge(s, folder, hosts, first, t); err != nil {
			return err
		}
	}
	return nil
}

// startLarge starts the gateway on the large store; the first time there is no
// data.cdb yet.
func (b *bench) startLarge(s *scene, folder, hosts string, first bool, t *table) error {
	began := time.Now()
	srv, took, err := b.serveGateway(s, folder)
	if err != nil {
		return err
	}
	defer srv.stop()
	if _, err := srv.await(func() bool { return srv.update(0, 0, s.nextAddress()) == nil }); err != nil {
		return err // dnserr, for a while, where the disk is slow
	}
	if first {
		t.add(hosts+"start until data.cdb is built and an update is published", fmt.Sprintf("%.1f s", time.Since(began).Seconds()))
		return nil
	}
	t.add(hosts+"start until it listens", fmt.Sprintf("%.1f s", took.Seconds()))
	t.add(hosts+"start until a first update is published", fmt.Sprintf("%.1f s", time.Since(began).Seconds()))
	time.Sleep(settling)
	rss, err := srv.rss()
	if err != nil {
		return err
	}
	t.add(hosts+"RSS", mib(rss))
	peak, err := srv.peak()
	if err != nil {
		return err
	}
	t.add(hosts+"RSS, the most of that start", mib(peak))
	var times []time.Duration
	for range 5 {
		began := time.Now()
		if err := srv.update(0, 0, s.nextAddress()); err != nil {
			return err
		}
		times = append(times, time.Since(began))
		time.Sleep(settling / 4)
	}
	t.add(hosts+"one update, connection and data.cdb included", ms(median(times))+" ms")
	if rss, err = srv.rss(); err != nil {
		return err
	}
	t.add(hosts+"RSS after updates", mib(rss))
	return nil
}

func (b *bench) writeBackup(path string) (err error) {
	return writeFile(path, 0o600, func(w *bufio.Writer) {
		backup := records.NewBackupWriter(w)
		at := time.Now().UTC().Truncate(time.Second)
		for i := range b.hosts {
			address := netip.AddrFrom4([4]byte{12, byte(i >> 16), byte(i >> 8), byte(i)})
			state := []records.Record{{Addr: address}}
			backup.Write(records.Change{
				Revision: uint64(i + 1), Time: at, Name: records.Name(hostName(i)),
				Old: state, New: state, TTL: 300, Key: "backup", Source: "-",
			})
		}
		backup.Close(uint64(b.hosts))
	})
}

func restore(dnsgate, folder, backup string) (time.Duration, error) {
	in, err := os.Open(backup)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	cmd := exec.Command(dnsgate, "restore", "--config", filepath.Join(folder, "dnsgate.toml"))
	cmd.Stdin = in
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("dnsgate restore: %w: %s", err, out)
	}
	return time.Since(began), nil
}
