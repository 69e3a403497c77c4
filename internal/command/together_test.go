package command

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is changes that wait for each other, in a bubble of synctest.
type crowd struct {
	*testing.T
	together together
	went     chan time.Duration // how long each that went on had waited
	leave    chan func()
}

func newCrowd(t *testing.T) *crowd {
	return &crowd{T: t, went: make(chan time.Duration, 100), leave: make(chan func(), 100)}
}

// join brings n changes.
func (c *crowd) join(n int) {
	for range n {
		go func() {
			began := time.Now()
			leave := c.together.join(context.Background())
			c.went <- time.Since(began)
			c.leave <- leave
		}()
		synctest.Wait()
	}
}

// wants checks that just these went on by now, after these waits.
func (c *crowd) wants(what string, waits ...time.Duration) {
	c.Helper()
	synctest.Wait()
	var got []time.Duration
	for len(c.went) > 0 {
		got = append(got, <-c.went)
	}
	slices.Sort(got) // those that go at once go in any order
	if !slices.Equal(got, waits) {
		c.Fatalf("%s: waited %v, not %v", what, got, waits)
	}
}

// end ends n changes that went on.
func (c *crowd) end(n int) {
	for range n {
		(<-c.leave)()
	}
}

func TestAChangeAloneDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		for range 3 {
			c.join(1)
			c.wants("alone", 0)
			c.end(1)
		}
	})
}

// Changes wait for as many as were seen at once, and no longer than patience.
func TestChangesWaitForCompany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.join(1)
		c.join(2)
		c.wants("two come while one is on its way", 0)
		c.end(1)
		time.Sleep(patience / 4)
		c.wants("the first may come again")
		c.join(1)
		c.wants("all are here", 0, patience/4, patience/4)
		c.end(3)
		c.join(1)
		time.Sleep(patience)
		c.wants("nobody came", patience)
	})
}

// Those that went together come again, and are waited for.
func TestChangesStayTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.join(1)
		c.wants("one", 0)
		c.join(1)
		c.end(1)
		c.join(1)
		c.wants("two", 0, 0)
		c.join(1)
		c.wants("the two are not served yet")
		c.end(2)
		c.wants("their next changes may follow at once")
		c.join(1)
		c.wants("two of three")
		c.join(1)
		c.wants("all three", 0, 0, 0)
		c.end(3)

		c.join(1) // the other two have gone home
		time.Sleep(patience)
		c.wants("in vain once", patience)
		c.end(1)
		c.join(1)
		c.wants("not twice", 0)
	})
}

// A change that is stuck holds nobody back for longer than patience.
func TestAStuckChangeHoldsNobodyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t)
		c.join(1)
		c.wants("it goes", 0)
		for range 3 {
			c.join(1)
			time.Sleep(patience)
			c.wants("another", patience)
		}
		c.end(4)

		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		done := make(chan bool)
		c.join(1)
		go func() {
			c.together.join(ctx)
			close(done)
		}()
		synctest.Wait()
		select {
		case <-done:
		default:
			t.Error("a change waits though its session has ended")
		}
		time.Sleep(patience)
	})
}
