package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// list runs "list [HOST...]": the named hosts of the key, or all, each followed by
// its challenge name where that has values.
func (r *run) list(words []string) error {
	names, err := parseHosts(words)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !r.grant.Covers(name) {
			return refusal(NoHost, "%s is not this key's", name)
		}
	}
	r.record.hosts = names
	end, err := r.interp.reading.begin(r.ctx, r.grant.Fingerprint)
	if err != nil {
		return err
	}
	defer end()
	if len(names) == 0 {
		names = r.grant.Hosts
	}
	all := withChallenges(names)
	if len(r.record.hosts) == 0 && len(r.grant.Suffixes) > 0 {
		if all, err = r.interp.Store.Find(r.ctx, r.mine()); err != nil {
			return unreadable(err)
		}
	}
	if err := records.Each(r.ctx, r.interp.Store, all, func(h records.Host) { writeHost(r.out, h, time.Time{}) }); err != nil {
		return unreadable(err)
	}
	return nil
}

// unreadable is the refusal of a store that cannot be read.
func unreadable(err error) error {
	return inside(Outage, err, "the store cannot be read; try again later")
}

// mine selects the key's names and their challenge names.
func (r *run) mine() records.Selection {
	return records.Selection{Names: withChallenges(r.grant.Hosts), Suffixes: r.grant.Suffixes}
}

func withChallenges(names []records.Name) []records.Name {
	var all []records.Name
	for _, name := range names {
		all = append(all, name)
		if challenge, err := name.Challenge(); err == nil && !name.IsWildcard() {
			all = append(all, challenge)
		}
	}
	return all
}

// writeHost prints h in the presentation format of RFC 1035 section 5.1. A comment says
// when it was last heard of, unless that is zero.
func writeHost(w io.Writer, h records.Host, seen time.Time) {
	comment := ""
	if !seen.IsZero() {
		comment = " ; seen " + seen.Format(time.RFC3339)
	}
	for _, rec := range h.Records {
		value := rec.Value()
		if rec.Type() == records.TXT {
			value = `"` + value + `"`
		}
		fmt.Fprintf(w, "%s. %d IN %s %s%s\n", h.Name, h.TTL, rec.Type(), value, comment)
	}
}

// maxHistory is how many changes are shown.
const maxHistory = 100

// history runs "history [HOST]".
func (r *run) history(words []string) error {
	names, err := parseHosts(words)
	if err != nil {
		return err
	}
	if len(names) > 1 {
		return refusal(BadCommand, "history takes one host, or none for all")
	}
	if len(names) == 1 && !r.grant.Covers(names[0]) {
		return refusal(NoHost, "%s is not this key's", names[0])
	}
	r.record.hosts = names
	of := r.mine()
	if len(names) > 0 {
		of = records.Selection{Names: withChallenges(names)}
	}
	changes, err := r.changes(of)
	if err != nil {
		return err
	}
	writeChanges(r.out, changes)
	return nil
}

// changes returns the last changes of the selected names, oldest first.
func (r *run) changes(of records.Selection) ([]records.Change, error) {
	end, err := r.interp.reading.begin(r.ctx, r.grant.Fingerprint)
	if err != nil {
		return nil, err
	}
	defer end()
	changes, err := r.interp.Store.History(r.ctx, of, maxHistory)
	if err != nil {
		return nil, inside(Outage, err, "the history cannot be read; try again later")
	}
	slices.Reverse(changes)
	return changes, nil
}

func writeChanges(w io.Writer, changes []records.Change) {
	for _, c := range changes {
		fmt.Fprintf(w, "%s %s %s %s %s %s\n", c.Time.Format(time.RFC3339), c.Name,
			values(c.Old), values(c.New), c.Key, c.Source)
	}
}

// whoami runs "whoami".
func (r *run) whoami([]string) error {
	fmt.Fprintf(r.out, "key          %s\ncomment      %s\nhosts        %s\nrestrictions %s\naddress      %s\n",
		r.grant.Fingerprint, r.grant.Comment, mayText(r.grant), r.grant.Restrictions(), r.session.place())
	return nil
}

// mayText shows a person what a grant is for.
func mayText(g authkeys.Grant) string {
	names := strings.Join(g.Patterns(), " ")
	switch {
	case g.Admin:
		return "(admin)"
	case g.Monitor:
		return "(monitor)"
	case g.Follow:
		return "(follow) " + names
	}
	return names
}

func (r *run) help([]string) error {
	r.out.WriteString(usage(roleOf(r.grant)))
	return nil
}

func (r *run) version([]string) error {
	fmt.Fprintf(r.out, "dnsgate %s\n", r.interp.Version)
	return nil
}
