package screen

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// The order of rows by each column of each list. "-" turns it round.
func TestSortByEachColumn(t *testing.T) {
	f := example()
	f.now.Penalties = append(f.now.Penalties, Penalty{"192.0.2.0/32", noon.Add(time.Hour), "abuse"})
	for tab, columns := range map[string][]struct{ title, rows string }{
		"1": {
			{"HOST", "home lab1 nas"}, {"ADDRESSES", "lab1 home nas"}, {"CHANGED", "home lab1 nas"},
			{"HEARD", "home lab1 nas"}, {"KEY", "nas lab1 home"}, {"FROM", "nas home lab1"},
		},
		"2": {
			{"PUBLISHER", "follower follower gateway rfc2136 tinydns"}, {"REVISION", "tinydns gateway follower rfc2136 follower"},
			{"BEHIND", "follower rfc2136 follower tinydns gateway"}, {"PENDING", "rfc2136 tinydns follower follower gateway"},
			{"LAG", "follower rfc2136 follower tinydns gateway"}, {"LAST ERROR", "tinydns follower rfc2136 follower gateway"},
		},
		"3": {
			{"KEY", "SHA256:cccc evil router"}, {"MAY", "SHA256:cccc evil router"}, {"USED", "router SHA256:cccc evil"},
			{"COMMANDS", "router SHA256:cccc evil"}, {"FINGERPRINT", "router evil SHA256:cccc"},
		},
		"4": {
			{"TIME", "11:59:57 11:59:56"}, {"COMMAND", "11:59:57 11:59:56"}, {"CODE", "11:59:57 11:59:56"}, {"HOSTS", "11:59:56 11:59:57"},
			{"KEY", "11:59:56 11:59:57"}, {"FROM", "11:59:57 11:59:56"}, {"TOOK", "11:59:57 11:59:56"},
		},
		"5": {{"SOURCE", "192.0.2.0/32 192.0.2.1/32"}, {"FOR", "192.0.2.0/32 192.0.2.1/32"}, {"WHY", "192.0.2.0/32 192.0.2.1/32"}},
	} {
		for i, column := range columns {
			presses := i
			if tab != "1" { // the others come unsorted
				presses++
			}
			for turned, sign := range map[string]string{"": "+", "S": "-"} {
				lines := strings.Split(ansi.Strip(show(t, f, Size{MaxSize.Width, 24}, tab, strings.Repeat("s", presses), turned).View().Content), "\n")
				if !strings.Contains(lines[headLines], column.title+sign) {
					t.Errorf("it is not sorted by %s%s: %q", column.title, sign, lines[headLines])
				}
				var got []string
				for _, l := range lines[headLines+1:] {
					if words := strings.Fields(strings.TrimLeft(l[:min(len(l), 40)], "> ")); len(words) > 0 && words[0] != "?" {
						name, _, _ := strings.Cut(words[0], ".example.com")
						got = append(got, strings.TrimSuffix(name, ".lab"))
					}
				}
				if turned != "" {
					for a, b := 0, len(got)-1; a < b; a, b = a+1, b-1 {
						got[a], got[b] = got[b], got[a]
					}
				}
				if rows := strings.Join(got, " "); rows != column.rows {
					t.Errorf("tab %s by %s%s: %q, want %q", tab, column.title, sign, rows, column.rows)
				}
			}
		}
	}
}

// Rows that were sorted stay in the right order when others come, go or change.
func TestReloadedRowsAreSorted(t *testing.T) {
	m := show(t, example(), Size{80, 24}, "ss") // by the change
	for round := range 20 {
		hosts := manyHosts(100 + round%3)
		for i := range hosts {
			hosts[i].Changed = noon.Add(-time.Duration((i*7919+round*i)%50) * time.Second)
		}
		m.hosts.set(hosts)
		if round == 10 {
			m.hosts.turn()
		}
		for i := 1; i < len(m.hosts.shown); i++ {
			a, b := &hosts[m.hosts.shown[i-1]], &hosts[m.hosts.shown[i]]
			if round >= 10 {
				a, b = b, a
			}
			if a.Changed.Before(b.Changed) || a.Changed.Equal(b.Changed) && a.Name > b.Name {
				t.Fatalf("round %d: %v before %v", round, a, b)
			}
		}
	}
}

// A screen's own memory, with as many hosts as are shown, which screens share.
func TestMemoryOfManyHosts(t *testing.T) {
	f := example()
	f.hosts = manyHosts(MaxHosts)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	m := show(t, f, MaxSize, "s", "/host0", "\r", "S")
	if got := int64(heap() - before); got > 2<<20 {
		t.Errorf("a list holds %d KiB", got>>10)
	}
	if got := fmt.Sprint(m.hosts.count()); got != "100000 100000" {
		t.Error(got)
	}
	runtime.KeepAlive(f)
}
