package datafile

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
)

// Lacks implements publish.Zoned: tinydns answers for the names of the zones that are
// in data.cdb.
func (t *Target) Lacks(name records.Name) (why string, err error) {
	cuts, err := t.builder.cuts()
	if err != nil {
		return "", err
	}
	return Zones{cuts}.Lacks(name), nil
}

// Zones are those that tinydns serves.
type Zones struct{ cuts *tinydns.Cuts }

// Lacks says why tinydns does not answer for name with authority; "" if it does.
func (z Zones) Lacks(name records.Name) (why string) {
	delegated, ok := z.cuts.Authority(string(name), time.Now())
	_, zone, _ := strings.Cut(string(name.Host()), ".")
	switch {
	case ok:
		return ""
	case delegated == "":
		return "tinydns has no zone for it; add one to a source, such as ." + zone + ":192.0.2.53:a"
	}
	return "tinydns has NS records but no SOA at " + delegated + ": that is delegated to other servers"
}

// Below reports whether tinydns has a zone below suffix.
func (z Zones) Below(suffix records.Name) bool { return z.cuts.Below(string(suffix), time.Now()) }

// databaseElsewhere says that the command makes the database elsewhere, if
// anywhere.
type databaseElsewhere struct{ path string }

// Unwrap leaves the question to a publish.Verifier.
func (e databaseElsewhere) Unwrap() error { return publish.ErrZonesUnknown }

func (e databaseElsewhere) Error() string {
	return "there is no " + e.path + " that tells which zones tinydns has; have rebuild make it, or ask the name server with verify"
}

// databaseCuts are those of the database at path, read again after it was replaced.
type databaseCuts struct {
	path string

	mu    sync.Mutex
	known *tinydns.Cuts
	stamp durable.Stamp
}

func (d *databaseCuts) read() (*tinydns.Cuts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, err := durable.StampAt(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, databaseElsewhere{d.path}
	}
	if err != nil {
		return nil, err
	}
	if d.known != nil && now == d.stamp {
		return d.known, nil
	}
	known, stamp, err := readCuts(d.path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.path, err)
	}
	d.known, d.stamp = known, stamp
	return known, nil
}

func readCuts(path string) (*tinydns.Cuts, durable.Stamp, error) {
	f, info, err := openVersion(path)
	if err != nil {
		return nil, durable.Stamp{}, err
	}
	defer f.Close()
	cuts, err := tinydns.ReadCuts(f, info.Size())
	return cuts, durable.StampOf(info), err
}
