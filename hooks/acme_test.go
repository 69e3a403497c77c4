package hooks_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dnsgate/test/rig"
)

// acmeURL is where pebble, the ACME server of Let's Encrypt for tests, listens
// on the gateway's machine.
const acmeURL = "https://acme.example.test:14000/dir"

// newACME starts djb's name servers on what the gateway writes, and an ACME
// server that believes them, or a resolver.
func newACME(t *testing.T, dns string, conf ...string) *network {
	t.Helper()
	rig.Needs(t, "tinydns", "axfrdns", "tcpserver", "openssl")
	server, err := pebble()
	if err != nil {
		rig.Absent(t, err.Error())
	}
	n := newNetwork(t, conf...)

	env := append(slices.Clone(rig.Path), "IP="+gate4, "UID=0", "GID=0", "ROOT="+n.dir+"/root", "AXFR=")
	n.gate.Start(t, env, "tinydns")
	n.gate.Start(t, env, "tcpserver", "-HR", "-l0", gate4, "53", "axfrdns") // pebble asks over TCP
	n.gate.Must(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
		"-subj", "/CN=acme.example.test", "-addext", "subjectAltName=DNS:acme.example.test",
		"-keyout", n.dir+"/acme.key", "-out", n.dir+"/acme.crt")
	n.gate.Write(t, n.dir+"/pebble.json", `{"pebble": {"listenAddress": "`+gate4+`:14000", "managementListenAddress": "127.0.0.1:15000",
		"certificate": "`+n.dir+`/acme.crt", "privateKey": "`+n.dir+`/acme.key", "httpPort": 80, "tlsPort": 443}}`, 0o644)
	said := n.gate.Start(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"}, server, "-strict", "-config", n.dir+"/pebble.json", "-dnsserver", dns)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("pebble said:\n%s", said)
		}
	})
	rig.Wait(t, "pebble and the name servers listen", func() bool {
		return n.gate.Listens(t, "14000") && n.gate.Listens(t, "53") && n.gate.Must(t, "ss", "-Hlun", "sport = :53") != ""
	})

	// tinydns is silent about names that are not its own.
	n.home.Write(t, "/etc/resolv.conf", "nameserver "+gate4+"\noptions timeout:1 attempts:1\n", 0o644)
	n.home.Must(t, "sh", "-c", "echo "+gate4+" acme.example.test >>/etc/hosts; cp "+n.dir+"/acme.crt /root/acme.crt")
	return n
}

// pebble builds the ACME server once, beside dnsgate, from the Go module proxy
// and not from this module.
var pebble = sync.OnceValues(func() (string, error) {
	dir := os.Getenv("HOME") // the one that rig gives the tests
	cmd := exec.Command("go", "install", "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1")
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("pebble: %w: %s", err, out)
	}
	return filepath.Join(dir, "pebble"), nil
})

// issued checks that file on home is a certificate for the host and for all
// names below it, and that no challenge is left.
func (n *network) issued(t *testing.T, file string) {
	t.Helper()
	block, _ := pem.Decode([]byte(n.home.Must(t, "cat", file)))
	if block == nil {
		t.Fatalf("%s holds no certificate", file)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	rig.Must(t, err)
	slices.Sort(cert.DNSNames)
	if names := strings.Join(cert.DNSNames, " "); names != "*.home.example.test home.example.test" {
		t.Errorf("the certificate is for %s", names)
	}
	n.expect(t, "")
	if history := n.ssh(t, "history"); !strings.Contains(history, "_acme-challenge.home.example.test") {
		t.Errorf("no challenge was published:\n%s", history)
	}
}

func TestDehydrated(t *testing.T) {
	rig.Needs(t, "dehydrated", "curl")
	n := newACME(t, gate4+":53")
	for name, chain := range map[string]string{"one": "no", "all": "yes"} {
		dir := "/root/" + name
		n.home.Write(t, dir+"/config", "CA="+acmeURL+"\nCURL_OPTS='--cacert /root/acme.crt'\nBASEDIR="+dir+"\nHOOK_CHAIN="+chain+"\nACCOUNT_KEYSIZE=2048\n", 0o644)
		n.home.Must(t, "dehydrated", "-f", dir+"/config", "--register", "--accept-terms")
		n.home.Must(t, "dehydrated", "-f", dir+"/config", "-c", "-t", "dns-01", "-k", here(t, "acme/dehydrated"),
			"-d", "home.example.test", "-d", "*.home.example.test")
		n.issued(t, dir+"/certs/home.example.test/cert.pem")
	}
}

func TestLego(t *testing.T) {
	rig.Needs(t, "lego")
	n := newACME(t, gate4+":53")
	env := append(slices.Clone(rig.Path), "LEGO_CA_CERTIFICATES=/root/acme.crt", "EXEC_SEQUENCE_INTERVAL=1", "EXEC_PATH="+here(t, "acme/lego"))
	r := n.home.RunIn(t, env, "lego", "--path", "/root/lego", "--server", acmeURL, "--accept-tos", "--email", "you@example.test",
		"--dns", "exec", "--dns.resolvers", gate4+":53", "--dns-timeout", "1", "-d", "home.example.test", "-d", "*.home.example.test", "run")
	if r.Status != 0 {
		t.Fatalf("status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
	n.issued(t, "/root/lego/certificates/home.example.test.crt")
}

func TestCertbot(t *testing.T) {
	rig.Needs(t, "certbot")
	n := newACME(t, gate4+":53")
	r := n.home.RunIn(t, append(slices.Clone(rig.Path), "REQUESTS_CA_BUNDLE=/root/acme.crt"), "certbot", "certonly", "-n", "--manual", "--preferred-challenges", "dns",
		"--manual-auth-hook", here(t, "acme/certbot-auth"), "--manual-cleanup-hook", here(t, "acme/certbot-cleanup"),
		"--agree-tos", "--register-unsafely-without-email", "--server", acmeURL, "--config-dir", "/root/certbot",
		"--work-dir", "/root/certbot", "--logs-dir", "/root/certbot", "-d", "home.example.test", "-d", "*.home.example.test")
	if r.Status != 0 {
		t.Fatalf("status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
	n.issued(t, "/root/certbot/live/home.example.test/cert.pem")
}

// TestACMEAliasIssued: certbot and dehydrated get a certificate for a name whose
// challenge is a CNAME record that leads to the gateway's zone, as a resolver
// (BIND) follows it.
func TestACMEAliasIssued(t *testing.T) {
	rig.Needs(t, "certbot", "dehydrated", "curl", "named")
	n := newACME(t, gate4+":5300", "acme_alias www.example.org home.example.test")
	n.gate.Write(t, n.dir+"/root/data", ".example.test:"+gate4+":a.ns.example.test:259200\n.example.org:"+gate4+":a.ns.example.org:259200\n"+
		"C_acme-challenge.www.example.org:_acme-challenge.home.example.test.\n", 0o644)
	n.gate.Write(t, "/etc/bind/alias.conf", `options { directory "/run"; pid-file none; listen-on port 5300 { `+gate4+`; }; listen-on-v6 { none; }; recursion yes; dnssec-validation no; max-cache-ttl 0; max-ncache-ttl 0; };
controls {};
zone "example.test" { type static-stub; server-addresses { `+gate4+`; }; };
zone "example.org" { type static-stub; server-addresses { `+gate4+`; }; };
`, 0o644)
	said := n.gate.Start(t, rig.Path, "named", "-g", "-c", "/etc/bind/alias.conf")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("named said:\n%s", said)
		}
	})
	rig.Wait(t, "named listens", func() bool { return n.gate.Listens(t, "5300") })

	n.home.Write(t, "/root/d/config", "CA="+acmeURL+"\nCURL_OPTS='--cacert /root/acme.crt'\nBASEDIR=/root/d\nACCOUNT_KEYSIZE=2048\n", 0o644)
	n.home.Must(t, "dehydrated", "-f", "/root/d/config", "--register", "--accept-terms")
	n.home.Must(t, "dehydrated", "-f", "/root/d/config", "-c", "-t", "dns-01", "-k", here(t, "acme/dehydrated"), "-d", "www.example.org", "-d", "*.www.example.org")
	r := n.home.RunIn(t, append(slices.Clone(rig.Path), "REQUESTS_CA_BUNDLE=/root/acme.crt"), "certbot", "certonly", "-n", "--manual", "--preferred-challenges", "dns",
		"--manual-auth-hook", here(t, "acme/certbot-auth"), "--manual-cleanup-hook", here(t, "acme/certbot-cleanup"),
		"--agree-tos", "--register-unsafely-without-email", "--server", acmeURL, "--config-dir", "/root/certbot",
		"--work-dir", "/root/certbot", "--logs-dir", "/root/certbot", "-d", "www.example.org")
	if r.Status != 0 {
		t.Fatalf("status %d\n%s%s", r.Status, r.Stdout, r.Stderr)
	}
	for _, file := range []string{"/root/d/certs/www.example.org/cert.pem", "/root/certbot/live/www.example.org/cert.pem"} {
		if names := n.home.Must(t, "openssl", "x509", "-in", file, "-noout", "-ext", "subjectAltName"); !strings.Contains(names, "DNS:www.example.org") {
			t.Errorf("%s is for %s", file, names)
		}
	}
	n.expect(t, "")
}

// TestACMEAlias: challenges of a name that this key may not set are sent as those
// of the name that a CNAME record leads to, by each hook.
func TestACMEAlias(t *testing.T) {
	n := newNetwork(t, "retry 0", "acme_alias www.example.org home.example.test")
	const value = "Vw0-a_bC1dEfGhIjKlMnOpQrStUvWxYz0123456789A"
	there := `_acme-challenge.home.example.test. TXT "` + value + `"`
	certbot := []string{"CERTBOT_DOMAIN=www.example.org", "CERTBOT_VALIDATION=" + value}
	for _, step := range []struct {
		env  []string
		args []string
		want string
	}{
		{certbot, []string{here(t, "acme/certbot-auth")}, there},
		{certbot, []string{here(t, "acme/certbot-cleanup")}, ""},
		{nil, []string{here(t, "acme/dehydrated"), "deploy_challenge", "www.example.org", "token", value}, there},
		{nil, []string{here(t, "acme/dehydrated"), "clean_challenge", "*.WWW.example.org", "token", value}, ""},
		{nil, []string{here(t, "acme/lego"), "present", "_acme-challenge.www.example.org.", value}, there},
		{nil, []string{here(t, "acme/lego"), "cleanup", "_acme-challenge.www.example.org.", value}, ""},
	} {
		r := n.home.RunIn(t, slices.Concat(step.env, rig.Path), step.args...)
		if got := n.records(t); r.Status != 0 || got != step.want {
			t.Errorf("%q: status %d, records %s, want %s\n%s%s", step.args, r.Status, got, step.want, r.Stdout, r.Stderr)
		}
	}
}

// TestACMEHooks calls the hooks as their clients do: with operations that they
// must leave alone, values side by side, and a gateway that says no.
func TestACMEHooks(t *testing.T) {
	n := newNetwork(t, "retry 0")
	const one, two = "Vw0-a_bC1dEfGhIjKlMnOpQrStUvWxYz0123456789A", "-leading_hyphen-QrStUvWxYz0123456789AbCdEfG"
	text := func(values ...string) string {
		for i, v := range values {
			values[i] = `_acme-challenge.home.example.test. TXT "` + v + `"`
		}
		slices.Sort(values)
		return strings.Join(values, ", ")
	}
	dehydrated, lego := here(t, "acme/dehydrated"), here(t, "acme/lego")
	acmesh := func(call, name, value string) []string {
		return []string{"sh", "-c", `. "$1"; "$2" "$3" "$4"`, "acme.sh", here(t, "acme/dns_dnsgate.sh"), call, name, value}
	}
	steps := []struct {
		env    []string
		args   []string
		status int
		want   string
	}{
		{nil, []string{dehydrated, "startup_hook"}, 0, ""},
		{nil, []string{dehydrated, "this_hookscript_is_broken__dehydrated_is_working_fine__please_ignore_unknown_hooks_in_your_script"}, 0, ""},
		{nil, []string{dehydrated, "deploy_cert", "home.example.test", "key", "cert", "full", "chain", "1"}, 0, ""},
		{nil, []string{dehydrated, "deploy_challenge", "home.example.test", "token", one}, 0, text(one)},
		{nil, []string{dehydrated, "clean_challenge", "home.example.test", "token", one}, 0, ""},
		{nil, []string{dehydrated, "deploy_challenge", "home.example.test", "t", one, "home.example.test", "t", two}, 0, text(one, two)},
		{nil, []string{dehydrated, "clean_challenge", "home.example.test", "t", one, "home.example.test", "t", two}, 0, ""},
		{nil, []string{dehydrated, "deploy_challenge", "other.example.test", "token", one}, 77, ""},
		{nil, []string{dehydrated, "deploy_challenge", "home.example.test", "token", "$(id)"}, 65, ""},
		{nil, []string{lego, "present", "_acme-challenge.home.example.test.", one}, 0, text(one)},
		{nil, []string{lego, "present", "_acme-challenge.home.example.test.", two}, 0, text(one, two)},
		{nil, []string{lego, "cleanup", "_acme-challenge.home.example.test.", one}, 0, text(two)},
		{nil, []string{lego, "timeout"}, 0, text(two)},
		{nil, []string{lego, "present", "--", "home.example.test", "token", "keyauth"}, 64, text(two)},
		{[]string{"CERTBOT_DOMAIN=home.example.test", "CERTBOT_VALIDATION=" + one}, []string{here(t, "acme/certbot-auth")}, 0, text(one, two)},
		{[]string{"CERTBOT_DOMAIN=home.example.test", "CERTBOT_VALIDATION=" + one, "CERTBOT_AUTH_OUTPUT="}, []string{here(t, "acme/certbot-cleanup")}, 0, text(two)},
		{[]string{"CERTBOT_DOMAIN=other.example.test", "CERTBOT_VALIDATION=" + one}, []string{here(t, "acme/certbot-auth")}, 77, text(two)},
		{nil, acmesh("dns_dnsgate_rm", "_acme-challenge.home.example.test", two), 0, ""},
		{nil, acmesh("dns_dnsgate_add", "_acme-challenge.home.example.test", one), 0, text(one)},
		{nil, acmesh("dns_dnsgate_add", "_acme-challenge.home.example.test", two), 0, text(one, two)},
		{nil, acmesh("dns_dnsgate_rm", "_acme-challenge.home.example.test", one), 0, text(two)},
		{nil, acmesh("dns_dnsgate_add", "_acme-challenge.other.example.test", one), 77, text(two)},
	}
	for _, step := range steps {
		r := n.home.RunIn(t, slices.Concat(step.env, rig.Path), step.args...)
		if r.Status != step.status {
			t.Errorf("%q: status %d, want %d\n%s%s", step.args, r.Status, step.status, r.Stdout, r.Stderr)
		}
		if got := n.records(t); got != step.want {
			t.Errorf("%q: records %s, want %s", step.args, got, step.want)
		}
	}
}
