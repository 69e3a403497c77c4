package command

import (
	"fmt"
	"slices"
	"time"

	"dnsgate/internal/records"
)

// offline runs "offline [-4] [-6] [HOST...]".
func (r *run) offline(words []string) error {
	flags, words, err := takeFlags(words, "-4", "-6")
	if err != nil {
		return err
	}
	hosts, err := parseHosts(words)
	if err != nil {
		return err
	}
	if hosts, err = authorizedHosts(r.grant, hosts); err != nil {
		return err
	}
	if err := writable(r.grant); err != nil {
		return err
	}
	return r.takeOffline(hosts, flags, false)
}

// adminOffline runs the operator's "offline HOST".
func (r *run) adminOffline(words []string) error {
	if len(words) != 1 {
		return refusal(BadCommand, "offline takes one host")
	}
	hosts, err := parseHosts(words)
	if err != nil {
		return err
	}
	return r.takeOffline(hosts, nil, true)
}

func (r *run) takeOffline(hosts []records.Name, families map[string]bool, admin bool) error {
	r.record.hosts = hosts
	c := r.interp.change(r.session, r.grant)
	c.names, c.unrated = hosts, admin
	if admin {
		c.check = known
	}
	both := families["-4"] == families["-6"]
	c.edit = func(h records.Host, _ time.Time) (records.Host, error) {
		h.Records = slices.DeleteFunc(slices.Clone(h.Records), func(rec records.Record) bool {
			t := rec.Type()
			return t == records.A && (both || families["-4"]) || t == records.AAAA && (both || families["-6"])
		})
		return h, nil
	}
	done, err := r.transact(c)
	r.record.note(done)
	if err != nil {
		return err
	}
	for _, d := range done {
		fmt.Fprintf(r.out, "%s - %s\n", d.code, d.new.Name)
	}
	return nil
}

// known refuses names that never had records: the operator has probably mistyped one.
func known(hosts []records.Host) error {
	for _, h := range hosts {
		if h.Revision == 0 {
			return refusal(NoHost, "there is no host %s", h.Name)
		}
	}
	return nil
}
