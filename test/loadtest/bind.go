package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	tsigName   = "loadtest."
	tsigSecret = "bG9hZHRlc3QgbG9hZHRlc3QgbG9hZHRlc3QgbG9hZA==" // of servers that live for a minute
)

const namedConfig = `options {
	directory "%[1]s";
	listen-on port %[2]s { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	recursion no;
	notify no;
};
controls { };
key "loadtest" { algorithm hmac-sha256; secret "%[3]s"; };
zone "dyn.example.com" {
	type primary;
	file "zone";
	allow-update { key "loadtest"; };
};
`

// startBIND starts named with the hosts and as many static names in a zone.
func (b *bench) startBIND(s *scene, folder string) (*server, error) {
	address := freeAddress()
	_, port, _ := net.SplitHostPort(address)
	config := filepath.Join(folder, "named.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, namedConfig, folder, port, tsigSecret), 0o644); err != nil {
		return nil, err
	}
	key := fmt.Sprintf("key \"loadtest\" { algorithm hmac-sha256; secret \"%s\"; };\n", tsigSecret)
	if err := os.WriteFile(filepath.Join(folder, "tsig.key"), []byte(key), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(folder, "zone"), zoneFile(s), 0o644); err != nil {
		return nil, err
	}
	p, err := start(folder, "named", "-f", "-c", config)
	if err != nil {
		return nil, err
	}
	srv := &server{process: p, address: address, scene: s}
	_, err = p.await(func() bool {
		query := new(dns.Msg).SetQuestion(zone+".", dns.TypeSOA)
		reply, _, err := (&dns.Client{Timeout: 100 * time.Millisecond}).Exchange(query, address)
		return err == nil && len(reply.Answer) == 1
	})
	return srv, err
}

func zoneFile(s *scene) []byte {
	var zone bytes.Buffer
	fmt.Fprintln(&zone, "$TTL 300\n@ SOA ns.example.com. hostmaster.example.com. 1 3600 600 86400 300\n@ NS ns.example.com.")
	for i := range s.static {
		fmt.Fprintf(&zone, "static%d A 192.0.2.%d\n", i, i%250)
	}
	return zone.Bytes()
}

// byLibrary has clients that each send one signed UDP message.
func (s *server) byLibrary() *server {
	lib := *s
	lib.name = "BIND 9: signed UPDATE over UDP, a library's"
	lib.update = func(_, host int, address string) error {
		m := new(dns.Msg).SetUpdate(zone + ".")
		name := hostName(host) + "."
		m.RemoveRRset([]dns.RR{&dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA}}})
		m.Insert([]dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300},
			A:   net.ParseIP(address),
		}})
		m.SetTsig(tsigName, dns.HmacSHA256, 300, time.Now().Unix())
		client := &dns.Client{Timeout: 10 * time.Second, TsigSecret: map[string]string{tsigName: tsigSecret}}
		reply, _, err := client.Exchange(m, s.address)
		if err == nil && reply.Rcode != dns.RcodeSuccess {
			err = fmt.Errorf("update: %s", dns.RcodeToString[reply.Rcode])
		}
		return err
	}
	return &lib
}

// byNsupdate has clients that are a process each time.
func (s *server) byNsupdate() *server {
	tool := *s
	tool.name = "BIND 9: one nsupdate each"
	host, port, _ := net.SplitHostPort(s.address)
	key := filepath.Join(s.cmd.Dir, "tsig.key")
	tool.update = func(_, i int, address string) error {
		cmd := exec.Command("nsupdate", "-k", key)
		cmd.Stdin = strings.NewReader(fmt.Sprintf("server %[1]s %[2]s\nzone %[3]s\nupdate delete %[4]s A\nupdate add %[4]s 300 A %[5]s\nsend\n",
			host, port, zone, hostName(i), address))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("nsupdate: %w: %s", err, out)
		}
		return nil
	}
	return &tool
}
