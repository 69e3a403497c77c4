package follow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
)

// gateway is a Server with a store, and a line that a test may change.
type gateway struct {
	testing.TB
	store  *boltstore.Store
	server *Server
	line   atomic.Pointer[authkeys.Grant]
	n      int
}

func openStore(t testing.TB) *boltstore.Store {
	t.Helper()
	s, err := boltstore.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func newGateway(t testing.TB, names ...string) *gateway {
	store := openStore(t)
	id, err := store.ID(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{TB: t, store: store, server: NewServer(store, id, slog.New(slog.DiscardHandler))}
	g.allow(names...)
	return g
}

func (g *gateway) allow(names ...string) {
	grant, err := authkeys.ParseFollow(names)
	if err != nil {
		g.Fatal(err)
	}
	grant.Fingerprint = "SHA256:test"
	g.line.Store(&grant)
}

// set stores one address of a host; "": none.
func (g *gateway) set(names string, address string) uint64 {
	g.Helper()
	g.n++
	t := records.Txn{Cause: records.Cause{Time: time.Now(), Session: int64(g.n), Key: "SHA256:k", Source: "192.0.2.1"}}
	for name := range strings.SplitSeq(names, ",") {
		was, err := g.store.Hosts(context.Background(), []records.Name{records.Name(name)})
		if err != nil {
			g.Fatal(err)
		}
		h := was[0]
		h.TTL, h.Records = 300, nil
		if address != "" {
			h.Records = []records.Record{{Addr: netip.MustParseAddr(address)}}
		}
		t.Hosts = append(t.Hosts, h)
	}
	revision, err := g.store.Commit(context.Background(), t)
	if err != nil {
		g.Fatal(err)
	}
	return revision
}

// link is what a follower reads and writes.
type link struct {
	io.Reader
	io.Writer
	close func() error
}

func (l link) Close() error { return l.close() }

// run serves one stream as a door does.
func (g *gateway) run(ctx context.Context, _, command string) (io.ReadWriteCloser, error) {
	s := Session{Grant: *g.line.Load(), Source: "192.0.2.2", Patience: 30 * time.Second,
		Regrant: func() (authkeys.Grant, error) {
			if grant := g.line.Load(); grant != nil {
				return *grant, nil
			}
			return authkeys.Grant{}, authkeys.ErrUnknown
		}}
	if words := strings.Fields(command); len(words) == 3 {
		s.Store = words[1]
		s.Revision, _ = strconv.ParseUint(words[2], 10, 64)
	}
	theirs, out := io.Pipe()
	in, ours := io.Pipe()
	s.In, s.Out = in, bufio.NewWriter(out)
	go func() {
		err := g.server.Serve(ctx, s)
		s.Out.Flush()
		if err == nil {
			err = io.EOF
		}
		out.CloseWithError(err)
		in.Close()
	}()
	return link{theirs, ours, func() error { theirs.Close(); return ours.Close() }}, nil
}

// follower follows whatever run connects it to, into store.
func follower(t testing.TB, store records.Replacer, log io.Writer, run func(context.Context, string, string) (io.ReadWriteCloser, error)) (stop func()) {
	f := newFollower(store, log, run)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func newFollower(store records.Replacer, log io.Writer, run func(context.Context, string, string) (io.ReadWriteCloser, error)) *Follower {
	return New(Options{
		Gateways: []string{"gate"}, Names: NewNames(nil, []records.Name{"example.com"}), MaxHosts: 1000, Store: store,
		Log: slog.New(slog.NewTextHandler(log, nil)), Run: run, Whole: func() {},
		Reach: func(context.Context, uint64) ([]records.Name, error) { return nil, nil },
	})
}

// picture is all that a store publishes.
func picture(t testing.TB, s records.Store) string {
	t.Helper()
	names, err := s.Find(context.Background(), records.All)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := s.Hosts(context.Background(), names)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, h := range hosts {
		for _, r := range h.Records {
			fmt.Fprintf(&b, "%s %d %s\n", h.Name, h.TTL, r.Value())
		}
	}
	return b.String()
}

// awaitSame waits until the follower has what the gateway has.
func (g *gateway) awaitSame(s records.Store) {
	g.Helper()
	for range 2000 {
		if picture(g, s) == picture(g, g.store) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.Fatalf("the follower has\n%swhere the gateway has\n%s", picture(g, s), picture(g, g.store))
}

// awaitAck waits until a follower has said what it serves.
func (g *gateway) awaitAck() {
	for g.server.Followers()[0].Acked.IsZero() {
		time.Sleep(time.Millisecond)
	}
}

// TestFollows goes on where it was, and takes the whole of another store, or of
// other names.
func TestFollows(t *testing.T) {
	g := newGateway(t, ".example.com")
	mine := openStore(t)
	g.set("a.example.com,*.a.example.com", "192.0.2.1")
	g.set("gone.example.com", "192.0.2.9")
	stop := follower(t, mine, io.Discard, g.run)
	g.awaitSame(mine)
	g.set("a.example.com", "192.0.2.2")
	g.set("gone.example.com", "")
	last := g.set("b.example.com", "192.0.2.3")
	g.awaitSame(mine)
	g.awaitAck()
	if err := g.server.Wait(context.Background(), []records.Name{"a.example.com", "b.example.com"}, last, 1); err != nil {
		t.Error(err)
	}
	stop()
	changes, err := mine.History(context.Background(), records.Selection{Names: []records.Name{"b.example.com"}}, 5)
	if err != nil || len(changes) != 1 || changes[0].Key != "SHA256:k" || changes[0].Source != "192.0.2.1" {
		t.Errorf("history %v, %v", changes, err)
	}
	if mark, _ := mine.Mark(context.Background()); !strings.HasSuffix(mark, " "+strconv.FormatUint(last, 10)) {
		t.Errorf("it stands at %q, and the gateway at %d", mark, last)
	}

	restored := newGateway(t, ".example.com")
	restored.set("c.example.com", "192.0.2.4")
	stop = follower(t, mine, io.Discard, restored.run)
	restored.awaitSame(mine)
	stop()
}

// TestRequire counts keys that serve a change, and gives up at once when there are
// too few that could.
func TestRequire(t *testing.T) {
	g := newGateway(t, ".example.com")
	mine := openStore(t)
	revision := g.set("a.example.com", "192.0.2.1")
	names := []records.Name{"a.example.com"}
	var few *TooFewError
	if err := g.server.Wait(context.Background(), names, revision, 1); !errors.As(err, &few) || few.Have != 0 {
		t.Errorf("without a follower: %v", err)
	}
	stop := follower(t, mine, io.Discard, g.run)
	g.awaitSame(mine)
	g.awaitAck()
	if err := g.server.Wait(context.Background(), names, revision, 1); err != nil {
		t.Error(err)
	}
	err := g.server.Wait(context.Background(), names, revision, 2)
	if !errors.As(err, &few) || few.WholeAnswer() != "stored, and published here; 1 of 2 followers have it" {
		t.Errorf("two of one: %v", err)
	}
	stop()
	for len(g.server.Followers()) != 1 || g.server.Followers()[0].Gone.IsZero() {
		time.Sleep(time.Millisecond)
	}
	if err := g.server.Wait(context.Background(), names, revision, 1); !errors.As(err, &few) {
		t.Errorf("gone: %v", err)
	}
}

// TestGrantIsAskedAgain ends the stream of a key that is narrowed or gone.
func TestGrantIsAskedAgain(t *testing.T) {
	for name, change := range map[string]func(*gateway){
		"gone":     func(g *gateway) { g.line.Store(nil) },
		"narrowed": func(g *gateway) { g.allow("a.example.com") },
		"widened":  func(g *gateway) { g.allow(".example.com", ".example.net") },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, ".example.com")
			conn, _ := g.run(t.Context(), "", "follow")
			in := bufio.NewReader(conn)
			for {
				line, err := in.ReadString('\n')
				if strings.HasPrefix(line, atLine) {
					change(g)
				}
				if err != nil {
					if !errors.Is(err, ErrGrant) && !errors.Is(err, ErrNames) {
						t.Errorf("it ended with %v", err)
					}
					return
				}
			}
		})
	}
}

// TestCutAnywhere cuts the stream of a small session at every byte: what is stored
// then is one of the states that the gateway was in.
func TestCutAnywhere(t *testing.T) {
	const said = "# dnsgate follow 1 word\n" +
		"# whole\n" +
		"1 2026-01-01T00:00:00Z a.example.com 192.0.2.1 192.0.2.1 300 backup -\n" +
		"2 2026-01-01T00:00:00Z b.example.com 192.0.2.1 192.0.2.1 300 backup -\n" +
		"# at 2 2026-01-01T00:00:00Z\n" +
		"3 2026-01-01T00:00:01Z a.example.com 192.0.2.1 192.0.2.2 300 SHA256:k -\n" +
		"3 2026-01-01T00:00:01Z b.example.com 192.0.2.1 192.0.2.2 300 SHA256:k -\n" +
		"# at 3 2026-01-01T00:00:01Z\n"
	states := map[string]string{
		"":       "",
		"word 2": "a.example.com 300 192.0.2.1\nb.example.com 300 192.0.2.1\n",
		"word 3": "a.example.com 300 192.0.2.2\nb.example.com 300 192.0.2.2\n",
	}
	seen := make(map[string]bool)
	for n := range len(said) + 1 {
		s := openStore(t)
		hear(s, said[:n])
		mark, err := s.Mark(context.Background())
		want, known := states[mark]
		if got := picture(t, s); err != nil || !known || got != want {
			t.Fatalf("cut after %d bytes: at %q (%v) it has\n%s", n, mark, err, got)
		}
		seen[mark] = true
	}
	if len(seen) != len(states) {
		t.Errorf("only %v were seen", seen)
	}
}

// hear has a follower hear what a gateway says, until it has acknowledged all of it
// or cuts it off, and returns why that ended.
func hear(s records.Replacer, said string) error {
	acks := make(chan struct{}, 100)
	gone := make(chan struct{})
	end := sync.OnceFunc(func() { close(gone) })
	last := reader(func() (int, error) {
		for range len(wholeAt.FindAllString(said, -1)) {
			select {
			case <-acks:
			case <-gone:
			}
		}
		return 0, io.EOF
	})
	heard := writer(func(b []byte) {
		for range strings.Count(string(b), "\n") {
			acks <- struct{}{}
		}
	})
	run := func(context.Context, string, string) (io.ReadWriteCloser, error) {
		return link{io.MultiReader(strings.NewReader(said), last), heard, func() error { end(); return nil }}, nil
	}
	_, err := newFollower(s, io.Discard, run).converse(context.Background(), "gate")
	return err
}

var wholeAt = regexp.MustCompile(`(?m)^# at .*\n`)

type reader func() (int, error)

func (r reader) Read([]byte) (int, error) { return r() }

type writer func(b []byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// TestHostileGateway is cut off, and what is served stays.
func TestHostileGateway(t *testing.T) {
	const first, whole = "# dnsgate follow 1 word\n", "# dnsgate follow 1 word\n# whole\n"
	const at = "# at 5 2026-01-01T00:00:00Z\n"
	line := func(revision int, name string) string {
		return fmt.Sprintf("%d 2026-01-01T00:00:00Z %s - 192.0.2.66 300 SHA256:k -\n", revision, name)
	}
	var many strings.Builder
	for i := range 1001 {
		many.WriteString(line(1, fmt.Sprintf("h%d.example.com", i)))
	}
	for name, c := range map[string]struct{ said, why string }{
		"an endless line":           {first + strings.Repeat("x", 1<<20), "longer than"},
		"no gateway":                {"HTTP/1.1 200 OK\n", "is not how a gateway begins"},
		"a newer format":            {"# dnsgate follow 2 word\n", "speaks format"},
		"a name not asked for":      {whole + line(5, "a.example.net") + at, "not among names"},
		"a suffix's neighbour":      {whole + line(5, "a.badexample.com") + at, "not among names"},
		"no change line":            {whole + "drop table\n" + at, "8 belong"},
		"an address not to publish": {whole + strings.Replace(line(5, "a.example.com"), "192.0.2.66", "127.0.0.1", 1) + at, "127.0.0.1"},
		"a change before the whole": {first + line(5, "a.example.com") + at, "has not come yet"},
		"a revision past its group": {whole + line(6, "a.example.com") + at, "ends at 5"},
		"going back":                {whole + line(5, "x.example.com") + at + "# at 4 2026-01-01T00:00:00Z\n", "goes back"},
		"a change that goes back":   {whole + at + line(4, "a.example.com") + "# at 6 2026-01-01T00:00:00Z\n", "goes back"},
		"more hosts than may be":    {whole + many.String() + at, "more than 1000 hosts"},
		"a refusal":                 {"abuse too many followers\n", "the gateway says: abuse too many followers"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, ".example.com")
			s := openStore(t)
			g.set("home.example.com", "192.0.2.1")
			stop := follower(t, s, io.Discard, g.run)
			g.awaitSame(s)
			stop()
			if err := hear(s, c.said); err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("it ended with %v", err)
			}
			stays := !strings.Contains(c.said, at) || !strings.HasSuffix(c.why, "goes back") // there, a good whole came first
			if got := picture(t, s); stays && got != "home.example.com 300 192.0.2.1\n" {
				t.Errorf("it has\n%s", got)
			}
		})
	}
}

// TestFollowerWords ends the stream of a follower that says something else than what
// it was sent.
func TestFollowerWords(t *testing.T) {
	for _, said := range []string{"hello\n", "at x\n", "at 99\n", "at 1 not_a_name\n", strings.Repeat("a", 1<<20)} {
		g := newGateway(t, ".example.com")
		g.set("a.example.com", "192.0.2.1")
		conn, _ := g.run(t.Context(), "", "follow")
		go io.WriteString(conn, said)
		if _, err := io.Copy(io.Discard, conn); !errors.Is(err, ErrWords) {
			t.Errorf("%.20q: it ended with %v", said, err)
		}
	}
}
