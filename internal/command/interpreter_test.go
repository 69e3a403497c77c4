package command

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
	"dnsgate/internal/sysexits"
	"dnsgate/test/rig"
)

// published is a Publishers that notes what was waited for. A test sets what
// Wait does instead of returning at once.
type published struct {
	reached uint64 // as Progress tells
	failed  int    // and this
	kept    uint64 // and this
	mu      sync.Mutex
	waits   []wait
	wait    func(ctx context.Context) error
}

type wait struct {
	names    []records.Name
	revision uint64
}

func (p *published) Wait(ctx context.Context, names []records.Name, revision uint64) error {
	p.mu.Lock()
	p.waits = append(p.waits, wait{slices.Clone(names), revision})
	f := p.wait
	p.mu.Unlock()
	if f != nil {
		return f(ctx)
	}
	return nil
}

func (p *published) Progress() []records.Progress {
	p.mu.Lock()
	defer p.mu.Unlock()
	return []records.Progress{{Name: "test", Revision: p.reached, Failed: p.failed, Kept: p.kept, LastError: "it is\ndown", NextTry: time.Unix(1800000000, 0)}}
}

func (p *published) Rebuild(ctx context.Context) error { return p.Wait(ctx, nil, 0) }

// newGateway makes a gateway with a store of its own, and without a limit to
// the rate.
func newGateway(t testing.TB) (*Interpreter, *published) {
	t.Helper()
	return gatewayIn(t, t.TempDir())
}

// gatewayIn is newGateway with the store in dir, which a test may close and open again.
func gatewayIn(t testing.TB, dir string) (*Interpreter, *published) {
	t.Helper()
	g, p, err := openGateway(dir)
	rig.Must(t, err)
	store := g.Store.(io.Closer)
	t.Cleanup(func() { store.Close() })
	return g, p
}

func openGateway(dir string) (*Interpreter, *published, error) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := boltstore.Open(dir, quiet)
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var ending sync.WaitGroup
	ending.Go(func() { records.EndLeases(ctx, store) })
	closed := sync.OnceValue(func() error { stop(); ending.Wait(); return store.Close() })
	p := &published{}
	return &Interpreter{
		Store: closing{store, closed}, Publishers: p, Rates: NewRates(0), Log: quiet,
		Version: "v1", Started: time.Now(), PublishTimeout: 10 * time.Second,
		TTL:         func() uint32 { return 300 },
		Reload:      func(context.Context) ([]string, error) { return nil, nil },
		Keys:        func() ([]authkeys.Grant, []authkeys.Problem) { return nil, nil },
		Connections: func() Connections { return Connections{} },
	}, p, nil
}

// closing is a store that may be closed more than once.
type closing struct {
	*boltstore.Store
	close func() error
}

func (c closing) Close() error { return c.close() }

// allow is the grant of "dnsgate allow WORDS"; "admin" is the operator's.
func allow(t testing.TB, words string) authkeys.Grant {
	t.Helper()
	grant, err := authkeys.ParseCommand("dnsgate " + words)
	if err != nil {
		t.Fatal(err)
	}
	grant.Fingerprint, grant.Comment = "SHA256:"+strings.Repeat("x", 43), "test"
	return grant
}

// client runs commands in one session after the other.
type client struct {
	t      testing.TB
	gate   *Interpreter
	lookup func() (authkeys.Grant, error) // of the grant; nil: it stays
	grant  authkeys.Grant
	peer   netip.Addr
	began  time.Time // zero: now
	in     io.Reader
	ctx    context.Context
}

func newClient(t testing.TB, g *Interpreter, grant string) *client {
	return &client{t: t, gate: g, grant: allow(t, grant), peer: netip.MustParseAddr("203.0.113.1"), ctx: context.Background()}
}

// run returns what is said on stdout, and the exit status, after checking that
// both, and stderr, go together.
func (c *client) run(line string) (string, int) {
	c.t.Helper()
	began := c.began
	if began.IsZero() {
		began = time.Now()
	}
	s := &Session{Source: c.peer, Began: began, Grant: func() (authkeys.Grant, error) { return c.grant, nil }}
	if c.lookup != nil {
		s.Grant = c.lookup
	}
	in := c.in
	if in == nil {
		in = strings.NewReader("")
	}
	var out, err strings.Builder
	status := c.gate.Run(c.ctx, s, Parse(line), Streams{In: in, Out: &out, Err: &err})
	checkReply(c.t, line, out.String(), err.String(), status)
	return out.String(), status
}

// expect runs line and wants this answer: one line of want for each of
// stdout, in which "..." is any text.
func (c *client) expect(status int, line string, want ...string) {
	c.t.Helper()
	out, got := c.run(line)
	if got != status || !matches(out, want) {
		c.t.Errorf("%s: exit status %d and %q, want %d and %q", line, got, out, status, want)
	}
}

func matches(out string, want []string) bool {
	var pattern strings.Builder
	for _, line := range want {
		for i, part := range strings.Split(line, "...") {
			if i > 0 {
				pattern.WriteString(".*")
			}
			pattern.WriteString(regexp.QuoteMeta(part))
		}
		pattern.WriteString("\n")
	}
	return regexp.MustCompile("^" + pattern.String() + "$").MatchString(out)
}

// explained is a line that a client must not take for success.
var explained = regexp.MustCompile(`^(badcmd|badaddr|notfqdn|numhost|nohost|abuse|dnserr|911) [ -~]{8,}\n$`)

// checkReply checks what holds of every reply: of each line that tells an
// error, and of how stdout, stderr and the exit status go together.
func checkReply(t testing.TB, line, out, err string, status int) {
	t.Helper()
	worst, said := 0, ""
	backup := strings.HasPrefix(out, "# dnsgate backup, ") // lines begin with revisions, and one is 911
	for l := range strings.Lines(out) {
		if backup || !explained.MatchString(l) {
			continue
		}
		said = l
		code, why, _ := strings.Cut(l, " ")
		exit := Code(code).Exit()
		if strings.Contains(why, "met a bug") {
			exit = sysexits.Software
		}
		worst = max(worst, exit)
		for _, word := range []string{"good", "nochg", "OK"} {
			if strings.Contains(why, word) {
				t.Errorf("%q: %q could be taken for success", line, l)
			}
		}
		if slices.Contains(strings.Fields(strings.ToLower(why)), "ok") {
			t.Errorf("%q: %q could be taken for success", line, l)
		}
	}
	if worst != status {
		t.Errorf("%q: exit status %d, but stdout says %q", line, status, out)
	}
	if err != "" && err != said {
		t.Errorf("%q: stderr is %q and stdout %q", line, err, out)
	}
	if err == "" && status != 0 && !Parse(line).ReadsInput() {
		t.Errorf("%q: nothing on stderr for people", line)
	}
}
