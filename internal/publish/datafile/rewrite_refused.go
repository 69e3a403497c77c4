package datafile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// look brings refused up to date. After a change of dnsgate's own, only the given hosts
// and those refused before can differ.
func (w *rewriteWriter) look(hosts []records.Host, whole bool) {
	before := w.refused
	w.refused = make(publish.HostErrors)
	look := func(name records.Name) {
		if h := w.hosts[name]; h != nil {
			if err := w.missing(h); err != nil {
				w.refused[name] = err
			}
		}
	}
	if w.recheck || whole {
		for name := range w.hosts {
			look(name)
		}
		w.recheck = false
		return
	}
	for _, h := range hosts {
		look(h.Name)
	}
	for name := range before {
		look(name)
	}
}

// missing is an error if the file has no lines for h, or too few, or lines for which
// one address cannot be right.
func (w *rewriteWriter) missing(h *rewritten) error {
	if h.pass == w.pass && h.views.Differ() {
		return h.views.Error(w.file.path, string(h.host.Name))
	}
	for _, t := range records.Types {
		n := len(valuesOf(h.host, t))
		places := 0
		if n > 0 && h.pass == w.pass {
			places = h.places(t)
		}
		switch {
		case n <= places:
		case places == 0:
			return fmt.Errorf("%s has no line for its %s record, and none is ever added", w.file.path, t)
		default:
			return fmt.Errorf("%s has lines for %d of its %d %s records", w.file.path, places, n, t)
		}
	}
	return nil
}

// differing reports which of names have lines in data for which one address cannot be
// right.
func (w *rewriteWriter) differing(data []byte, names []records.Name) (wrong []*tinydns.ViewsError) {
	for _, name := range names {
		w.hosts[name] = &rewritten{host: records.Host{Name: name}}
	}
	w.find(data)
	for _, name := range slices.Sorted(maps.Keys(w.hosts)) {
		if views := &w.hosts[name].views; views.Differ() {
			wrong = append(wrong, views.Error(w.file.path, string(name)))
		}
	}
	return wrong
}

// places is how many values of a type the host's lines can hold.
func (h *rewritten) places(t records.Type) int {
	at := slices.IndexFunc(h.groups, func(g group) bool { return g.groupKey == groupKey{false, t} })
	if at < 0 {
		return 0
	}
	return cmp.Or(h.groups[at].on, h.groups[at].off)
}
