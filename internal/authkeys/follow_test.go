package authkeys

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"
)

// rewrite writes the file in place, as scp and editors do: its lines come one
// by one, with a pause before each.
func rewrite(t *testing.T, path string, pause time.Duration, lines ...string) {
	t.Helper()
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	for _, line := range lines {
		time.Sleep(pause)
		_, err := w.WriteString(line + "\n")
		must(t, err)
	}
	must(t, w.Close())
}

// TestWrittenInPlace writes the file in place while a valid key is looked up
// all the time: it is never missing.
func TestWrittenInPlace(t *testing.T) {
	f, _, path := openFile(t, header+keyA+"\n")
	stop, ended := make(chan struct{}), make(chan int)
	go func() {
		missing := 0
		for {
			select {
			case <-stop:
				ended <- missing
				return
			case <-time.After(time.Millisecond):
			}
			if !f.has(t, keyA) {
				missing++
			}
		}
	}()
	for range 3 {
		rewrite(t, path, 100*time.Millisecond, header+keyB, header+keyA)
		time.Sleep(300 * time.Millisecond)
	}
	close(stop)
	if n := <-ended; n > 0 {
		t.Errorf("a valid key was missing %d times", n)
	}
	eventually(t, "the new key", func() bool { return f.has(t, keyB) })
}

// TestWrittenSlowly is too slow for all of it to be waited for: while the file
// goes on changing, the key that is not there at the moment is told from one
// that never was, and afterwards from one that has gone.
func TestWrittenSlowly(t *testing.T) {
	f, _, path := openFile(t, header+keyA+"\n"+header+keyB+"\n")
	lookup := func(key string) error {
		_, err := f.Lookup(mustKey(t, key), netip.MustParseAddr("192.0.2.1"), time.Now())
		return err
	}
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		lines := []string{header + keyB}
		for range 20 {
			lines = append(lines, "# still writing")
		}
		rewrite(t, path, 100*time.Millisecond, lines...)
	}()
	eventually(t, "a second after the first change, the file is read", func() bool { return lookup(keyA) != nil })
	if took := time.Since(began); took > 1500*time.Millisecond { // 900 ms, and what a busy machine adds
		t.Errorf("read after %v", took)
	}
	if err := lookup(keyA); !errors.Is(err, ErrChanging) {
		t.Errorf("while it is written: %v", err)
	}
	if err := lookup(numberedKey(3)); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrGone) {
		t.Errorf("a key that never was: %v", err)
	}
	<-done
	eventually(t, "the file is still", func() bool { return !errors.Is(lookup(keyA), ErrChanging) })
	if err := lookup(keyA); !errors.Is(err, ErrGone) || !errors.Is(err, ErrUnknown) {
		t.Errorf("afterwards: %v", err)
	}
	f.gone.mu.Lock()
	clear(f.gone.at)
	f.gone.mu.Unlock()
	if err := lookup(keyA); errors.Is(err, ErrGone) {
		t.Errorf("in the end: %v", err)
	}
}

// TestReloadIsWhole asks for the file to be read just after it was written: a
// key that is not in it has gone, though the file may still be waited for.
func TestReloadIsWhole(t *testing.T) {
	f, _, path := openFile(t, header+keyA+"\n"+header+keyB+"\n")
	rewrite(t, path, 0, header+keyB)
	eventually(t, "the file is waited for", func() bool {
		f.gone.mu.Lock()
		defer f.gone.mu.Unlock()
		return f.gone.writes
	})
	must(t, f.Reload())
	_, err := f.Lookup(mustKey(t, keyA), netip.MustParseAddr("192.0.2.1"), time.Now())
	if !errors.Is(err, ErrGone) {
		t.Errorf("after a reload: %v", err)
	}
}
