package authkeys

import (
	"crypto/ed25519"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshd is a real OpenSSH server that reads the same file as we do.
type sshd struct {
	dir   string
	ports map[string]string // by listening address
}

// startSSHD runs sshd in the foreground on loopback, in a zone eleven hours
// from UTC, until the test ends.
func startSSHD(t *testing.T) *sshd {
	program := needs(t, "sshd")
	if os.Geteuid() != 0 {
		t.Skip("sshd needs root here")
	}
	must(t, os.MkdirAll("/run/sshd", 0o755))          // its privilege separation folder
	dir, err := os.MkdirTemp("/run", "dnsgate-test-") // StrictModes does not like /tmp
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &sshd{dir: dir, ports: make(map[string]string)}
	must(t, os.Chmod(dir, 0o755))
	must(t, exec.Command(needs(t, "ssh-keygen"), "-qt", "ed25519", "-N", "", "-f", filepath.Join(s.dir, "host")).Run())
	conf := "UsePAM no\nPermitRootLogin yes\nStrictModes yes\nPidFile none\nMaxStartups 100\nAllowUsers root\n" +
		"HostKey " + s.dir + "/host\nAuthorizedKeysFile " + s.dir + "/authorized_keys\n"
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		must(t, err)
		_, s.ports[host], _ = net.SplitHostPort(l.Addr().String())
		conf += "ListenAddress " + l.Addr().String() + "\n"
		l.Close()
	}
	must(t, os.WriteFile(s.dir+"/conf", []byte(conf), 0o600))
	cmd := exec.Command(program, "-D", "-e", "-f", s.dir+"/conf")
	cmd.Env = append(os.Environ(), "TZ=XXX-11")
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", net.JoinHostPort("::1", s.ports["::1"]))
		if err == nil {
			conn.Close()
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal("sshd does not listen: ", err)
		}
	}
}

// accepts reports whether sshd lets the signer in from a loopback address.
func (s *sshd) accepts(t *testing.T, signer ssh.Signer, from string) bool {
	t.Helper()
	to := "127.0.0.1"
	if strings.Contains(from, ":") {
		to = "::1"
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", net.JoinHostPort(to, s.ports[to]))
	must(t, err)
	defer conn.Close()
	client, _, _, err := ssh.NewClientConn(conn, "sshd", &ssh.ClientConfig{
		User:            "root",
		Auth:            []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		if !strings.Contains(err.Error(), "unable to authenticate") {
			t.Fatal(err)
		}
		return false
	}
	client.Close()
	return true
}

// TestAgainstSSHD gives the same files to sshd and to us. Where a case is not
// marked as stricter, both must decide alike.
func TestAgainstSSHD(t *testing.T) {
	server := startSSHD(t)
	local := time.Local
	time.Local = time.FixedZone("XXX", 11*3600)
	defer func() { time.Local = local }()

	_, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	key := publicText(signer.PublicKey())

	for _, test := range sshdCases(key) {
		if test.from == "" {
			test.from = "127.0.0.1"
		}
		must(t, os.WriteFile(server.dir+"/authorized_keys", []byte(test.file), 0o600))
		set, faults, err := Load(server.dir + "/authorized_keys")
		must(t, err)
		_, refusal := set.Lookup(signer.PublicKey(), netip.MustParseAddr(test.from), time.Now())
		ours, theirs := refusal == nil, server.accepts(t, signer, test.from)
		want := "both " + verdict(test.want)
		if test.stricter {
			want = "sshd in, dnsgate out"
		}
		if theirs != (test.want || test.stricter) || ours != test.want {
			t.Errorf("%.300q from %s:\nsshd %s, dnsgate %s %v; want %s", test.file, test.from, verdict(theirs), verdict(ours), faults, want)
		}
	}
}

// TestStrictModesAgainstSSHD loosens and gives away the file, its folder and
// the link to it. sshd looks only at where a link leads, and Debian's lets the
// user's own group write; we are stricter in both.
func TestStrictModesAgainstSSHD(t *testing.T) {
	server := startSSHD(t)
	_, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(private)
	must(t, err)
	file, real := server.dir+"/authorized_keys", server.dir+"/real/keys"
	must(t, os.Mkdir(server.dir+"/real", 0o755))
	must(t, os.WriteFile(real, []byte(`command="dnsgate admin" `+publicText(signer.PublicKey())), 0o644))
	must(t, os.Symlink("real/keys", file))
	for _, test := range []struct {
		what     string
		change   func() error
		undo     func() error
		want     bool
		stricter bool // sshd, or Debian's, lets in
	}{
		{"nothing", nil, nil, true, false},
		{"group may write", func() error { return os.Chmod(real, 0o664) }, func() error { return os.Chmod(real, 0o644) }, false, true},
		{"others may write", func() error { return os.Chmod(real, 0o646) }, func() error { return os.Chmod(real, 0o644) }, false, false},
		{"another's", func() error { return os.Chown(real, 1, 0) }, func() error { return os.Chown(real, 0, 0) }, false, false},
		{"another's group", func() error { return os.Chown(real, 0, 1) }, func() error { return os.Chown(real, 0, 0) }, true, false},
		{"folder writable", func() error { return os.Chmod(filepath.Dir(real), 0o775) }, func() error { return os.Chmod(filepath.Dir(real), 0o755) }, false, true},
		{"another's folder", func() error { return os.Chown(filepath.Dir(real), 1, 1) }, func() error { return os.Chown(filepath.Dir(real), 0, 0) }, false, false},
		{"another's link", func() error { return os.Lchown(file, 1, 1) }, func() error { return os.Lchown(file, 0, 0) }, false, true},
		{"nothing again", nil, nil, true, false},
	} {
		if test.change != nil {
			must(t, test.change())
		}
		_, _, err := Load(file)
		theirs := server.accepts(t, signer, "127.0.0.1")
		if (err == nil) != test.want || theirs != (test.want || test.stricter) {
			t.Errorf("%s: sshd %s, dnsgate %v", test.what, verdict(theirs), err)
		}
		if test.undo != nil {
			must(t, test.undo())
		}
	}
}

func verdict(in bool) string {
	if in {
		return "in"
	}
	return "out"
}

type sshdCase struct {
	file     string
	from     string
	want     bool // dnsgate's verdict, and sshd's unless stricter
	stricter bool // sshd lets in
}

func sshdCases(key string) []sshdCase {
	command := `command="dnsgate allow home.example.com"`
	in := func(file string) sshdCase { return sshdCase{file: file, want: true} }
	out := func(file string) sshdCase { return sshdCase{file: file} }
	strict := func(file string) sshdCase { return sshdCase{file: file, stricter: true} }
	options := func(o string) string { return o + "," + command + " " + key + "\n" }

	cases := []sshdCase{
		in(command + " " + key),
		in(command + " " + key + "\n"),
		in(command + " " + key + "\r\n"),
		in(command + " " + key + " comment\r\n"),
		in("\r\n\n  # x\n \t" + command + "\t \t" + key + " #\n"),
		in("sesame " + key + "\n" + command + " " + key),
		in(options("RESTRICT,No-Pty")),
		in(options("no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc,no-verify-required")),
		in(options(",restrict,")),
		in(command + ", " + key),
		out("# " + command + " " + key),
		out(key[:len(key)-1]),
		out(command + " " + strings.Replace(key, "ssh-ed25519", "ssh-rsa", 1)),
		out(command + " " + strings.Replace(key, "ssh-ed25519", "Ssh-Ed25519", 1)),
		out(command + " " + strings.Replace(key, " ", "\n", 1)),
		out("\ufeff" + command + " " + key),
		out("x" + command + " " + key),
		out(options("sesame")),
		out(options("no-restrict")),
		out(options("no-command")),
		out(options("restrictx")),
		out(options(`restrict="x"`)),
		out(options(`restrict=x`)),
		out(options("restrict ")),
		out(options(command)),
		out(options(`from="127.0.0.1",from="127.0.0.1"`)),
		out(options("from=127.0.0.1")),
		out(options(`from="127.0.0.1`)),
		out(options(`from="127.0.0.1\"`)),
		out(options(`from="127.0.0.1"x`)),
		out(options(`from`)),
		out(options("cert-authority")),
		strict(key),
		strict("restrict " + key),
		strict(`command="dnsgate" ` + key),
		strict(`command="dnsgate allow \"a.b\"" ` + key),
		strict(options("restrict,restrict")),
		strict(options("pty")),
		strict(options("no-touch-required")),
		strict(options(`environment="A=b"`)),
		strict(options(`permitopen="localhost:1"`)),
		strict(options(`tunnel="1"`)),
		strict(command + " " + key + " a\x00b"),
		strict(command + " " + key + " " + strings.Repeat("x", MaxLine)),
		{file: "restrict " + key + "\n" + command + " " + key, want: true},
		{file: command + " " + key + "\nsesame " + key, want: true},
	}
	return append(append(cases, expiryCases(options)...), fromCases(options)...)
}

func expiryCases(options func(string) string) (cases []sshdCase) {
	now := time.Now()
	at := func(offset time.Duration, zone *time.Location, layout, suffix string) string {
		return options(fmt.Sprintf(`expiry-time="%s%s"`, now.Add(offset).In(zone).Format(layout), suffix))
	}
	for _, layout := range []string{expiryMinutes, expirySeconds} {
		for _, suffix := range []string{"Z", "z", "UTC", "utc"} {
			cases = append(cases,
				sshdCase{file: at(time.Hour, time.UTC, layout, suffix), want: true},
				sshdCase{file: at(-time.Hour, time.UTC, layout, suffix)},
			)
		}
		cases = append(cases,
			sshdCase{file: at(time.Hour, time.Local, layout, ""), want: true},
			sshdCase{file: at(-time.Hour, time.Local, layout, "")},
			sshdCase{file: at(-time.Hour, time.UTC, layout, "")},
			sshdCase{file: at(time.Hour, time.UTC, layout, "")}, // the same digits, eleven hours ago
		)
	}
	return append(cases,
		sshdCase{file: at(48*time.Hour, time.UTC, expiryDay, ""), want: true},
		sshdCase{file: at(-48*time.Hour, time.UTC, expiryDay, "Z")},
		sshdCase{file: options(`expiry-time=""`)},
		sshdCase{file: options(`expiry-time="Z"`)},
		sshdCase{file: options(`expiry-time="2099"`)},
		sshdCase{file: options(`expiry-time="209901010"`)},
		sshdCase{file: options(`expiry-time="20991301"`)},
		sshdCase{file: options(`expiry-time="2099-01-01"`)},
		sshdCase{file: options(`expiry-time="20990101GMT"`)},
		sshdCase{file: options(`expiry-time="20990231"`), stricter: true},
		sshdCase{file: options(`expiry-time="20990101000060"`), stricter: true},
		sshdCase{file: options(`expiry-time="20990101",expiry-time="20990101"`), stricter: true},
	)
}

func fromCases(options func(string) string) (cases []sshdCase) {
	for _, c := range []struct {
		list, from string
		want       bool
		stricter   bool
	}{
		{"127.0.0.1", "127.0.0.1", true, false},
		{"127.0.0.1", "127.0.0.2", false, false},
		{"127.0.0.0/8", "127.9.9.9", true, false},
		{"127.0.0.0/31", "127.0.0.2", false, false},
		{"127.0.0.1/8", "127.0.0.1", false, false},
		{"127.0.0.0/8,10.0.0.1/8", "127.0.0.1", false, false},
		{"10.0.0.1/8,127.0.0.0/8", "127.0.0.1", false, false},
		{"!127.0.0.9,127.0.0.0/8", "127.0.0.1", true, false},
		{"!127.0.0.9,127.0.0.0/8", "127.0.0.9", false, false},
		{"127.0.0.0/8,!127.0.0.9", "127.0.0.9", false, false},
		{"127.*,!127.0.0.?", "127.0.0.9", false, false},
		{"127.*,!127.0.0.?", "127.0.0.10", true, false},
		{"!10.0.0.1", "127.0.0.1", false, false},
		{"!10.0.0.1,*", "127.0.0.1", true, false},
		{"*,!*", "127.0.0.1", false, false},
		{"", "127.0.0.1", false, false},
		{"!", "127.0.0.1", false, false},
		{"127.0.0.1,", "127.0.0.1", false, false},
		{",127.0.0.1", "127.0.0.1", false, false},
		{"127.0.0.*", "127.0.0.200", true, false},
		{"127.0.0.?", "127.0.0.20", false, false},
		{"1*", "127.0.0.1", true, false},
		{"*.1", "127.0.0.1", true, false},
		{"*7*.*1", "127.0.0.1", true, false},
		{"2*", "127.0.0.1", false, false},
		{"::/0", "127.0.0.1", false, false},
		{"0.0.0.0/0", "::1", false, false},
		{"::1", "::1", true, false},
		{"0:0:0:0:0:0:0:1", "::1", true, false},
		{"::/127", "::1", true, false},
		{"::1/64", "::1", false, false},
		{"::*", "::1", true, false},
		{"*:1", "::1", true, false},
		{"!::1,::/0", "::1", false, false},
		{"::ffff:127.0.0.1", "127.0.0.1", false, false},
		{"localhost", "127.0.0.1", false, false},
		{"*.localdomain,!localhost", "127.0.0.1", false, false},
		{"127.0.0.1/33", "127.0.0.1", false, false},
		{"127.0.0.1, 10.0.0.1", "127.0.0.1", false, true},
		{" 127.0.0.1", "127.0.0.1", false, false},
		{"127.0.0.1,localhost", "127.0.0.1", false, true},
		{"127.0.0.1,10.0.0.0/33", "127.0.0.1", false, false},
		{"127.1", "127.0.0.1", false, true},
	} {
		cases = append(cases, sshdCase{options(`from="` + c.list + `"`), c.from, c.want, c.stricter})
	}
	return cases
}
