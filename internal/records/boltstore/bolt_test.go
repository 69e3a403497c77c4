package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

func openStore(t testing.TB, folder string) *Store {
	t.Helper()
	s, err := Open(folder, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStore: it is what every store is.
func TestStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) storetest.Place {
		folder := filepath.Join(t.TempDir(), "state")
		return storetest.Place{
			Open:    func(t testing.TB) storetest.Store { return openStore(t, folder) },
			Restore: func(backup io.Reader) error { return Restore(folder, backup) },
		}
	})
}

// TestFailedRestoreLeavesNothing, and the folder takes a whole backup then.
func TestFailedRestoreLeavesNothing(t *testing.T) {
	s := openStore(t, t.TempDir())
	storetest.Commit(t, s, records.Host{Name: "a.example.com", Records: storetest.Addresses("192.0.2.1")})
	var backup bytes.Buffer
	if err := s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for _, cut := range []int{0, 10, backup.Len() / 2, backup.Len() - 1} {
		if err := Restore(folder, bytes.NewReader(backup.Bytes()[:cut])); err == nil {
			t.Errorf("a backup torn at %d restores", cut)
		}
		if entries, _ := os.ReadDir(folder); len(entries) != 0 {
			t.Errorf("a failed restore left %v", entries)
		}
	}
	if err := Restore(folder, &backup); err != nil {
		t.Error(err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	defer s.Close()
	if _, err := Open(folder, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another dnsgate") {
		t.Errorf("got %v", err)
	}
}

// TestDamagedFileIsRefused cuts and flips the file everywhere: it either
// opens with all there, or is refused by name; it is never reset.
func TestDamagedFileIsRefused(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, File)
	s := openStore(t, folder)
	for i := range 400 {
		storetest.Commit(t, s, records.Host{Name: records.Name(fmt.Sprintf("h%d.example.com", i)), Records: storetest.Addresses("192.0.2.1")})
	}
	want := storetest.State(t, s)
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(folder, slog.New(slog.DiscardHandler))
		if err != nil {
			refused++
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s: the error does not name the file: %v", what, err)
			}
			if now, _ := os.ReadFile(path); len(now) != len(data) {
				t.Errorf("%s: the file has %d bytes now, had %d", what, len(now), len(data))
			}
			return
		}
		if got := storetest.State(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: opens with %d hosts at revision %d", what, len(got), s.Revision())
		}
		if _, err := s.Commit(t.Context(), storetest.Txn(records.Host{Name: "new.example.com"})); err != nil {
			t.Errorf("%s: opens, but takes no change: %v", what, err)
		}
		s.Close()
	}
	for _, size := range []int{0, 1, 4095, 4096, 8192, 3 * 4096, 10*4096 + 5, len(whole) / 2} {
		try(fmt.Sprintf("cut to %d", size), whole[:size])
	}
	for range 100 {
		data := bytes.Clone(whole)
		at := rand.N(40 * 4096)
		data[at] ^= 1 << rand.N(8)
		try(fmt.Sprintf("bit flipped at %d", at), data)
	}
	if refused < 20 {
		t.Errorf("only %d of the damaged files were refused", refused)
	}
}

// TestLogBytes: the log is bounded by the room that it takes, too.
func TestLogBytes(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	h := records.Host{Name: "a.example.com"}
	for ttl := range uint32(9) {
		h = storetest.Read(t, s, h.Name)
		h.TTL = ttl + 1
		storetest.Commit(t, s, h)
	}
	s.logged.bytes = maxLogBytes // as if those were long
	h = storetest.Read(t, s, h.Name)
	h.TTL = 99
	storetest.Commit(t, s, h)
	lines, err := s.History(t.Context(), records.All, 99)
	if err != nil || len(lines) >= 10 || len(lines) == 0 || lines[0].TTL != 99 {
		t.Errorf("%d lines: %v", len(lines), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir).Close()
}

// TestCommitTooLate: a transaction that waits behind a disk that hangs until
// its caller has gone is not applied afterwards.
func TestCommitTooLate(t *testing.T) {
	s := openStore(t, t.TempDir())
	defer s.Close()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	c := &commit{ctx: gone, done: make(chan struct{}), txn: storetest.Txn(records.Host{Name: "a.example.com", TTL: 300, Records: storetest.Addresses("192.0.2.1")})}
	s.queue <- c // it was queued before
	<-c.done
	if !errors.Is(c.err, records.ErrNotApplied) {
		t.Errorf("got %v", c.err)
	}
	if h := storetest.Read(t, s, "a.example.com"); h.Revision != 0 {
		t.Errorf("it was stored: %+v", h)
	}
}
