// Package command is the remote language. One line of words becomes a request, which is
// authorized and checked as a whole, stored as one transaction, and answered once it is
// published. The package knows neither networks nor files. It trusts the Grant that it
// is given, and no word of the line.
//
// A door takes lines from clients: it calls Parse, Begin and Run for each, and
// Drain when it closes. Limits, counters and the drain are those of all doors.
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
	"sync"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/follow"
	"dnsgate/internal/records"
	"dnsgate/internal/screen"
)

// Interpreter runs commands. Its fields are set before the first Run and not
// changed after; Run may be called concurrently.
type Interpreter struct {
	Store      records.Store
	Shared     func() *Shared // of a store that several gateways share; nil: it is this one's own
	Publishers Publishers
	Rates      *Rates
	Log        *slog.Logger
	Version    string
	Started    time.Time

	// TTL is that of records whose grant names none, in seconds.
	TTL func() uint32

	// MaxHosts is how many names may have records before the patterns of keys get no
	// new names; nil: no limit.
	MaxHosts func() int

	// MaxKeyHosts is how many of them the patterns of one key may make; nil: no limit.
	MaxKeyHosts func() int

	// Fits says why a host with these records cannot be served; nil: every host can.
	Fits func(records.Host) error

	// IdleTimeout is how long a batch may send nothing; nil: for ever.
	IdleTimeout func() time.Duration

	// PublishTimeout is how long a command waits for the publishers.
	PublishTimeout time.Duration

	// The rest of the program, for admin commands. Reload reads keys and configuration
	// again; restart are the keys of the configuration whose new values need a restart.
	Reload      func(context.Context) (restart []string, err error)
	Keys        func() ([]authkeys.Grant, []authkeys.Problem)
	KeysFailure func() (why string, since time.Time) // why authorized_keys cannot be read; nil: it is readable
	Connections func() Connections
	Heard       Heard // nil: nobody remembers

	// Followers serves the followers of this gateway; nil: it has none.
	Followers *follow.Server

	// Upstream describes the gateway that this process follows; nil: it is a gateway
	// itself. A follower changes no host itself.
	Upstream func() follow.Upstream

	drain    drain
	together together
	sharing  sync.Once
	lines    chan struct{} // places of batch lines; see sharedPlaces
	batches  batches
	counts   counts
	silence  silence
	rooms    rooms
	reading  reading
	activity activity
	screens  screens
}

// Publishers bring the store's state to the name servers. All methods may be
// called concurrently.
type Publishers interface {
	// Wait returns once the names are published everywhere as of revision, or with the
	// reason why they are not.
	Wait(ctx context.Context, names []records.Name, revision uint64) error
	Progress() []records.Progress
	// Rebuild writes everything once more, and waits for that.
	Rebuild(ctx context.Context) error
}

// Connections counts the gateway's connections.
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

// Session is the client, as far as it is proven.
type Session struct {
	Source netip.Addr // of the connection; invalid: it is a program of this machine
	Began  time.Time

	// Grant looks the proven key up again: the key may have been removed or narrowed.
	Grant func() (authkeys.Grant, error)
}

// place is the source of s for log and history.
func (s *Session) place() string {
	if !s.Source.IsValid() {
		return "-"
	}
	return s.Source.Unmap().String()
}

// Streams are a command's input and outputs. On a terminal, lines end with CR LF,
// because nothing else adds the carriage returns.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal *screen.Terminal // nil: they are none
}

// Run runs one command, in the context that Begin gave, and returns its exit
// status.
func (in *Interpreter) Run(ctx context.Context, s *Session, q Request, std Streams) int {
	began := time.Now()
	if std.Terminal != nil {
		std.Out, std.Err = screen.CRLF(std.Out), screen.CRLF(std.Err)
	}
	r := &run{
		interp: in, session: s, ctx: ctx, std: std,
		out:    bufio.NewWriter(std.Out),
		record: record{line: q.line, verb: "unknown"},
	}
	err := r.survive(func() error { return r.dispatch(q) })
	if err != nil {
		explain(r.out, std.Err, err)
	}
	r.out.Flush()
	exit := max(exitStatus(err), r.worst)
	r.log(err, time.Since(began))
	return exit
}

// survive runs f and turns a panic into an error: a bug ends one command, or one line
// of a batch, but not the process.
func (r *run) survive(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.interp.Log.Error("bug: panic", "command", r.record.verb, "panic", p, "stack", string(debug.Stack()))
			err = errBug
		}
	}()
	return f()
}

// run is one command on its way.
type run struct {
	interp  *Interpreter
	session *Session
	ctx     context.Context
	std     Streams
	out     *bufio.Writer // to std.Out
	grant   authkeys.Grant
	worst   int // exit status of the worst line of a batch
	record  record
}

func (r *run) dispatch(q Request) error {
	if q.err != nil || q.shell {
		r.grant, _ = r.session.Grant() // for the log
	}
	if q.shell {
		r.record.verb, r.record.code, r.worst = "shell", BadCommand, BadCommand.Exit()
		r.out.WriteString(usage(roleOf(r.grant)))
		return nil
	}
	if q.err != nil {
		return q.err
	}
	err := r.interp.drain.refusal()
	if err != nil {
		return err
	}
	if r.grant, err = r.session.Grant(); err != nil {
		return noGrant(err)
	}
	if len(q.words) == 0 {
		return refusal(BadCommand, "no command; try: help")
	}
	if v := find(q.words[0], roleOf(r.grant)); v != nil {
		r.record.verb = v.name
		if r.interp.Upstream != nil && v.name == "offline" {
			return refusal(NoHost, "this machine follows a gateway, and takes its hosts from there; change them there")
		}
		if v.help[0].words == "" && len(q.words) > 1 {
			return refusal(BadCommand, "%s takes no words", v.name)
		}
		return v.does(r, q.words[1:])
	}
	if is := roleOf(r.grant); is == followKey && q.words[0] == "update" {
		return refusal(NoHost, "this key follows its names and updates nothing")
	} else if is != allowKey {
		switch q.words[0] {
		case "update":
			return refusal(NoHost, "this key runs the admin commands and updates nothing")
		case "offline", "reload", "rebuild", "backup":
			return refusal(NoHost, "this key may look, and no more")
		}
	}
	return refusal(BadCommand, "there is no command %q; try: help", q.words[0])
}

// record is what the log says of a command.
type record struct {
	line     string
	verb     string
	code     Code // of the finished work
	hosts    []records.Name
	old, new []records.Record
	lines    int  // of a batch
	dryRun   bool // nothing was done
}

// log writes the command's one record: fingerprints, never keys. slog quotes everything
// that could end a line or a field.
func (r *run) log(err error, took time.Duration) {
	code := cmp.Or(r.record.code, Good)
	attrs := []any{"command", r.record.verb}
	if r.grant.Fingerprint != "" {
		attrs = append(attrs, r.grant.LogAttrs()...)
	}
	attrs = append(attrs, "source", r.session.place())
	if r.record.dryRun {
		attrs = append(attrs, "dry_run", true)
	}
	if len(r.record.hosts) > 0 {
		attrs = append(attrs, "hosts", join(r.record.hosts, nameText),
			"old", values(r.record.old), "new", values(r.record.new))
	}
	if r.record.lines > 0 {
		attrs = append(attrs, "lines", r.record.lines, "worst", r.worst)
	}
	var f *Refusal
	if errors.As(err, &f) {
		code = f.Code
		attrs = append(attrs, "why", cmp.Or(f.Detail, f.Text))
	}
	if code == BadCommand && r.record.verb != "shell" {
		attrs = append(attrs, "line", shown(r.record.line))
	}
	r.interp.counts.add(r.record.verb, code)
	r.interp.activity.note(ended{
		at: time.Now(), verb: r.record.verb, code: code, hosts: firstHosts(r.record.hosts), source: r.session.place(), took: took,
	}, r.grant, r.record.verb == "update" && r.record.lines == 0)
	attrs = append(attrs, "code", string(code), "duration", took)
	message := "command"
	if r.record.verb == "update" {
		message = "update"
	}
	r.interp.Log.Info(message, attrs...)
}
