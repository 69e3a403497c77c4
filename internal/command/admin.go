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
	grants, problems := r.interp.Keys()
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
	for _, g := range grants {
		fmt.Fprintf(r.out, "%s %q %s; restrictions: %s\n", g.Fingerprint, g.Comment, mayText(g), g.Restrictions())
	}
	for _, p := range problems {
		fmt.Fprintln(r.out, p)
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

func (r *run) reload([]string) error {
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

func (r *run) rebuild([]string) error {
	if err := r.interp.Publishers.Rebuild(r.ctx); err != nil {
		return refusal(DNSError, "%v; the gateway goes on trying", err)
	}
	r.out.WriteString("rebuilt\n")
	return nil
}

func (r *run) backup([]string) error {
	if err := r.interp.Store.Backup(r.ctx, r.out); err != nil {
		return refusal(Outage, "the backup is not whole: %v", err)
	}
	return nil
}
