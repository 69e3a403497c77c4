package command

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// counts counts commands by name and code.
type counts struct {
	mu sync.Mutex
	by map[[2]string]uint64
}

func (c *counts) add(name string, code Code) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[[2]string]uint64)
	}
	c.by[[2]string{name, string(code)}]++
}

func (c *counts) copy() map[[2]string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}

// metrics runs "metrics".
func (r *run) metrics([]string) error {
	if err := r.interp.WriteMetrics(r.ctx, r.out); err != nil {
		return unreadable(err)
	}
	return nil
}

// WriteMetrics writes the output of "metrics": Prometheus's text format, version 0.0.4.
// The error is the store's; the caller checks w for its own.
func (in *Interpreter) WriteMetrics(ctx context.Context, w io.Writer) error {
	st, by := in.state(), in.counts.copy()
	family(w, "dnsgate_commands_total", "counter", "Commands run, by name and reply code.")
	keys := slices.SortedFunc(maps.Keys(by), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, k := range keys {
		fmt.Fprintf(w, "dnsgate_commands_total{command=%q,code=%q} %d\n", k[0], k[1], by[k])
	}
	gauge := func(name, help string, value any) {
		family(w, name, "gauge", help)
		fmt.Fprintf(w, "%s %v\n", name, value)
	}
	counter := func(name, help string, value uint64) {
		family(w, name, "counter", help)
		fmt.Fprintf(w, "%s %d\n", name, value)
	}
	gauge("dnsgate_start_time_seconds", "When the gateway started, Unix time.", st.Started.Unix())
	gauge("dnsgate_store_revision", "Transactions stored since the store was made.", st.Revision)
	gauge("dnsgate_hosts", "Hosts that have records.", st.Hosts)
	gauge("dnsgate_keys", "Authorized keys.", st.Keys)
	gauge("dnsgate_keys_faulty", "Lines of authorized_keys that are refused or of no use.", len(st.Refused))
	unread := 0.0
	if st.KeysFailure != nil {
		unread = time.Since(st.KeysFailure.Since).Seconds()
	}
	gauge("dnsgate_keys_unreadable_seconds", "For how long authorized_keys could not be read; 0: it can.", unread)
	gauge("dnsgate_connections", "Open connections with a proven key.", st.Connections.Authenticated)
	gauge("dnsgate_connections_unauthenticated", "Open connections without one.", st.Connections.Unauthenticated)
	gauge("dnsgate_sessions", "Open session channels.", st.Connections.Sessions)
	counter("dnsgate_connections_accepted_total", "Connections accepted.", st.Connections.Accepted)
	counter("dnsgate_connections_refused_total", "Connections over a limit, or without a good key.", st.Connections.Refused)
	writePublisherMetrics(w, st)
	writeFollowMetrics(w, st)
	return in.writeSilence(ctx, w)
}

func writePublisherMetrics(w io.Writer, st Status) {
	gauges := []struct {
		name, kind, help string
		value            func(i int) any
	}{
		{"dnsgate_publisher_revision", "gauge", "Revision that the publisher has reached.", func(i int) any { return st.Publishers[i].Revision }},
		{"dnsgate_publisher_pending", "gauge", "Hosts changed and not yet published.", func(i int) any { return st.Publishers[i].Pending }},
		{"dnsgate_publisher_failed", "gauge", "Hosts that the target refused.", func(i int) any { return st.Publishers[i].Failed }},
		{"dnsgate_publisher_lag_seconds", "gauge", "Age of the oldest change not yet published.", func(i int) any {
			if since := st.Publishers[i].PendingSince; !since.IsZero() {
				return time.Since(since).Seconds()
			}
			return 0
		}},
		{"dnsgate_publisher_rounds_total", "counter", "Rounds that ended without a failure.", func(i int) any { return st.Publishers[i].Publications }},
		{"dnsgate_publisher_failures_total", "counter", "Rounds that failed, even in part.", func(i int) any { return st.Publishers[i].Failures }},
		{"dnsgate_publisher_last_round_seconds", "gauge", "How long the last round took.", func(i int) any { return st.Publishers[i].LastDuration }},
	}
	for _, m := range gauges {
		family(w, m.name, m.kind, m.help)
		for i, p := range st.Publishers {
			fmt.Fprintf(w, "%s{publisher=%q} %v\n", m.name, p.Name, m.value(i))
		}
	}
}

func family(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}
