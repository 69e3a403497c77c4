package datafile

import (
	"context"
	"path/filepath"
	"testing"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// A version that was never committed is not what the next one is copied from.
func TestFileAfterAVersionThatWasGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dnsgate")
	w := newFileWriter(path, new(tinydns.Builder))
	publish := func(whole, commit bool, hosts ...records.Host) {
		t.Helper()
		if _, err := w.write(context.Background(), publish.OnePiece(hosts), whole); err != nil {
			t.Fatal(err)
		}
		for _, f := range w.begun() {
			if !commit {
				f.Abort()
			} else if err := f.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(true, true, hostWith("a.example.com", "203.0.113.1"), hostWith("b.example.com", "203.0.113.1"))
	publish(false, false, hostWith("a.example.com", "203.0.113.2"))
	publish(false, true, hostWith("b.example.com", "203.0.113.3"))
	if got := read(t, path); got != "+a.example.com:203.0.113.2:300\n+b.example.com:203.0.113.3:300\n" {
		t.Errorf("the file holds %q", got)
	}
	publish(false, false, hostWith("a.example.com", "203.0.113.4"))
	publish(false, true, hostWith("a.example.com", "203.0.113.4"))
	if got := read(t, path); got != "+a.example.com:203.0.113.4:300\n+b.example.com:203.0.113.3:300\n" {
		t.Errorf("the file holds %q", got)
	}
}
