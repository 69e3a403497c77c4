package datafile

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/test/publishing"
)

// wantUnserved waits for names, at a revision and at none, and checks which of
// them nobody serves.
func wantUnserved(t *testing.T, set *publish.Set, revision uint64, names []records.Name, want ...records.Name) {
	t.Helper()
	for _, at := range []uint64{revision, 0} {
		err := set.Wait(publishing.Patience(t), names, at)
		var unserved *publish.UnservedError
		switch {
		case len(want) == 0 && err == nil:
		case !errors.As(err, &unserved):
			t.Errorf("at revision %d: got %v, not that nobody serves %v", at, err, want)
		case !slices.Equal(unserved.Names, want):
			t.Errorf("at revision %d: nobody serves %v, want %v", at, unserved.Names, want)
		case !strings.HasPrefix(unserved.Error(), unserved.ForClient()+": ") || !strings.HasPrefix(unserved.ForClient(), "no name server here serves "+string(want[0])):
			t.Errorf("it says %q, and %q to a client", unserved, unserved.ForClient())
		}
	}
}

func TestNobodyServes(t *testing.T) {
	s := publishing.NewTruth()
	home, other := records.Name("home.example.net"), records.Name("home.example.org")
	s.Set(home, "203.0.113.1")
	revision := s.Set(other, "203.0.113.1")
	both := []records.Name{home, other}
	t.Run("without publishers", func(t *testing.T) {
		wantUnserved(t, publishing.Run(t, s), revision, both, both...)
	})
	t.Run("outside of the zone", func(t *testing.T) {
		wantUnserved(t, publishing.Run(t, s, publishing.NewMemory(".example.net")), revision, both, other)
	})
	t.Run("in one of several", func(t *testing.T) {
		wantUnserved(t, publishing.Run(t, s, publishing.NewMemory(".example.net"), publishing.NewMemory(".example.org")), revision, both)
	})
}

// tinydns serves what its data.cdb says it is the authority of, whoever made
// that: dnsgate, or make of sources that dnsgate does not know. A zone that
// comes or goes counts at once.
func TestTinydnsServesItsZones(t *testing.T) {
	const away = zone + "&away.example.com::ns.elsewhere.test\n&bare.test:192.0.2.1:a\n"
	served := []records.Name{"h.example.com", "*.example.com", "a.b.example.com", "_acme-challenge.h.example.com"}
	unserved := []records.Name{"away.example.com", "x.away.example.com", "x.bare.test", "home.example.net"}
	for name, options := range map[string]func(*testing.T, string) Options{
		"file": func(t *testing.T, root string) Options { return fileOptions(root) },
		"section": func(t *testing.T, root string) Options {
			return Options{Root: root, Write: "section", Path: "dynamic", Sources: []string{"data"}, Logger: publishing.Quiet()}
		},
		"make": func(t *testing.T, root string) Options {
			program(t, "make", "make")
			program(t, "tinydns-data", "tinydns")
			write(t, filepath.Join(root, "Makefile"), "data.cdb: data dnsgate\n\tmkdir -p all && cat data dnsgate > all/data && cd all && tinydns-data && mv data.cdb ..\n")
			return Options{Root: root, Write: "file", Path: "dnsgate", Rebuild: []string{"make"}, Logger: publishing.Quiet()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "data"), away)
			write(t, filepath.Join(root, "dynamic"), emptySection)
			s := publishing.NewTruth()
			var revision uint64
			for _, name := range append(slices.Clone(served), unserved...) {
				revision = s.Set(name, "203.0.113.1")
			}
			set := publishing.Run(t, s, newTarget(t, options(t, root)))
			wantUnserved(t, set, revision, served)
			wantUnserved(t, set, revision, append(slices.Clone(served), unserved...), unserved...)

			write(t, filepath.Join(root, "data"), ".example.net:192.0.2.1:a\n")
			if name == "make" { // it is not told of the sources
				set.Rebuild(publishing.Patience(t))
			}
			home := []records.Name{"home.example.net"}
			publishing.Eventually(t, func() bool { return set.Wait(publishing.Patience(t), home, revision) == nil })
			wantUnserved(t, set, revision, served[:1], served[0])
		})
	}
}

// Where the command makes data.cdb elsewhere, nothing is known without verify.
func TestDatabaseElsewhere(t *testing.T) {
	root, served := t.TempDir(), filepath.Join(t.TempDir(), "root")
	write(t, filepath.Join(served, "data"), zone+"+h.example.com:203.0.113.1\n")
	program(t, "tinydns-data", "tinydns")
	server := serveTinydns(t, served)
	options := Options{Root: root, Write: "file", Path: "dnsgate", Rebuild: []string{"sh", "-c", "cd " + served + " && tinydns-data"}, Logger: publishing.Quiet()}
	s := publishing.NewTruth()
	names := []records.Name{"h.example.com"}
	revision := s.Set(names[0], "203.0.113.1")

	t.Run("without verify", func(t *testing.T) {
		set := publishing.Run(t, s, newTarget(t, options))
		for _, at := range []uint64{revision, 0} {
			if err := set.Wait(publishing.Patience(t), names, at); err == nil || !strings.Contains(err.Error(), "with verify") {
				t.Errorf("at revision %d: %v", at, err)
			}
		}
	})
	t.Run("with verify", func(t *testing.T) {
		known := make(stored)
		known.has(hostWith("h.example.com", "203.0.113.1"), hostWith("h.example.net", "203.0.113.1"))
		target := newTarget(t, options)
		set := publish.NewSet(s.Follow, publishing.Quiet(), target)
		set.Verify(target, newVerifier(t, server, 300*time.Millisecond, known))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { set.Run(ctx); close(ended) }()
		defer func() { stop(); <-ended }()
		if err := set.Wait(publishing.Patience(t), names, revision); err != nil {
			t.Error(err)
		}
		var notServed *publish.NotServedError
		if err := set.Wait(publishing.Patience(t), []records.Name{"h.example.net"}, revision); !errors.As(err, &notServed) {
			t.Errorf("a name without a zone: %v", err)
		}
	})
}

// A name that tinydns has no zone for is served all the same if another name
// server does.
func TestServedElsewhere(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), zone)
	s := publishing.NewTruth()
	home, other := records.Name("home.example.net"), records.Name("home.example.org")
	s.Set(home, "203.0.113.1")
	revision := s.Set(other, "203.0.113.1")
	set := publishing.Run(t, s, newTarget(t, fileOptions(root)), publishing.NewMemory(".example.net"))
	wantUnserved(t, set, revision, []records.Name{home})
	wantUnserved(t, set, revision, []records.Name{home, other}, other)
}
