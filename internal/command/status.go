package command

import (
	"fmt"
	"io"
	"time"

	"dnsgate/internal/records"
)

// Status is what "status" shows.
type Status struct {
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Revision uint64    `json:"revision"`
	Hosts    int       `json:"hosts"`
	Keys     int       `json:"keys"`
	Refused  []string  `json:"refused_lines"` // of authorized_keys

	KeysFailure *KeysFailure `json:"keys_failure,omitempty"`

	Connections Connections `json:"connections"`
	Publishers  []Publisher `json:"publishers"`
	Followers   []Follower  `json:"followers,omitempty"`
	Gateway     *Upstream   `json:"gateway,omitempty"` // that this process follows

	Shared *Shared `json:"shared,omitempty"` // nil: the store is this gateway's own
}

// Publisher is records.Progress for JSON. Empty fields are left out.
type Publisher struct {
	Name          string    `json:"name"`
	Revision      uint64    `json:"revision"`
	Known         uint64    `json:"known_revision"`
	Pending       int       `json:"pending"`
	Failed        int       `json:"failed"`
	PendingSince  time.Time `json:"pending_since,omitzero"`
	LastError     string    `json:"last_error,omitempty"`
	LastErrorTime time.Time `json:"last_error_time,omitzero"`
	NextTry       time.Time `json:"next_try,omitzero"`
	Publications  uint64    `json:"rounds"`
	Failures      uint64    `json:"failed_rounds"`
	LastDuration  float64   `json:"last_round_seconds"`
	Errands       []Errand  `json:"errands,omitempty"`
}

// Errand is records.Errand for JSON.
type Errand struct {
	Name          string    `json:"name"`
	LastDone      time.Time `json:"last_done,omitzero"`
	LastError     string    `json:"last_error,omitempty"`
	LastErrorTime time.Time `json:"last_error_time,omitzero"`
	NextTry       time.Time `json:"next_try,omitzero"`
}

func publisher(p records.Progress) Publisher {
	var errands []Errand
	for _, e := range p.Errands {
		errands = append(errands, Errand(e))
	}
	return Publisher{
		Name: p.Name, Revision: p.Revision, Known: p.Known, Pending: p.Pending, Failed: p.Failed,
		PendingSince: p.PendingSince, LastError: p.LastError, LastErrorTime: p.LastErrorTime, NextTry: p.NextTry,
		Publications: p.Publications, Failures: p.Failures, LastDuration: p.LastDuration.Seconds(), Errands: errands,
	}
}

func (in *Interpreter) state() Status {
	grants, problems := in.Keys()
	st := Status{
		Version:     in.Version,
		Started:     in.Started.UTC().Truncate(time.Second),
		Revision:    in.Store.Revision(),
		Hosts:       in.Store.Len(),
		Keys:        len(grants),
		Refused:     []string{},
		Connections: in.Connections(),
		Publishers:  []Publisher{},
	}
	for _, p := range in.Publishers.Progress() {
		st.Publishers = append(st.Publishers, publisher(p))
	}
	for _, p := range problems {
		st.Refused = append(st.Refused, p.String())
	}
	st.KeysFailure = in.keysFailure()
	st.Followers, st.Gateway = in.followers(), in.upstream()
	if in.Shared != nil {
		st.Shared = in.Shared()
	}
	return st
}

// KeysFailure says why authorized_keys cannot be read. The keys are then those of the
// last good read.
type KeysFailure struct {
	Why   string    `json:"why"`
	Since time.Time `json:"since"`
}

// keysFailure is nil if the file can be read.
func (in *Interpreter) keysFailure() *KeysFailure {
	if in.KeysFailure == nil {
		return nil
	}
	why, since := in.KeysFailure()
	if why == "" {
		return nil
	}
	return &KeysFailure{why, since.UTC().Truncate(time.Second)}
}

func (k *KeysFailure) write(w io.Writer) {
	if k != nil {
		fmt.Fprintf(w, "  not read since %s: %s\n", k.Since.Format(time.RFC3339), oneLine(k.Why))
	}
}

func (r *run) status(words []string) error {
	asJSON, _, err := jsonFlag(words, 0)
	if err != nil {
		return err
	}
	st := r.interp.state()
	if asJSON {
		return writeJSON(r.out, st)
	}
	fmt.Fprintf(r.out, "dnsgate %s, up %s\n", st.Version, time.Since(st.Started).Truncate(time.Second))
	fmt.Fprintf(r.out, "store: revision %d, %d hosts\n", st.Revision, st.Hosts)
	st.Shared.write(r.out, st.Revision)
	fmt.Fprintf(r.out, "keys: %d, %d lines refused or of no use\n", st.Keys, len(st.Refused))
	for _, line := range st.Refused {
		fmt.Fprintf(r.out, "  %s\n", line)
	}
	st.KeysFailure.write(r.out)
	c := st.Connections
	fmt.Fprintf(r.out, "connections: %d, %d not logged in, %d sessions; %d accepted, %d refused\n",
		c.Authenticated+c.Unauthenticated, c.Unauthenticated, c.Sessions, c.Accepted, c.Refused)
	if c.Penalized > 0 {
		fmt.Fprintf(r.out, "penalties: %d sources slowed for a while\n", c.Penalized)
	}
	for _, p := range c.Penalties {
		fmt.Fprintf(r.out, "  %s until %s: %s\n", p.Source, p.Until.UTC().Format(time.RFC3339), p.Why)
	}
	for _, p := range st.Publishers {
		writeProgress(r.out, p, st.Revision)
	}
	writeFollowing(r.out, st)
	return nil
}

func writeProgress(w io.Writer, p Publisher, revision uint64) {
	fmt.Fprintf(w, "publisher %s: revision %d (%d behind), %d hosts pending, %d rounds, %d failed, last took %s\n",
		p.Name, p.Revision, revision-min(revision, p.Revision), p.Pending, p.Publications, p.Failures,
		time.Duration(p.LastDuration*float64(time.Second)).Round(10*time.Microsecond))
	if p.LastError != "" {
		fmt.Fprintf(w, "  last error (%s): %s\n", p.LastErrorTime.UTC().Format(time.RFC3339), oneLine(p.LastError))
	}
	if !p.NextTry.IsZero() {
		fmt.Fprintf(w, "  next try: %s\n", p.NextTry.UTC().Format(time.RFC3339))
	}
	for _, e := range p.Errands {
		writeErrand(w, e)
	}
}

func writeErrand(w io.Writer, e Errand) {
	done := "never yet"
	if !e.LastDone.IsZero() {
		done = "last " + e.LastDone.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(w, "  %s: %s\n", e.Name, done)
	if e.LastError != "" {
		fmt.Fprintf(w, "    last error (%s): %s\n", e.LastErrorTime.UTC().Format(time.RFC3339), oneLine(e.LastError))
	}
}
