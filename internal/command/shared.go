package command

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Shared describes a store that several gateways share, for "status".
type Shared struct {
	Node     string   `json:"node"` // that is used; "": none answers
	Gateways []Peer   `json:"gateways"`
	Damaged  []string `json:"damaged"` // values in the store that cannot be read
}

// Peer is one of the gateways that are running, this one included.
type Peer struct {
	Name     string   `json:"name"`
	Here     bool     `json:"here"`
	Version  string   `json:"version"`
	Revision uint64   `json:"revision"`      // that it knew a second ago
	Clock    float64  `json:"clock_seconds"` // how far its clock is ahead of this machine's, to about a second
	Keys     string   `json:"keys_digest"`   // of its authorized keys
	Roles    []string `json:"roles"`         // its duties for all gateways
}

// maxClock is how many seconds clocks may differ without a warning.
const maxClock = 1

func (s *Shared) write(w io.Writer, revision uint64) {
	if s == nil {
		return
	}
	if s.Node == "" {
		fmt.Fprintln(w, "etcd: no node answers; updates are 911")
	} else {
		fmt.Fprintf(w, "etcd: %s\n", s.Node)
	}
	keys := make(map[string]bool)
	for _, p := range s.Gateways {
		keys[p.Keys] = true
	}
	for _, p := range s.Gateways {
		p.write(w, revision, len(keys) > 1)
	}
	for _, text := range s.Damaged {
		fmt.Fprintf(w, "  not understood: %s\n", oneLine(text))
	}
}

func (p Peer) write(w io.Writer, revision uint64, keysDiffer bool) {
	fmt.Fprintf(w, "gateway %s: ", p.Name)
	if p.Here {
		fmt.Fprint(w, "this one, ")
	}
	fmt.Fprintf(w, "dnsgate %s, revision %d (%d behind), keys %s", p.Version, p.Revision, revision-min(revision, p.Revision), p.Keys)
	if len(p.Roles) > 0 {
		fmt.Fprintf(w, ", %s", strings.Join(p.Roles, ", "))
	}
	fmt.Fprintln(w)
	if p.Clock > maxClock || p.Clock < -maxClock {
		fmt.Fprintf(w, "  warning: its clock differs by %s\n", time.Duration(p.Clock*float64(time.Second)).Round(100*time.Millisecond))
	}
	if keysDiffer {
		fmt.Fprintln(w, "  warning: not all gateways have the same authorized keys")
	}
}
