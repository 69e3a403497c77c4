package faults

import (
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/crypto/ssh"
)

// buildJumping builds a dnsgate whose wall clock a test sets, as NTP and
// settimeofday(2) do: see testdata/jump, which is put beside its sources.
var buildJumping = sync.OnceValues(func() (string, error) {
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "dnsgate/cmd/dnsgate").Output()
	if err != nil {
		return "", err
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for _, name := range []string{"jump_amd64.go", "jump_amd64.s"} {
		file, err := filepath.Abs(filepath.Join("testdata", "jump", name))
		if err != nil {
			return "", err
		}
		overlay["Replace"][filepath.Join(strings.TrimSpace(string(dir)), name)] = file
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	built := filepath.Join(os.Getenv("HOME"), "dnsgate-jumping") // the home that rig gives the tests
	if err := os.WriteFile(built+".json", text, 0o600); err != nil {
		return "", err
	}
	// The linker lets only the runtime see where it asks for the time.
	build := exec.Command("go", "build", "-overlay", built+".json", "-ldflags=-checklinkname=0", "-o", built, "dnsgate/cmd/dnsgate")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return built, nil
})

// jumping is a gateway whose wall clock jumps.
type jumping struct {
	*gateway
	off   time.Duration // what the wall clock is off by
	clock string        // the file that says so
}

func needJumps(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the clock that jumps is written for Linux on amd64")
	}
}

func newJumping(t *testing.T, oldNew ...string) *jumping {
	t.Helper()
	needJumps(t)
	c := &jumping{gateway: newGateway(t, oldNew...)}
	c.clock = filepath.Join(t.TempDir(), "clock")
	if err := os.WriteFile(c.clock, make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *jumping) start(t *testing.T) {
	t.Helper()
	built, err := buildJumping()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`exec env DNSGATE_TEST_WALL_OFF='%s' '%s' "$@"`, c.clock, built)
	c.gateway.Start(t, "sh", "-c", script) // its $0 is the binary without jumps
}

// jump sets the wall clock: from now on it is off by so much.
func (c *jumping) jump(t *testing.T, off time.Duration) {
	t.Helper()
	file, err := os.OpenFile(c.clock, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seconds := endian.NativeEndian.AppendUint64(nil, uint64(off/time.Second))
	if _, err := file.WriteAt(seconds, 0); err != nil {
		t.Fatal(err)
	}
	c.off = off
}

// now is the gateway's wall clock.
func (c *jumping) now() time.Time { return time.Now().Add(c.off) }

// TestClockJumps has the wall clock jump by an hour while the gateway serves.
func TestClockJumps(t *testing.T) {
	needJumps(t)
	jumps := map[string][]time.Duration{
		"forward":          {time.Hour},
		"back":             {-time.Hour},
		"forward and back": {time.Hour, 0},
	}
	scenarios := []struct {
		what string
		run  func(*testing.T, []time.Duration)
	}{
		{"penalties run off", jumpsPenalties}, // the longest
		{"leases end by the clock", jumpsLeases},
		{"connections have their time", jumpsConnections},
		{"rates hold and let go", jumpsRates},
		{"numbers grow", jumpsNumbers},
		{"expiry-time goes by the clock", jumpsExpiry},
	}
	if _, err := buildJumping(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup // at once, because they wait most of the time
	for _, s := range scenarios {
		for jump, to := range jumps {
			all.Go(func() { t.Run(s.what+", "+jump, func(t *testing.T) { s.run(t, to) }) })
		}
		time.Sleep(500 * time.Millisecond) // to set up
	}
	all.Wait()
}

// jumpsNumbers: before, right after and later, updates are good and served;
// revisions and the SOA serial only grow, and after restarts too; the history
// is in the order in which things happened; a backup of it can be restored.
func jumpsNumbers(t *testing.T, to []time.Duration) {
	c := newJumping(t)
	c.start(t)
	var sent []string
	var at []time.Time
	serial := int64(0)
	update := func() {
		t.Helper()
		address := fmt.Sprintf("192.0.2.%d", len(sent)+1)
		c.wants(t, c.user, "update a."+zone+" "+address, "good")
		if got := c.Served("a." + zone); got != address {
			t.Errorf("served is %q, not %s", got, address)
		}
		was := serial
		if serial = c.serial(t); serial <= was {
			t.Errorf("serial %d after %d", serial, was)
		}
		sent, at = append(sent, address), append(at, c.now())
	}
	restart := func() {
		t.Helper()
		c.Kill()
		c.start(t)
		update()
	}
	update()
	update()
	for _, off := range to {
		c.jump(t, off)
		update()
		update()
	}
	restart()
	c.Kill()
	c.jump(t, c.off-time.Hour) // while it does not run
	restart()

	history, _ := c.Say(c.user, "history a."+zone)
	lines := strings.Split(strings.TrimSpace(history), "\n")
	if len(lines) != len(sent) {
		t.Fatalf("history of %d updates:\n%s", len(sent), history)
	}
	for i, line := range lines {
		f := strings.Fields(line)
		when, err := time.Parse(time.RFC3339, f[0])
		if err != nil || f[3] != sent[i] || when.Sub(at[i]).Abs() > time.Minute {
			t.Errorf("history has %q, not %s at %s", line, sent[i], at[i].UTC())
		}
	}
	backup, _ := c.Say(c.admin, "backup")
	revision := 0
	for line := range strings.Lines(backup) {
		if n, err := strconv.Atoi(strings.Fields(line)[0]); err == nil {
			if n <= revision {
				t.Errorf("revision %d after %d", n, revision)
			}
			revision = n
		}
	}
	if revision != len(sent) {
		t.Errorf("revision %d after %d updates", revision, len(sent))
	}
	other := newGateway(t)
	other.Must(t, backup, "restore", other.Config())
}

// jumpsConnections: a login works right after a jump. What is open has the
// time that it would have had: to log in, to idle, and to live.
func jumpsConnections(t *testing.T, to []time.Duration) {
	const grace, idle, life = 2 * time.Second, 3 * time.Second, 9 * time.Second
	c := newJumping(t, `login_grace_time = "20s"`, `login_grace_time = "2s"`,
		`idle_timeout = "30s"`, `idle_timeout = "3s"`, `max_connection = "10m"`, `max_connection = "9s"`)
	c.start(t)
	var all sync.WaitGroup
	lasts := func(what string, want time.Duration, wait func()) {
		began := time.Now()
		all.Go(func() {
			wait()
			if took := time.Since(began); took < want-200*time.Millisecond || took > want+4*time.Second {
				t.Errorf("%s: cut after %s, not %s", what, took, want)
			}
		})
	}
	open := func(when string) {
		t.Helper()
		stranger, err := net.Dial("tcp", c.Address())
		if err != nil {
			t.Fatal(err)
		}
		stranger.SetDeadline(time.Now().Add(20 * time.Second))
		lasts("login "+when, grace, func() { io.Copy(io.Discard, stranger); stranger.Close() })
		idler, err := c.Dial(c.user)
		if err != nil {
			t.Fatalf("login %s: %v\n%s", when, err, c.Log())
		}
		lasts("idle "+when, idle, func() { idler.Wait() })
		busy, err := c.Dial(c.user)
		if err != nil {
			t.Fatalf("login %s: %v\n%s", when, err, c.Log())
		}
		time.AfterFunc(20*time.Second, func() { idler.Close(); busy.Close() }) // or a failure is an hour's
		lasts("busy "+when, life, func() {
			for exit := 0; exit == 0; time.Sleep(200 * time.Millisecond) {
				_, exit = rig.SayOn(busy, "whoami", "")
			}
		})
	}
	open("before")
	time.Sleep(time.Second)
	for _, off := range to {
		c.jump(t, off)
		open("after")
		time.Sleep(300 * time.Millisecond)
	}
	all.Wait()
}

// jumpsRates: a key that has used up its rate gets no more of it by a jump, and
// is not locked out longer either.
func jumpsRates(t *testing.T, to []time.Duration) {
	c := newJumping(t, "updates_per_minute = 1000000 ", "updates_per_minute = 30 ")
	c.start(t)
	retry := regexp.MustCompile(`try again in (\d+) seconds?`)
	lines := strings.Repeat("a."+zone+" 192.0.2.1\na."+zone+" 192.0.2.2\n", 20)
	began, taken, wait := time.Now(), 0, 0
	burst := func() {
		t.Helper()
		conn, err := c.Dial(c.user)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		out, _ := rig.SayOn(conn, "update -", lines)
		abuse := strings.Count(out, "abuse ")
		taken += 40 - abuse
		if m := retry.FindAllStringSubmatch(out, -1); len(m) > 0 {
			wait, _ = strconv.Atoi(m[len(m)-1][1])
		}
		if most := 31 + int(time.Since(began)/(2*time.Second)); abuse == 0 || taken > most {
			t.Errorf("%d updates came through where %d are allowed\n%s", taken, most, out)
		}
		if wait > 60 {
			t.Errorf("locked out for %d seconds", wait)
		}
	}
	burst()
	for n, off := range to {
		c.jump(t, off)
		burst()
		c.wants(t, c.user, fmt.Sprintf("update b%d.%s 192.0.2.1", n, zone), "good")
	}
	time.Sleep(time.Duration(min(wait, 60)) * time.Second)
	out, _ := c.Say(c.user, "update a."+zone+" 192.0.2.3")
	if !strings.HasPrefix(out, "good") {
		t.Errorf("after the %d seconds that it was told to wait: %s", wait, out)
	}
}

// jumpsPenalties: a source that failed to log in too often is slowed for as long
// as without a jump.
func jumpsPenalties(t *testing.T, to []time.Duration) {
	c := newJumping(t, `"127.0.0.0/8"`, `"127.0.0.1/32"`)
	c.start(t)
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}, Timeout: 10 * time.Second}
	login := func(key ssh.Signer) error {
		nc, err := from.Dial("tcp", c.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _, _, err = ssh.NewClientConn(nc, "", &ssh.ClientConfig{
			User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		})
		return err
	}
	stranger := c.Authorize(t, "x."+zone)
	c.Must(t, "", "key", "remove", c.Config(), ssh.FingerprintSHA256(stranger.PublicKey()))
	slowed := func() bool { // then the second login in a row is refused, at the latest
		first, second := login(c.user), login(c.user)
		return first != nil || second != nil
	}
	began := time.Now()
	for range 3 {
		login(stranger) // 5 s each
	}
	for n := 0; !slowed(); n++ { // 1 s each, until there are more than 15 s to go
		if nc, err := from.Dial("tcp", c.Address()); err == nil {
			nc.Close()
		}
		if n > 20 {
			t.Fatal("a source may fail as often as it likes")
		}
	}
	for _, off := range to {
		c.jump(t, off)
		if !slowed() {
			t.Errorf("a jump to %s ends the penalty", off)
		}
	}
	for slowed() && time.Since(began) < 40*time.Second {
		time.Sleep(200 * time.Millisecond)
	}
	if took := time.Since(began); took < 15*time.Second || took > 25*time.Second {
		t.Errorf("slowed for %s", took)
	}
}

// jumpsLeases: records leave when the wall clock says so. After a jump back,
// what is refreshed has the lease that it would have had, and no more. What has
// no lease, or a longer one, stays.
func jumpsLeases(t *testing.T, to []time.Duration) {
	c := newJumping(t)
	keys := map[string]ssh.Signer{"none": c.user}
	for host, lease := range map[string]string{"short": "4s", "half": "30m", "long": "3h"} {
		keys[host] = c.Authorize(t, "--lease="+lease, host+"."+zone)
	}
	acme := c.Authorize(t, "--acme", "acme."+zone)
	c.start(t)
	update := func(host string) {
		t.Helper()
		if out, exit := c.Say(keys[host], "update "+host+"."+zone+" 192.0.2.1"); exit != 0 {
			t.Fatalf("%s: %s\n%s", host, out, c.Log())
		}
	}
	there := func(host string) bool {
		if host == "acme" {
			return strings.Contains(c.Get(t, "txt", "_acme-challenge.acme."+zone), "answer: ")
		}
		return c.Served(host+"."+zone) != ""
	}
	leaves := func(host string) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); there(host); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s stays", host)
			}
		}
	}
	for _, host := range []string{"none", "half", "long"} {
		update(host)
	}
	if to[0] < 0 { // forward, only the jump is to make the gateway look
		update("short")
	}
	c.wants(t, acme, "acme add acme."+zone+" value1", "good")
	for _, off := range to {
		back := off < c.off
		c.jump(t, off)
		if !back { // an hour has passed
			leaves("half")
			leaves("acme")
			continue
		}
		refreshed := time.Now()
		update("short")
		update("half")
		if out, exit := c.Say(acme, "acme add acme."+zone+" value2"); exit != 0 {
			t.Fatal(out)
		}
		time.Sleep(2 * time.Second)
		if !there("short") && time.Since(refreshed) < 4*time.Second {
			t.Error("a lease ends early")
		}
		leaves("short")
		for _, host := range []string{"half", "acme"} {
			if !there(host) {
				t.Errorf("%s left before its time", host)
			}
		}
	}
	for _, host := range []string{"none", "long"} {
		if !there(host) {
			t.Errorf("%s is lost", host)
		}
	}
}

// jumpsExpiry: whether a key has expired is what the wall clock says now, for
// logins and for connections that are open.
func jumpsExpiry(t *testing.T, to []time.Duration) {
	c := newJumping(t)
	ends := map[string]time.Duration{"ended": -30 * time.Minute, "ending": 30 * time.Minute}
	keys := make(map[string]ssh.Signer)
	for name := range ends {
		keys[name] = c.Authorize(t, name+"."+zone)
	}
	file := c.Path("authorized_keys")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range ends {
		command := `command="dnsgate allow ` + name
		expiry := `expiry-time="` + time.Now().Add(end).UTC().Format("20060102150405") + `Z",`
		text = []byte(strings.Replace(string(text), command, expiry+command, 1))
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(t)
	open, err := c.Dial(keys["ending"])
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for _, off := range slices.Concat([]time.Duration{0}, to, []time.Duration{0}) {
		c.jump(t, off)
		for name, end := range ends {
			if out, exit := c.Say(keys[name], "update 192.0.2.1"); exit == 0 != (off < end) {
				t.Errorf("%s at %s: %d, %s", name, off, exit, out)
			}
		}
		if out, exit := rig.SayOn(open, "update 192.0.2.1", ""); exit == 0 != (off < ends["ending"]) {
			t.Errorf("open at %s: %d, %s", off, exit, out)
		}
	}
}

// TestNewerSessionAfterAJump: who connects after the clock went back is still
// newer than who connected before: a change that is on its way to a slow disk
// does not beat his, and his beats one of a session that has been open since.
func TestNewerSessionAfterAJump(t *testing.T) {
	rig.Needs(t, "strace")
	c := newJumping(t)
	other := c.Authorize(t, "a."+zone)
	c.start(t)
	c.wants(t, c.user, "update a."+zone+" 192.0.2.1", "good")
	conn, err := c.Dial(c.user)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in, replies := batch(t, conn)
	fmt.Fprintf(in, "b.%s 192.0.2.1\n", zone)
	if !replies.Scan() {
		t.Fatal("the batch is not answered")
	}
	stop := inject(t, c.gateway, "fdatasync:delay_enter=400000")
	fmt.Fprintf(in, "a.%s 192.0.2.2\n", zone)
	time.Sleep(100 * time.Millisecond)
	c.jump(t, -time.Hour)
	c.wants(t, c.user, "update a."+zone+" 192.0.2.3", "good")
	replies.Scan()

	newer, err := c.Dial(other)
	if err != nil {
		t.Fatal(err)
	}
	defer newer.Close()
	var all sync.WaitGroup
	all.Go(func() {
		if out, _ := rig.SayOn(newer, "update a."+zone+" 192.0.2.4", ""); !strings.HasPrefix(out, "good") {
			t.Error(out)
		}
	})
	time.Sleep(200 * time.Millisecond)
	fmt.Fprintf(in, "a.%s 192.0.2.5\n", zone)
	if !replies.Scan() || !strings.HasPrefix(replies.Text(), "911") {
		t.Errorf("a session from before the jump, against one from after it: %q", replies.Text())
	}
	all.Wait()
	stop()
	if got := c.Served("a." + zone); got != "192.0.2.4" {
		t.Errorf("served is %s, not 192.0.2.4", got)
	}
}
