//go:build !client

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dnsgate": main})
}

// TestScripts plays the sessions in testdata/script against real programs: the
// gateway is this test binary, the client is OpenSSH's, the name server djb's.
//
// Their commands, beside those of testscript:
//
//	exits N PROGRAM...   run a program, which must exit with N
//	keygen NAME...       make key pairs NAME and NAME.pub
//	authorize KEY ...    dnsgate key add --config gate/dnsgate.toml ... < KEY.pub
//	serve [FLAGS]        start dnsgate serve in gate/ on a free port; its log is $WORK/log
//	signal SIG           send a signal to it
//	shutdown [SIG]       send TERM, or SIG; it must end within 10 s, with status 0 unless SIG is KILL
//	[!] gate [-i KEY] [-b ADDRESS] [-S SOCKET] WORDS...
//	                     run ssh, as KEY (default: id), from ADDRESS, through a master's SOCKET
//	answers N LINE...    the last gate exited with N and said the lines; "..." in one is any text
//	until N WORDS...     repeat gate until it exits with N
//	await FILE REGEXP    wait until a file matches
//	netns ADDRESS...     what follows runs in a network of its own, which has the
//	                     addresses; exec does not: nsenter -t $NETNS -n
//	tinydns FOLDER       start tinydns there, on an address of its own
//	dig NAME [TYPE]      ask it
//	json PATH VALUE      stdout is JSON with that VALUE at PATH, such as publishers.0.Name
//	follow FOLDER        start dnsgate follow there, which follows gate; its log is $WORK/followlog, its number $FOLLOWER
//	unfollow [SIG]       send TERM, or SIG, to it; as shutdown
//	promtool             stdout is what Prometheus reads
//	nodeexporter FOLDER  what Prometheus's node_exporter says of the files there
func TestScripts(t *testing.T) {
	if os.Getenv("CI") != "" {
		for _, program := range []string{"axfrdns", "named", "nsd", "tcpserver", "rsync", "rrsync", "ssh", "ssh-keygen", "dig", "tinydns", "tinydns-data", "tinydns-get", "puttygen", "ip", "nsenter", "prometheus-node-exporter", "promtool", "systemd-socket-activate"} {
			if _, err := exec.LookPath(program); err != nil {
				t.Errorf("%v; see testdata/debian-packages", err)
			}
		}
	}
	t.Setenv("GORACE", strings.TrimSpace(os.Getenv("GORACE")+" atexit_sleep_ms=0")) // or each command takes a second
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			s := &script{work: env.WorkDir}
			env.Values[scriptKey{}] = s
			env.Defer(s.end)
			docs, err := filepath.Abs("../../docs")
			env.Setenv("DOCS", docs)
			return err
		},
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no such condition")
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":        exits,
			"keygen":       keygen,
			"authorize":    authorize,
			"serve":        serveScript,
			"signal":       signalScript,
			"shutdown":     shutdown,
			"gate":         gateScript,
			"answers":      answers,
			"until":        until,
			"await":        await,
			"netns":        netns,
			"tinydns":      tinydnsScript,
			"dig":          dig,
			"json":         jsonScript,
			"nodeexporter": nodeExporter,
			"promtool":     promtool,
			"follow":       followScript,
			"unfollow":     unfollow,
		},
	})
}

// promtool has Prometheus read what the last command said.
func promtool(ts *testscript.TestScript, _ bool, _ []string) {
	path, err := exec.LookPath("promtool")
	if err != nil && os.Getenv("CI") == "" {
		ts.Logf("without promtool: not checked")
		return
	}
	ts.Check(err)
	check := exec.Command(path, "check", "metrics")
	check.Stdin = strings.NewReader(ts.ReadFile("stdout"))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		ts.Fatalf("promtool check metrics: %v\n%s", err, out)
	}
}

// nodeExporter prints what node_exporter makes of a folder's files.
func nodeExporter(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("prometheus-node-exporter")
	if err != nil && os.Getenv("CI") == "" {
		ts.Fatalf("%v", err)
	}
	ts.Check(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().String()
	l.Close()
	c := exec.Command(path, "--collector.disable-defaults", "--collector.textfile", "--web.listen-address="+address,
		"--collector.textfile.directory="+ts.MkAbs(args[0]))
	ts.Check(c.Start())
	defer c.Wait()
	defer c.Process.Kill()
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		reply, err := http.Get("http://" + address + "/metrics")
		if err == nil {
			defer reply.Body.Close()
			_, err = io.Copy(ts.Stdout(), reply.Body)
			ts.Check(err)
			return
		}
		if time.Since(start) > 10*time.Second {
			ts.Fatalf("node_exporter does not answer: %v", err)
		}
	}
}

// script is what one script has running.
type script struct {
	work       string
	gateway    *exec.Cmd
	ended      chan error // of gateway
	network    *exec.Cmd  // holds the network of its own; nil: the machine's
	tinydns    *exec.Cmd
	follower   *exec.Cmd
	unfollowed chan error // of follower
	server     string     // address of tinydns

	words  []string // of the last gate
	status int      // and its exit status
}

type scriptKey struct{}

func scriptOf(ts *testscript.TestScript) *script { return ts.Value(scriptKey{}).(*script) }

func (s *script) end() {
	for _, c := range []*exec.Cmd{s.gateway, s.tinydns, s.network} {
		if c != nil {
			c.Process.Kill()
		}
	}
	for _, c := range []*exec.Cmd{s.tinydns, s.network} {
		if c != nil {
			c.Wait()
		}
	}
	if s.follower != nil {
		s.follower.Process.Kill()
		<-s.unfollowed
	}
	if s.gateway != nil {
		<-s.ended
	}
}

// within prefixes a command so that it runs in the script's network.
func (s *script) within(words ...string) []string {
	if s.network == nil {
		return words
	}
	return append([]string{"nsenter", "-t", strconv.Itoa(s.network.Process.Pid), "-n"}, words...)
}

func statusOf(ts *testscript.TestScript, err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	args = scriptOf(ts).within(args[1:]...)
	if got := statusOf(ts, ts.Exec(args[0], args[1:]...)); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func keygen(ts *testscript.TestScript, _ bool, names []string) {
	for _, name := range names {
		ts.Check(ts.Exec("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", ts.MkAbs(name)))
	}
}

func authorize(ts *testscript.TestScript, neg bool, args []string) {
	c := exec.Command("dnsgate", append([]string{"key", "add", "--config", ts.MkAbs("gate/dnsgate.toml")}, args[1:]...)...)
	c.Stdin = strings.NewReader(ts.ReadFile(args[0] + ".pub"))
	out, err := c.CombinedOutput()
	ts.Logf("%s", out)
	if (err != nil) != neg {
		ts.Fatalf("authorize: %v", err)
	}
}

var listening = regexp.MustCompile(`(?:msg=listening address=|"msg":"listening","address":")([^\s"]+)`)

func serveScript(ts *testscript.TestScript, _ bool, flags []string) {
	s := scriptOf(ts)
	s.listenOnFreePort(ts)
	log, err := os.Create(ts.MkAbs("log"))
	ts.Check(err)
	defer log.Close()
	words := s.within(append([]string{"dnsgate", "serve", "--config", ts.MkAbs("gate/dnsgate.toml")}, flags...)...)
	c := exec.Command(words[0], words[1:]...)
	c.Stderr = log
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+ts.Getenv("NOTIFY_SOCKET"))
	ts.Check(c.Start())
	s.gateway, s.ended = c, make(chan error, 1)
	go func() { s.ended <- c.Wait() }()
	for range 1000 {
		if m := listening.FindStringSubmatch(ts.ReadFile("log")); m != nil {
			s.writeClientConfig(ts, m[1][strings.LastIndex(m[1], ":")+1:])
			return
		}
		select {
		case err := <-s.ended:
			s.gateway = nil
			ts.Fatalf("the gateway does not start: %v\n%s", err, ts.ReadFile("log"))
		case <-time.After(10 * time.Millisecond):
		}
	}
	ts.Fatalf("the gateway does not listen:\n%s", ts.ReadFile("log"))
}

func (s *script) listenOnFreePort(ts *testscript.TestScript) {
	address := "127.0.0.1:0"
	if s.network != nil {
		address = "[::]:0"
	}
	file := ts.MkAbs("gate/dnsgate.toml")
	config := strings.Replace(ts.ReadFile(file), `["[::]:2222"]`, `["`+address+`"]`, 1)
	ts.Check(os.WriteFile(file, []byte(config), 0o644))
}

// writeClientConfig pins the gateway's key under a name of its own, because
// its port differs from run to run.
func (s *script) writeClientConfig(ts *testscript.TestScript, port string) {
	ts.Setenv("PORT", port)
	key, err := loadHostKey(ts.MkAbs("gate/" + hostKeyName))
	ts.Check(err)
	known := filepath.Join(s.work, "known_hosts")
	ts.Check(os.WriteFile(known, []byte(knownHostsLine("gate", "22", key.PublicKey())+"\n"), 0o644))
	ts.Check(os.WriteFile(filepath.Join(s.work, "ssh_config"), []byte(`Host gate
HostName 127.0.0.1
Port `+port+`
HostKeyAlias gate
UserKnownHostsFile `+known+`
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
IdentitiesOnly yes
BatchMode yes
ConnectTimeout 20
LogLevel ERROR
`), 0o644))
}

var signals = map[string]syscall.Signal{
	"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL,
}

func signalScript(ts *testscript.TestScript, _ bool, args []string) {
	sig, ok := signals[args[0]]
	if !ok {
		ts.Fatalf("no signal %s", args[0])
	}
	ts.Check(scriptOf(ts).gateway.Process.Signal(sig))
}

func shutdown(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	if len(args) == 0 {
		args = []string{"TERM"}
	}
	if args[0] != "NONE" { // it was told already
		signalScript(ts, false, args)
	}
	select {
	case err := <-s.ended:
		s.gateway = nil
		if args[0] != "KILL" && err != nil {
			ts.Fatalf("the gateway ended with %v:\n%s", err, ts.ReadFile(filepath.Join(s.work, "log")))
		}
	case <-time.After(10 * time.Second):
		ts.Fatalf("the gateway did not end within 10 s:\n%s", ts.ReadFile(filepath.Join(s.work, "log")))
	}
}

func gateScript(ts *testscript.TestScript, neg bool, args []string) {
	s := scriptOf(ts)
	s.gate(ts, args)
	if s.status == 255 {
		ts.Fatalf("ssh failed, or the gateway took ssh's own exit status")
	}
	if (s.status != 0) != neg {
		ts.Fatalf("exit status %d", s.status)
	}
}

func (s *script) gate(ts *testscript.TestScript, args []string) {
	key, options := "id", []string(nil)
	for len(args) > 1 && args[0][0] == '-' {
		switch args[0] {
		case "-i":
			key = args[1]
		case "-b":
			options = append(options, "-b", args[1], "-o", "HostName="+args[1])
		case "-S":
			options = append(options, "-S", ts.MkAbs(args[1]))
		default:
			ts.Fatalf("gate has no option %s", args[0])
		}
		args = args[2:]
	}
	words := s.within(slices.Concat([]string{"ssh", "-F", filepath.Join(s.work, "ssh_config"), "-i", ts.MkAbs(key)},
		options, []string{"gate"}, args)...)
	s.words, s.status = args, statusOf(ts, ts.Exec(words[0], words[1:]...))
}

var (
	// codes is the table of the contract's section 6.
	codes = map[string]int{
		"good": 0, "nochg": 0, "badcmd": 64, "badaddr": 65, "notfqdn": 65, "numhost": 65,
		"nohost": 77, "abuse": 75, "dnserr": 75, "911": 75,
	}
	success = regexp.MustCompile(`(?i)good|nochg|\bok\b`)
)

func answers(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	if strconv.Itoa(s.status) != args[0] {
		ts.Fatalf("exit status %d, want %s", s.status, args[0])
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	var pattern strings.Builder
	for _, line := range args[1:] {
		for i, part := range strings.Split(line, "...") {
			if i > 0 {
				pattern.WriteString(".*")
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteString("\n")
	}
	if !regexp.MustCompile("^" + pattern.String() + "$").MatchString(stdout) {
		ts.Fatalf("answered %q, want %q", stdout, args[1:])
	}
	worst := 0
	for line := range strings.Lines(stdout) {
		code, why, _ := strings.Cut(line, " ")
		status := codes[code]
		worst = max(worst, status)
		if status != 0 && (success.MatchString(why) || len(why) < 10) {
			ts.Fatalf("a client could take the explanation for success, or it is none: %q", line)
		}
	}
	if worst != s.status {
		ts.Fatalf("exit status %d, the codes say %d", s.status, worst)
	}
	batch := s.words[len(s.words)-1] == "-"
	if s.status != 0 && !batch && stderr != stdout || (s.status == 0 || batch) && stderr != "" {
		ts.Fatalf("on stderr: %q", stderr)
	}
}

func until(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if s.gate(ts, args[1:]); strconv.Itoa(s.status) == args[0] {
			return
		}
		if time.Since(start) > 5*time.Second {
			ts.Fatalf("exit status %d for 5 s, want %s", s.status, args[0])
		}
	}
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	wanted := regexp.MustCompile("(?m)" + args[1])
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		content, _ := os.ReadFile(ts.MkAbs(args[0]))
		if wanted.Match(content) {
			return
		}
		if time.Since(start) > 10*time.Second {
			ts.Fatalf("no %q in %s:\n%s", args[1], args[0], content)
		}
	}
}

func netns(ts *testscript.TestScript, _ bool, addresses []string) {
	s := scriptOf(ts)
	holder := exec.Command("sleep", "600")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	ts.Check(holder.Start())
	s.network = holder
	ts.Setenv("NETNS", strconv.Itoa(holder.Process.Pid))
	run := func(words ...string) {
		words = s.within(words...)
		ts.Check(ts.Exec(words[0], words[1:]...))
	}
	run("ip", "link", "set", "lo", "up")
	for _, a := range addresses {
		run("ip", "address", "add", a, "dev", "lo")
	}
}

// followScript writes known_hosts and [follow] gateway anew: the gateway's port differs
// from start to start.
func followScript(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	key, err := loadHostKey(ts.MkAbs("gate/" + hostKeyName))
	ts.Check(err)
	port := ts.Getenv("PORT")
	folder := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(filepath.Join(folder, "known_hosts"), []byte(knownHostsLine("127.0.0.1", port, key.PublicKey())+"\n"), 0o644))
	file := filepath.Join(folder, "dnsgate.toml")
	config := regexp.MustCompile(`gateway = .*`).ReplaceAllString(ts.ReadFile(file), `gateway = ["127.0.0.1:`+port+`"]`)
	ts.Check(os.WriteFile(file, []byte(config), 0o644))
	log, err := os.OpenFile(ts.MkAbs("followlog"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	ts.Check(err)
	defer log.Close()
	words := s.within("dnsgate", "follow", "--config", file)
	c := exec.Command(words[0], words[1:]...)
	c.Stderr = log
	ts.Check(c.Start())
	ts.Setenv("FOLLOWER", strconv.Itoa(c.Process.Pid))
	s.follower, s.unfollowed = c, make(chan error, 1)
	go func() { s.unfollowed <- c.Wait() }()
}

func unfollow(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	sig := syscall.SIGTERM
	if len(args) > 0 && args[0] == "KILL" {
		sig = syscall.SIGKILL
	}
	ts.Check(s.follower.Process.Signal(sig))
	select {
	case err := <-s.unfollowed:
		s.follower = nil
		if err != nil && sig == syscall.SIGTERM {
			ts.Fatalf("the follower ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		ts.Fatalf("the follower does not end")
	}
}

func tinydnsScript(ts *testscript.TestScript, _ bool, args []string) {
	s := scriptOf(ts)
	s.server = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	said := filepath.Join(s.work, ".tinydns")
	log, err := os.Create(said)
	ts.Check(err)
	defer log.Close()
	c := exec.Command("tinydns")
	c.Env = []string{"ROOT=" + ts.MkAbs(args[0]), "IP=" + s.server, "UID=65534", "GID=65534"}
	c.Stderr = log
	ts.Check(c.Start())
	s.tinydns = c
	await(ts, false, []string{said, "starting tinydns"})
}

func dig(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("dig", append([]string{"+short", "+norecurse", "+time=2", "+tries=5", "@" + scriptOf(ts).server}, args...)...))
}

func jsonScript(ts *testscript.TestScript, _ bool, args []string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for step := range strings.SplitSeq(args[0], ".") {
		switch v := value.(type) {
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: there are %d", args[0], len(v))
			}
			value = v[i]
		case map[string]any:
			there := false
			if value, there = v[step]; !there {
				ts.Fatalf("%s: there is no %s", args[0], step)
			}
		default:
			ts.Fatalf("%s: nothing below %v", args[0], value)
		}
	}
	if got := fmt.Sprint(value); got != args[1] {
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}
