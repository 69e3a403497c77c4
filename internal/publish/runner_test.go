package publish

import (
	"log/slog"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// TestPause: after a long round of changes the next round waits as long again. After a
// whole write it does not wait: changes that came meanwhile would be served late.
func TestPause(t *testing.T) {
	r := newRunner(nil, nil, slog.New(slog.DiscardHandler))
	start := time.Now()
	r.picture = newPicture(records.Update{Whole: true, Revision: 1, Hosts: []records.Host{{Name: "a.example.com", Revision: 1}}}, nil)
	for _, long := range []struct{ took, pause time.Duration }{{3 * time.Second, 0}, {300 * time.Millisecond, 300 * time.Millisecond}} {
		next, _, ok := r.begin(start)
		if !ok {
			t.Fatal("no round begins, with something to do")
		}
		r.take([]records.Host{{Name: "a.example.com", Revision: next.revision + 1}}, next.revision+1)
		end := start.Add(long.took)
		r.end(next, nil, start, end)
		if long.pause > 0 {
			if _, until, ok := r.begin(end.Add(long.pause - 1)); ok || !until.Equal(end.Add(long.pause)) {
				t.Errorf("after a round of %s the next one waits %s", long.took, until.Sub(end))
			}
		}
		start = end.Add(long.pause)
	}
	if _, _, ok := r.begin(start); !ok {
		t.Error("no round begins after the pause")
	}
}
