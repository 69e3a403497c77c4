package migrate

import (
	"fmt"
	"io"

	"dnsgate/internal/records"
)

// WriteTemplates writes a line of authorized_keys for each hostname, still to
// be given its key. A wildcard goes with its host.
func (s *Setup) WriteTemplates(w io.Writer) error {
	known := make(map[records.Name]*Host, len(s.Hosts))
	for i := range s.Hosts {
		known[s.Hosts[i].Name] = &s.Hosts[i]
	}
	for _, h := range s.Hosts {
		star := known["*."+h.Name]
		if h.Name.IsWildcard() && known[h.Name.Host()] != nil {
			continue
		}
		_, err := fmt.Fprintf(w, "#command=\"dnsgate allow %s\" ssh-ed25519 PUT-THE-PUBLIC-KEY-HERE %s\n", allowed(h, star), h.Name.Host())
		if err != nil {
			return err
		}
	}
	return nil
}

// allowed is what stands behind "dnsgate allow" for h and its wildcard, which
// may be nil. A line has one TTL for all of its names.
func allowed(h Host, star *Host) string {
	names, private := string(h.Name), h.private()
	if star != nil {
		names += " " + string(star.Name)
		private = private || star.private()
		if star.HasTTL {
			h.setTTL(star.TTL)
		}
	}
	flags := ""
	if h.HasTTL {
		flags = fmt.Sprintf("--ttl=%d ", h.TTL)
	}
	if private {
		flags += "--private "
	}
	return flags + names
}
