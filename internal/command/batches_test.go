package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
)

// take begins n batches of each key, one after the other.
func take(t *testing.T, b *batches, now time.Time, n int, keys ...string) (places []*batchPlace) {
	t.Helper()
	for _, key := range keys {
		for range n {
			p, err := b.begin(key, now)
			if err != nil {
				t.Fatal(err)
			}
			places = append(places, p)
		}
	}
	return places
}

// evicted are the numbers of the places that are gone.
func evicted(places []*batchPlace) (gone []int) {
	for i, p := range places {
		select {
		case <-p.evicted:
			gone = append(gone, i)
		default:
		}
	}
	return gone
}

// TestWhoseBatchGoes fills all places in several ways.
func TestWhoseBatchGoes(t *testing.T) {
	now := time.Now()
	later := now.Add(2 * leastIdle)
	var eight, all []string
	for i := range maxBatches {
		if all = append(all, fmt.Sprint("key", i)); i < maxBatches/maxKeyBatches {
			eight = append(eight, all[i])
		}
	}
	var b batches
	places := take(t, &b, now, maxKeyBatches, eight...)
	if _, err := b.begin("key0", later); asRefusal(err).Code != Abuse {
		t.Errorf("a fifth batch of one key: %v", err)
	}
	for _, p := range places {
		b.waits(p, time.Time{}) // all are busy
	}
	b.waits(places[9], now)
	take(t, &b, later, 2, "other") // the idle one first, then the oldest of a key that has the most
	if gone := evicted(places); !slices.Equal(gone, []int{0, 9}) {
		t.Errorf("%v went", gone)
	}
	for _, p := range places {
		b.end(p)
	}
	if b.leaving != 0 || len(b.running) != 2 {
		t.Errorf("%d running, %d leaving", len(b.running), b.leaving)
	}

	b = batches{}
	places = take(t, &b, now, 1, all...)
	take(t, &b, now, 1, "one more")
	if _, err := b.begin("one more", now); asRefusal(err).Code != Abuse {
		t.Errorf("a key takes the place of one that has no more than it: %v", err)
	}
	if gone := evicted(places); !slices.Equal(gone, []int{0}) {
		t.Errorf("%v went", gone)
	}
	for i := range maxEvicted {
		_, err := b.begin(fmt.Sprint("new", i), now)
		if i < maxEvicted-1 && err != nil || i == maxEvicted-1 && asRefusal(err).Code != Abuse {
			t.Errorf("new key %d: %v", i, err)
		}
	}
}

// TestBatchesOfOthers: eight keys of one owner take all places. Some of their
// batches send nothing, some a blank line now and then, some lines without
// reading the answers. The batch of another key gets through each time.
func TestBatchesOfOthers(t *testing.T) {
	g, _ := newGateway(t)
	var running sync.WaitGroup
	var inputs []*io.PipeWriter
	stop := make(chan struct{})
	for i := range maxBatches {
		c := newClient(t, g, fmt.Sprintf("allow a%d.example.com", i))
		c.grant.Fingerprint = fmt.Sprint("attacker", i/maxKeyBatches)
		in, out := io.Pipe()
		inputs = append(inputs, out)
		unread, deaf := io.Pipe()
		defer unread.Close()
		running.Go(func() {
			s := &Session{Source: c.peer, Began: time.Now(), Grant: func() (authkeys.Grant, error) { return c.grant, nil }}
			streams := Streams{In: in, Out: io.Discard, Err: io.Discard}
			if i%3 == 2 {
				streams.Out = deaf
			}
			g.Run(t.Context(), s, Parse("update -"), streams)
			in.Close()
		})
		running.Go(func() {
			for i%3 > 0 {
				if _, err := io.WriteString(out, []string{"", "\n", "192.0.2.1\n"}[i%3]); err != nil {
					return
				}
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	for {
		g.batches.mu.Lock()
		n := len(g.batches.running)
		g.batches.mu.Unlock()
		if n == maxBatches {
			break
		}
		time.Sleep(time.Millisecond)
	}
	other := newClient(t, g, "allow other.example.com")
	for i := range 5 {
		other.in = strings.NewReader(fmt.Sprintf("192.0.2.%d\n", i))
		other.expect(0, "update -", "good ...")
	}
	close(stop)
	for _, in := range inputs {
		in.Close()
	}
	t.Cleanup(running.Wait)
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
	if len(g.batches.running) != 0 {
		t.Error("its place is not back")
	}
}
