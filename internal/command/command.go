// Package command is the remote language: one line of words becomes a request,
// is authorized and checked whole, is stored as one transaction, and is
// answered once it is published. It knows neither networks nor files. It
// trusts the Grant that it is given, and no word of the line.
package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// MaxLine is the length, in bytes, of the longest command.
const MaxLine = 4096

// Gateway runs commands. Its fields are set before the first Run and not
// changed after; Run may be called concurrently.
type Gateway struct {
	Store      records.Store
	Publishers Publishers
	Rates      *Rates
	Log        *slog.Logger
	Version    string
	Started    time.Time

	// TTL is that of records whose grant names none, in seconds.
	TTL func() uint32

	// MaxHosts is how many names there may be, with records, before the patterns of keys get
	// no new ones; nil: any number.
	MaxHosts func() int

	// MaxKeyHosts is how many of them the patterns of one key may make; nil:
	// any number.
	MaxKeyHosts func() int

	// Fits says why a host cannot be served as it would be; nil: all can.
	Fits func(records.Host) error

	// IdleTimeout is how long a batch may send nothing; nil: for ever.
	IdleTimeout func() time.Duration

	// PublishTimeout is how long a command waits for the publishers.
	PublishTimeout time.Duration

	// What the admin commands need of the rest of the program.
	// Reload reads keys and configuration again. Restart are the keys of the
	// configuration whose new values need one.
	Reload      func(context.Context) (restart []string, err error)
	Keys        func() ([]authkeys.Grant, []authkeys.Fault)
	KeysFailure func() (why string, since time.Time) // why authorized_keys cannot be read; nil: it can
	Connections func() Connections

	stopping atomic.Bool
	together together
	sharing  sync.Once
	lines    chan struct{} // places of batch lines; see sharedPlaces
	batches  batches
	counts   counts
}

// Publishers bring the store's state to the name servers. All methods may be
// called concurrently.
type Publishers interface {
	// Wait returns once the names, as of revision, are published everywhere,
	// or why they are not.
	Wait(ctx context.Context, names []records.Name, revision uint64) error
	Progress() []records.Progress
	// Rebuild writes everything anew and waits for that.
	Rebuild(ctx context.Context) error
}

// Connections says what the gateway is holding.
type Connections struct {
	Unauthenticated int    `json:"unauthenticated"`
	Authenticated   int    `json:"authenticated"`
	Sessions        int    `json:"sessions"`
	Accepted        uint64 `json:"accepted"` // since the start
	Refused         uint64 `json:"refused"`  // over a limit, or without a good key

	Penalized int       `json:"penalized"` // sources slowed for now
	Penalties []Penalty `json:"penalties"` // those slowed the longest
}

// Penalty is a source that is slowed for a while.
type Penalty struct {
	Source string    `json:"source"` // a network
	Until  time.Time `json:"until"`
	Why    string    `json:"why"`
}

// Session is who asks, as far as it is proven.
type Session struct {
	Source netip.Addr // of the connection; invalid: it is a program of this machine
	Began  time.Time

	// Grant looks the proven key up again: it may be gone, or narrowed.
	Grant func() (authkeys.Grant, error)
}

// place is where s comes from, as log and history have it.
func (s *Session) place() string {
	if !s.Source.IsValid() {
		return "-"
	}
	return s.Source.Unmap().String()
}

// Stop makes every command from now on answer 911. Those that run go on.
func (g *Gateway) Stop() { g.stopping.Store(true) }

// Streams are a command's input and outputs.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs one command and returns its exit status.
func (g *Gateway) Run(ctx context.Context, s *Session, line string, std Streams) int {
	began := time.Now()
	r := &run{
		gate: g, session: s, ctx: ctx, in: std.In,
		out:    bufio.NewWriter(std.Out),
		record: record{line: line, verb: "unknown"},
	}
	err := r.survive(func() error { return r.dispatch(line) })
	if err != nil {
		explain(r.out, std.Err, err)
	}
	r.out.Flush()
	exit := max(exitStatus(err), r.worst)
	r.log(err, time.Since(began))
	return exit
}

// survive runs f, and makes a panic an error: a bug ends one command, or one
// line of a batch, and not the process.
func (r *run) survive(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.gate.Log.Error("bug: panic", "command", r.record.verb, "panic", p, "stack", string(debug.Stack()))
			err = errBug
		}
	}()
	return f()
}

// run is one command on its way.
type run struct {
	gate    *Gateway
	session *Session
	ctx     context.Context
	in      io.Reader
	out     *bufio.Writer
	grant   authkeys.Grant
	worst   int // exit status of the worst line of a batch
	record  record
}

// verb is one command of the language.
type verb struct {
	name  string
	usage string // what follows the name
	says  string
	does  func(r *run, words []string) error
}

// The two languages: that of keys which may update, and the operator's.
var (
	userVerbs  []verb
	adminVerbs []verb
)

func init() { // not a literal: help shows the tables that it stands in
	userVerbs = []verb{
		{"update", "[--dry-run] [HOST...] [ADDRESS...]", "set addresses; none named: this connection's own", (*run).update},
		{"update -", "", "the same for each line of standard input", nil},
		{"offline", "[-4] [-6] [HOST...]", "take addresses away", (*run).offline},
		{"acme add", "HOST VALUE", "add a TXT record at _acme-challenge.HOST, for an hour", nil},
		{"acme del", "HOST VALUE", "take it away", nil},
		{"acme", "", "", (*run).acme},
		{"list", "[HOST...]", "show records", (*run).list},
		{"history", "[HOST]", "show the last changes", (*run).history},
		{"whoami", "", "show this key's hosts and limits, and your address", (*run).whoami},
		{"help", "", "show this", (*run).help},
		{"version", "", "show the gateway's version", (*run).version},
	}
	adminVerbs = []verb{
		{"status", "[--json]", "show the store, the publishers and the connections", (*run).status},
		{"hosts", "[--json] [PATTERN]", "show records; * and ? match", (*run).hosts},
		{"keys", "[--json]", "show the authorized keys and refused lines", (*run).keys},
		{"history", "[--json] [HOST]", "show the last changes", (*run).adminHistory},
		{"reload", "", "read keys and configuration again", (*run).reload},
		{"rebuild", "", "publish everything anew", (*run).rebuild},
		{"offline", "HOST", "take a host's addresses away", (*run).adminOffline},
		{"metrics", "", "show counters in Prometheus's text format", (*run).metrics},
		{"backup", "", "write a snapshot for dnsgate restore", (*run).backup},
		{"whoami", "", "show this key and your address", (*run).whoami},
		{"help", "", "show this", (*run).help},
		{"version", "", "show the gateway's version", (*run).version},
	}
}

func (r *run) dispatch(line string) error {
	words, err := split(line)
	if err != nil {
		r.grant, _ = r.session.Grant() // for the log
		return err
	}
	if r.gate.stopping.Load() {
		return fault(Outage, "the gateway is stopping; try again in a minute")
	}
	if r.grant, err = r.session.Grant(); err != nil {
		return noGrant(err)
	}
	if len(words) == 0 {
		return fault(BadCommand, "no command; try: help")
	}
	for _, v := range r.verbs() {
		if v.does != nil && v.name == words[0] {
			r.record.verb = v.name
			return v.does(r, words[1:])
		}
	}
	if r.grant.Admin && words[0] == "update" {
		return fault(NoHost, "this key runs the admin commands and updates nothing")
	}
	return fault(BadCommand, "there is no command %q; try: help", words[0])
}

func (r *run) verbs() []verb {
	if r.grant.Admin {
		return adminVerbs
	}
	return userVerbs
}

// record is what the log says of a command.
type record struct {
	line     string
	verb     string
	code     Code // of what was done
	hosts    []records.Name
	old, new []records.Record
	lines    int  // of a batch
	dryRun   bool // nothing was done
}

// log writes the command's one record. Fingerprints, never keys; and slog
// quotes whatever could end a line or a field.
func (r *run) log(err error, took time.Duration) {
	code := cmp.Or(r.record.code, Good)
	attrs := []any{"command", r.record.verb}
	if r.grant.Fingerprint != "" {
		attrs = append(attrs, "key", r.grant.Fingerprint, "comment", r.grant.Comment)
	}
	attrs = append(attrs, "source", r.session.place())
	if r.record.dryRun {
		attrs = append(attrs, "dry_run", true)
	}
	if len(r.record.hosts) > 0 {
		attrs = append(attrs, "hosts", joinNames(r.record.hosts),
			"old", values(r.record.old), "new", values(r.record.new))
	}
	if r.record.lines > 0 {
		attrs = append(attrs, "lines", r.record.lines, "worst", r.worst)
	}
	var f *Fault
	if errors.As(err, &f) {
		code = f.Code
		attrs = append(attrs, "why", cmp.Or(f.Detail, f.Text))
	}
	if code == BadCommand {
		attrs = append(attrs, "line", clip(r.record.line))
	}
	r.gate.counts.add(r.record.verb, code)
	attrs = append(attrs, "code", string(code), "duration", took)
	message := "command"
	if r.record.verb == "update" {
		message = "update"
	}
	r.gate.Log.Info(message, attrs...)
}

func joinNames(names []records.Name) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(n))
	}
	return b.String()
}

// clip shortens what a client sent, for messages.
func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}

// ReadsInput reports whether a command reads its standard input. Of any other
// the input is to be thrown away.
func ReadsInput(line string) bool {
	words := strings.Fields(line)
	return len(words) > 1 && words[0] == "update" && words[len(words)-1] == "-"
}

// Shell answers a client that wants a shell: with the usage, and as an error.
func (g *Gateway) Shell(s *Session, std Streams) int {
	grant, _ := s.Grant()
	io.WriteString(std.Out, Usage(grant.Admin))
	g.counts.add("shell", BadCommand)
	g.Log.Info("command", "command", "shell", "key", grant.Fingerprint, "comment", grant.Comment,
		"source", s.place(), "code", string(BadCommand))
	return BadCommand.Exit()
}
