package command

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A change alone goes at once, changes in company wait for the last one that
// is coming, and nobody waits longer than patience.
func TestTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var together together
		coming := 5
		join := func() (leave func(), waited time.Duration) {
			began := time.Now()
			leave = together.join(context.Background(), func() int { return coming })
			return leave, time.Since(began)
		}
		first, waited := join()
		if waited != 0 {
			t.Errorf("the first of all waited %v", waited)
		}
		late := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				leave, waited := join()
				leave()
				late <- waited
			}()
		}
		time.Sleep(patience / 2)
		synctest.Wait()
		if len(late) > 0 {
			t.Error("a change went on while others were coming")
		}
		coming = 4
		last, waited := join()
		if waited != 0 {
			t.Errorf("the last one that was coming waited %v", waited)
		}
		for range 2 {
			if waited := <-late; waited != patience/2 {
				t.Errorf("waited %v for the last one, which came after %v", waited, patience/2)
			}
		}
		coming = 5
		if leave, waited := join(); waited != patience {
			t.Errorf("waited %v for one that never came, not %v", waited, patience)
		} else {
			leave()
		}
		first()
		last()
		if leave, waited := join(); waited != 0 {
			t.Errorf("alone again, waited %v", waited)
		} else {
			leave()
		}
	})
}
