package heard

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
)

var (
	begun  = time.Unix(1_800_000_000, 0)
	later  = begun.Add(time.Hour)
	latest = begun.Add(2 * time.Hour)
)

func open(t *testing.T, path string, now time.Time) *Book {
	t.Helper()
	b, err := Open(path, now)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// keep is Book.keep in a gateway that has these hosts.
func keep(b *Book, hosts ...records.Name) error {
	return b.keep(context.Background(), func(context.Context) ([]records.Name, error) { return hosts, nil })
}

func host(name records.Name, changed time.Time) records.Host {
	return records.Host{Name: name, Session: changed.UnixMicro()}
}

func TestSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), File)
	b := open(t, path, begun)
	b.Hear([]records.Name{"a.example.com"}, later)
	expect := func(b *Book) {
		t.Helper()
		for _, c := range []struct {
			host records.Host
			want time.Time
		}{
			{host("a.example.com", begun.Add(-time.Hour)), later},
			{host("b.example.com", begun.Add(-time.Hour)), begun}, // restored: it begins with that
			{host("c.example.com", later), later},                 // changed since, by an admin perhaps
		} {
			if got := b.Seen(c.host); !got.Equal(c.want) {
				t.Errorf("%s was seen %v, want %v", c.host.Name, got, c.want)
			}
		}
	}
	expect(b)
	if err := keep(b, "a.example.com"); err != nil {
		t.Fatal(err)
	}
	expect(open(t, path, latest))
	before, _ := os.Stat(path)
	if err := keep(b, "a.example.com"); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("written again though nothing changed")
	}
}

// TestForgets: names that nobody has any more do not stay for ever.
func TestForgets(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), File), begun)
	for i := range 5000 {
		b.Hear([]records.Name{records.Name(fmt.Sprintf("h%d.example.com", i))}, later)
		if i%100 == 99 {
			if err := keep(b, "h7.example.com", "never.example.com"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(b.at); n > 1100 {
		t.Errorf("%d hosts are kept", n)
	}
	if got := b.Seen(host("h7.example.com", begun)); !got.Equal(later) {
		t.Errorf("one that stays was seen %v", got)
	}
}

func TestDamaged(t *testing.T) {
	whole := header + "aaaa" + "bbbbbbbbcccc"
	for cut := range len(whole) {
		if cut == len(header)+4 {
			continue // nobody was heard of
		}
		path := filepath.Join(t.TempDir(), File)
		if err := os.WriteFile(path, []byte(whole[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := Open(path, begun)
		if err == nil || !strings.Contains(err.Error(), path+": not as dnsgate writes it") {
			t.Fatalf("cut to %d bytes: %v", cut, err)
		}
		b.Hear([]records.Name{"a.example.com"}, later)
		if err := keep(b); err != nil {
			t.Fatal(err)
		}
		if got := open(t, path, latest).Seen(host("a.example.com", begun)); !got.Equal(later) {
			t.Fatalf("cut to %d bytes, then written: seen %v", cut, got)
		}
	}
}
