package command

import (
	"fmt"
	"slices"
	"time"

	"dnsgate/internal/records"
)

const (
	challengeLife = time.Hour // after which a TXT value leaves by itself
)

// acme runs "acme add HOST VALUE" and "acme del HOST VALUE".
func (r *run) acme(words []string) error {
	if len(words) != 3 || words[0] != "add" && words[0] != "del" {
		return refusal(BadCommand, "usage: acme add HOST VALUE, or acme del HOST VALUE")
	}
	name, err := r.challenge(words[1])
	if err != nil {
		return err
	}
	value := words[2]
	if err := records.CheckText(value); err != nil {
		return refusal(BadCommand, "%v", err)
	}
	c := r.interp.change(r.session, r.grant)
	c.names = []records.Name{name}
	c.edit = func(h records.Host, now time.Time) (records.Host, error) {
		rs := slices.DeleteFunc(slices.Clone(h.Records), func(rec records.Record) bool { return rec.Text == value })
		if words[0] == "add" {
			if len(rs) >= records.MaxTexts {
				return h, refusal(Abuse, "%s has %d values already; take some away, or wait until they leave", name, len(rs))
			}
			h.TTL = c.ttl
			rs = append(rs, records.Record{Text: value, Expires: now.Add(challengeLife).Unix()})
		}
		records.Sort(rs)
		h.Records = rs
		return h, nil
	}
	r.record.hosts = c.names
	done, err := r.transact(c)
	r.record.note(done)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "%s %s\n", done[0].code, name.Host())
	return nil
}

// challenge returns the challenge name of a host that the key may prove. A name with
// "_acme-challenge." in front means the host behind it: some ACME clients only know
// that form.
func (r *run) challenge(word string) (records.Name, error) {
	name, err := records.ParseStored(word)
	if err != nil {
		return "", refusal(NotFQDN, "%v", err)
	}
	if name.IsWildcard() {
		return "", refusal(NotFQDN, "a wildcard is proven at its host: acme add %s VALUE", name.Host())
	}
	host := name.Host()
	if !r.grant.Covers(host) {
		return "", refusal(NoHost, "%s is not this key's", host)
	}
	if !r.grant.ACME {
		return "", refusal(NoHost, "this key has no --acme, so it may not set TXT records")
	}
	if err := writable(r.grant); err != nil {
		return "", err
	}
	if name, err = host.Challenge(); err != nil {
		return "", refusal(NotFQDN, "%v", err)
	}
	return name, nil
}
