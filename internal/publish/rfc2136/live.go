package rfc2136

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Live asks the server whether it has r's zone, and whether it takes an update that is
// signed with r's key. Nothing is changed by that. It cannot tell which names the key
// may update.
//
// It must not be called during Publish.
func (r *Target) Live(ctx context.Context) error {
	key, err := r.key.read()
	if err != nil {
		return err
	}
	err = r.askZone(ctx)
	if err == nil {
		err = r.askKey(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("name server %s: %w", r.server, err)
	}
	return nil
}

// askZone asks for the zone's SOA record.
func (r *Target) askZone(ctx context.Context) error {
	query := new(dns.Msg).SetQuestion(dns.Fqdn(r.zone), dns.TypeSOA)
	query.RecursionDesired = false
	request, err := query.Pack()
	if err != nil {
		return err
	}
	answer, err := r.stream.exchange(ctx, request)
	if err != nil {
		return err
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(answer); err != nil || !reply.Response || reply.Id != query.Id {
		return errors.New("what it sends is no answer to a question: is this a DNS server?")
	}
	switch {
	case reply.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("asked for the SOA of %s it answers %s: it does not have the zone", r.zone,
			cmp.Or(dns.RcodeToString[reply.Rcode], strconv.Itoa(reply.Rcode)))
	case !reply.Authoritative || !isApex(reply.Answer, r.zone):
		return fmt.Errorf("it is not a server of the zone %s: it gives no SOA of it with authority", r.zone)
	}
	return nil
}

func isApex(answer []dns.RR, zone string) bool {
	return len(answer) > 0 && answer[0].Header().Rrtype == dns.TypeSOA &&
		strings.EqualFold(answer[0].Header().Name, dns.Fqdn(zone))
}

// askKey sends an UPDATE that changes nothing, for two reasons: it has no changes, and
// it requires that the zone has no SOA record, which every zone has. A server checks
// the signature first, and then says YXRRSET.
func (r *Target) askKey(ctx context.Context, key tsigKey) error {
	request, err := newUpdate(r.zone, nil)
	if err != nil {
		return err
	}
	request.msg.Answer = append(request.msg.Answer, emptyRecord(dns.Fqdn(r.zone), dns.TypeSOA, dns.ClassNONE))
	signed, err := request.sign(key, r.clock())
	if err != nil {
		return err
	}
	answer, err := r.stream.exchange(ctx, signed)
	if err != nil {
		return err
	}
	var reply dns.Msg
	isSigned := reply.Unpack(answer) == nil && reply.IsTsig() != nil
	err = request.judge(answer, key)
	switch {
	case err == nil:
		return errors.New("it takes an update whose prerequisite does not hold; so no prerequisite of dnsgate's keeps a name that is an alias")
	case errors.Is(err, yxRRSet) && !isSigned:
		return errors.New("its answer is not signed, so it may not know the key: is TSIG set up on the server?")
	case errors.Is(err, yxRRSet):
		return nil
	}
	return err
}
