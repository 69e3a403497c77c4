package command

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/records"
)

// jsonFlag takes --json off words, and checks how many are left.
func jsonFlag(words []string, most int) (bool, []string, error) {
	flags, words, err := takeFlags(words, "--json")
	if err == nil && len(words) > most {
		err = refusal(BadCommand, "too many words; try: help")
	}
	return flags["--json"], words, err
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

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

// Publisher is records.Progress in words of JSON; what there is not is left
// out.
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

// Errand is records.Errand in words of JSON.
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
	grants, faults := in.Keys()
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
	for _, f := range faults {
		st.Refused = append(st.Refused, f.String())
	}
	st.KeysFailure = in.keysFailure()
	st.Followers, st.Gateway = in.followers(), in.upstream()
	if in.Shared != nil {
		st.Shared = in.Shared()
	}
	return st
}

// KeysFailure says why authorized_keys cannot be read, so that the keys are
// those of before.
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

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// hosts runs "hosts [--json] [--silent=DURATION] [PATTERN]".
func (r *run) hosts(words []string) error {
	var silent time.Duration
	onlySilent := false
	words = slices.Clone(words)
	for i, w := range words {
		if text, ok := strings.CutPrefix(w, "--silent="); ok && !onlySilent {
			var err error
			if silent, err = parseSilence(text); err != nil {
				return err
			}
			words, onlySilent = slices.Delete(words, i, i+1), true
			break
		}
	}
	asJSON, words, err := jsonFlag(words, 1)
	if err != nil {
		return err
	}
	of := records.All // without [ and \ a pattern cannot be bad
	if len(words) == 1 {
		of.Glob = strings.ToLower(words[0])
	}
	end, err := r.interp.reading.begin(r.ctx, r.grant.Fingerprint)
	if err != nil {
		return err
	}
	defer end()
	now, list := time.Now(), []jsonHost{}
	err = r.interp.eachHost(r.ctx, of, func(h records.Host) {
		seen := r.interp.seen(h)
		switch {
		case onlySilent && (seen.IsZero() || now.Sub(seen) < silent):
		case asJSON:
			list = append(list, jsonOf(h, seen))
		default:
			writeHost(r.out, h, seen)
		}
	})
	if err != nil {
		return unreadable(err)
	}
	if asJSON {
		return writeJSON(r.out, list)
	}
	return nil
}

type jsonRecord struct {
	Type    string     `json:"type"`
	Value   string     `json:"value"`
	Expires *time.Time `json:"expires,omitempty"`
}

type jsonHost struct {
	Name     string       `json:"name"`
	TTL      uint32       `json:"ttl"`
	Revision uint64       `json:"revision"`
	Seen     time.Time    `json:"seen,omitzero"` // when it was last heard of
	Records  []jsonRecord `json:"records"`
}

func jsonOf(h records.Host, seen time.Time) jsonHost {
	j := jsonHost{string(h.Name), h.TTL, h.Revision, seen, []jsonRecord{}}
	for _, rec := range h.Records {
		jr := jsonRecord{Type: rec.Type().String(), Value: rec.Value()}
		if rec.Expires != 0 {
			end := time.Unix(rec.Expires, 0).UTC()
			jr.Expires = &end
		}
		j.Records = append(j.Records, jr)
	}
	return j
}

// keys runs "keys".
func (r *run) keys(words []string) error {
	asJSON, _, err := jsonFlag(words, 0)
	if err != nil {
		return err
	}
	grants, faults := r.interp.Keys()
	type key struct {
		Fingerprint  string   `json:"fingerprint"`
		Comment      string   `json:"comment"`
		Line         int      `json:"line"`
		Admin        bool     `json:"admin"`
		Monitor      bool     `json:"monitor"`
		Follow       bool     `json:"follow"`
		Hosts        []string `json:"hosts"`
		Restrictions string   `json:"restrictions"`
	}
	list := []key{}
	for _, g := range grants {
		list = append(list, key{g.Fingerprint, g.Comment, g.Line, g.Admin, g.Monitor, g.Follow, g.Patterns(), g.Restrictions()})
	}
	if asJSON {
		return writeJSON(r.out, list)
	}
	for _, k := range list {
		grants := strings.Join(k.Hosts, " ")
		switch {
		case k.Admin:
			grants = "(admin)"
		case k.Monitor:
			grants = "(monitor)"
		case k.Follow:
			grants = "(follow) " + grants
		}
		fmt.Fprintf(r.out, "%s %q %s; restrictions: %s\n", k.Fingerprint, k.Comment, grants, k.Restrictions)
	}
	for _, f := range faults {
		fmt.Fprintln(r.out, f)
	}
	r.interp.keysFailure().write(r.out)
	return nil
}

// adminHistory runs the operator's "history [HOST]".
func (r *run) adminHistory(words []string) error {
	asJSON, words, err := jsonFlag(words, 1)
	if err != nil {
		return err
	}
	names, err := parseHosts(words)
	if err != nil {
		return err
	}
	of := records.Selection{Names: withChallenges(names)}
	if len(names) == 0 {
		of = records.All
	}
	changes, err := r.changes(of)
	if err != nil {
		return err
	}
	if !asJSON {
		writeChanges(r.out, changes)
		return nil
	}
	type jsonChange struct {
		Revision uint64    `json:"revision"`
		Time     time.Time `json:"time"`
		Host     string    `json:"host"`
		Old      string    `json:"old"`
		New      string    `json:"new"`
		TTL      uint32    `json:"ttl"`
		Key      string    `json:"key"`
		Source   string    `json:"source"`
	}
	list := []jsonChange{}
	for _, c := range changes {
		list = append(list, jsonChange{c.Revision, c.Time, string(c.Name), values(c.Old), values(c.New), c.TTL, c.Key, c.Source})
	}
	return writeJSON(r.out, list)
}

func (r *run) reload(words []string) error {
	if err := noWords("reload", words); err != nil {
		return err
	}
	restart, err := r.interp.Reload(r.ctx)
	if err != nil {
		return refusal(Outage, "%v", err)
	}
	r.out.WriteString("reloaded")
	if len(restart) > 0 {
		r.out.WriteString(", but these need a restart: " + strings.Join(restart, ", "))
	}
	r.out.WriteString("\n")
	return nil
}

func (r *run) rebuild(words []string) error {
	if err := noWords("rebuild", words); err != nil {
		return err
	}
	if err := r.interp.Publishers.Rebuild(r.ctx); err != nil {
		return refusal(DNSError, "%v; the gateway goes on trying", err)
	}
	r.out.WriteString("rebuilt\n")
	return nil
}

func (r *run) backup(words []string) error {
	if err := noWords("backup", words); err != nil {
		return err
	}
	if err := r.interp.Store.Backup(r.ctx, r.out); err != nil {
		return refusal(Outage, "the backup is not whole: %v", err)
	}
	return nil
}
