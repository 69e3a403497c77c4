package command

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestBatchesOfOthers: keys of one owner take all places and send nothing; the
// batch of another key gets one all the same, and none that is busy goes.
func TestBatchesOfOthers(t *testing.T) {
	var b batches
	now := time.Now()
	var places []*batchPlace
	for i := range maxBatches {
		p, err := b.begin(fmt.Sprint("attacker", i/maxKeyBatches), now.Add(time.Duration(i)))
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
	}
	if _, err := b.begin("attacker0", now); asFault(err).Code != Abuse {
		t.Errorf("a fifth batch of one key: %v", err)
	}
	if _, err := b.begin("other", now); asFault(err).Code != Abuse {
		t.Errorf("a batch that was idle for no time went: %v", err)
	}
	b.waits(places[0], time.Time{}) // it works
	later := now.Add(2 * leastIdle)
	other, err := b.begin("other", later)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		select {
		case <-p.evicted:
			if i != 1 {
				t.Errorf("batch %d went", i)
			}
		default:
			if i == 1 {
				t.Error("the longest idle batch is still there")
			}
		}
	}
	b.end(places[1]) // as it notices
	b.end(other)
	for _, p := range places {
		b.end(p)
	}
	if len(b.all) != 0 {
		t.Errorf("%d left", len(b.all))
	}
}

// TestIdleBatch sends a line and then nothing: the line is answered, and the
// batch ends and says why.
func TestIdleBatch(t *testing.T) {
	g, _ := newGateway(t)
	g.IdleTimeout = func() time.Duration { return 50 * time.Millisecond }
	c := newClient(t, g, "allow a.example.com")
	silent, w := io.Pipe()
	defer w.Close()
	c.in = io.MultiReader(strings.NewReader("192.0.2.1\n"), silent)
	c.expect(75, "update -", "good 192.0.2.1 a.example.com", "abuse no line came for 50ms, so the batch ends")
	if len(g.batches.all) != 0 {
		t.Error("its place is not back")
	}
}
