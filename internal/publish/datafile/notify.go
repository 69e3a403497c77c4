package datafile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/publish"

	"github.com/miekg/dns"
)

// notifyTimeout is how long a secondary may take for its answer.
const notifyTimeout = 3 * time.Second

// secondary is a name server that gets a NOTIFY (RFC 1996) for the zones whose data
// changed. A server that does not answer is told again later. One that refuses a zone
// is told again when the zone has changed again, and until then its answer stands in
// the status.
type secondary struct {
	*publish.Errand
	server  string            // "HOST:PORT"
	refused map[string]string // zones, and the answer; of the errand alone

	mu    sync.Mutex
	zones map[string]struct{} // still to be notified of
}

func newSecondary(server string, o Options) *secondary {
	s := &secondary{server: server, refused: make(map[string]string), zones: make(map[string]struct{})}
	s.Errand = publish.NewErrand("notify "+server, o.Logger, s.tell)
	return s
}

// changed queues zones for the secondary.
func (s *secondary) changed(zones []string) {
	s.keep(zones...)
	if len(zones) > 0 {
		s.Want()
	}
}

func (s *secondary) keep(zones ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, zone := range zones {
		s.zones[zone] = struct{}{}
	}
}

// next takes a zone off the queue.
func (s *secondary) next() (zone string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for zone := range s.zones {
		delete(s.zones, zone)
		return zone, true
	}
	return "", false
}

// tell notifies of all zones in the queue.
func (s *secondary) tell(ctx context.Context) error {
	for zone, ok := s.next(); ok; zone, ok = s.next() {
		rcode, err := s.notify(ctx, zone)
		switch {
		case err != nil:
			s.keep(zone)
			return fmt.Errorf("%s: %w", zone, err)
		case rcode == dns.RcodeSuccess:
			delete(s.refused, zone)
		default:
			s.refused[zone] = dns.RcodeToString[rcode]
		}
	}
	for _, zone := range slices.Sorted(maps.Keys(s.refused)) {
		return fmt.Errorf("%w: %s: it answers %s; is it a secondary of that zone, with this server as its primary?", publish.ErrRefused, zone, s.refused[zone])
	}
	return nil
}

func (s *secondary) notify(ctx context.Context, zone string) (rcode int, err error) {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	m := new(dns.Msg).SetNotify(dns.Fqdn(zone))
	reply, _, err := new(dns.Client).ExchangeContext(ctx, m, s.server)
	var network *net.OpError
	switch {
	case errors.As(err, &network) && network.Timeout():
		return 0, fmt.Errorf("no answer within %v", notifyTimeout)
	case errors.As(err, &network):
		return 0, network.Err // without the ports, which are others each time
	case err != nil:
		return 0, err
	}
	if !reply.Response || reply.Opcode != dns.OpcodeNotify {
		return 0, errors.New("what it says is no answer to a NOTIFY")
	}
	return reply.Rcode, nil
}
