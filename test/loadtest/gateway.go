package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"
)

const gatewayName = "dnsgate: durable, data.cdb built"

// timerSlack is TimerSlackNSec= of dist/dnsgate.service.
const timerSlack = 4 * time.Millisecond

// gatewayConfig differs from the default in what would refuse a load test.
const gatewayConfig = `listen = ["127.0.0.1:0"]
[limits]
max_startups = 2000
per_source_startups = 2000
max_sessions = %d
idle_timeout = "10m"
max_connection = "60m"
updates_per_minute = 1000000
max_hosts_per_key = 1000000
[tinydns]
sources = ["data"]
`

// prepareGateway makes a gateway's folder as its operator would.
func (b *bench) prepareGateway(s *scene, folder string) error {
	if out, err := exec.Command(b.dnsgate, "init", folder).CombinedOutput(); err != nil {
		return fmt.Errorf("dnsgate init: %w: %s", err, out)
	}
	config := fmt.Sprintf(gatewayConfig, 2*heldSessions) // one may not be gone yet when the next comes
	if err := os.WriteFile(filepath.Join(folder, "dnsgate.toml"), []byte(config), 0o644); err != nil {
		return err
	}
	if err := s.staticData(filepath.Join(folder, "root", "data")); err != nil {
		return err
	}
	return s.authorizedKeys(filepath.Join(folder, "authorized_keys"), "dnsgate allow")
}

func (b *bench) startGateway(s *scene, folder string) (*server, error) {
	if err := b.prepareGateway(s, folder); err != nil {
		return nil, err
	}
	srv, _, err := b.serveGateway(s, folder)
	return srv, err
}

// startBefore starts the binary that is to be compared with, if there is one.
func (b *bench) startBefore(s *scene, folder string) (*server, error) {
	if b.before == "" {
		return nil, nil
	}
	earlier := *b
	earlier.dnsgate = b.before
	srv, err := earlier.startGateway(s, folder)
	if srv != nil {
		srv.name = "dnsgate before"
	}
	return srv, err
}

var listening = regexp.MustCompile(`msg=listening address=(\S+)`)

// serveGateway runs dnsgate in a folder that is there, and tells how long it
// took to listen.
func (b *bench) serveGateway(s *scene, folder string) (*server, time.Duration, error) {
	p, err := startWithSlack(timerSlack, folder, b.dnsgate, "serve", "--config", filepath.Join(folder, "dnsgate.toml"))
	if err != nil {
		return nil, 0, err
	}
	var address string
	took, err := p.await(func() bool {
		log, _ := os.ReadFile(p.log)
		found := listening.FindSubmatch(log)
		if found != nil {
			address = string(found[1])
		}
		return found != nil
	})
	if err != nil {
		return nil, 0, err
	}
	srv, err := newSSHServer(gatewayName, p, s, address)
	return srv, took, err
}
