package publish

import (
	"testing"
	"time"
)

func TestBackoffGrowsToAMinute(t *testing.T) {
	var b backoff
	now := time.Unix(1e9, 0)
	for i := range 20 {
		b.fail(now)
		full := min(time.Second<<i, time.Minute)
		if d := b.until.Sub(now); d > full || d < full*3/4 {
			t.Errorf("failure %d waits %v, not about %v", i, d, full)
		}
	}
	if b.reset(); b.waiting(now) {
		t.Error("it waits after a success")
	}
}
