package publish

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
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

// TestARoundBesideARefusal: a round that publishes all that it has is no failure, though
// a host that was refused before still waits; and the fault stays in the status.
func TestARoundBesideARefusal(t *testing.T) {
	var log bytes.Buffer
	r := newRunner(nil, nil, slog.New(slog.NewTextHandler(&log, nil)))
	now := time.Now()
	end := func(name records.Name, revision uint64, err error) {
		r.end(round{hosts: []records.Host{{Name: name, Revision: revision}}, revision: revision}, err, now, now)
	}
	end("a.example.com", 1, HostErrors{"a.example.com": errors.New("refused")})
	end("b.example.com", 2, nil)
	if r.lastErr == nil || r.ok != 1 || r.bad != 1 || strings.Contains(log.String(), "err=<nil>") || strings.Contains(log.String(), "works again") {
		t.Errorf("the last error is %v, %d and %d rounds, the log says\n%s", r.lastErr, r.ok, r.bad, log.String())
	}
	end("a.example.com", 1, nil)
	if r.lastErr != nil || !strings.Contains(log.String(), "works again") {
		t.Errorf("the last error is %v, the log says\n%s", r.lastErr, log.String())
	}
}
