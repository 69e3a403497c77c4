package datafile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"dnsgate/internal/publish"

	"github.com/miekg/dns"
)

// notifyTimeout is how long a secondary may take for its answer.
const notifyTimeout = 3 * time.Second

// secondary is a name server that gets a NOTIFY (RFC 1996) for the zones whose data
// changed. A server that does not answer is told again later. Any answer ends the
// matter, because a later NOTIFY would say the same.
type secondary struct {
	*publish.Errand
	server string // "HOST:PORT"

	mu    sync.Mutex
	zones map[string]struct{} // still to be notified of
}

func newSecondary(server string, o Options) *secondary {
	s := &secondary{server: server, zones: make(map[string]struct{})}
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

func (s *secondary) tell(ctx context.Context) error {
	var refused error
	for {
		zone, ok := s.next()
		if !ok {
			return refused
		}
		rcode, err := s.notify(ctx, zone)
		if err != nil {
			s.keep(zone)
			return fmt.Errorf("%s: %w", zone, err)
		}
		if rcode != dns.RcodeSuccess && refused == nil {
			refused = fmt.Errorf("%s: it answers %s; is it a secondary of that zone, with this server as its primary?", zone, dns.RcodeToString[rcode])
		}
	}
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
