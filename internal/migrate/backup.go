package migrate

import (
	"io"
	"time"

	"dnsgate/internal/records"
)

// defaultTTL is what dnsgate.toml has, in seconds.
const defaultTTL = 300

// WriteBackup writes the addresses in the format of "backup", for "dnsgate
// restore". now is when they were read.
func (s *Setup) WriteBackup(w io.Writer, now time.Time) error {
	b := records.NewBackupWriter(w)
	var revision uint64
	for _, h := range s.Hosts {
		if len(h.Addresses) == 0 {
			continue
		}
		revision++
		if err := b.Write(h.change(revision, now)); err != nil {
			return err
		}
	}
	return b.Close(revision)
}

func (h Host) change(revision uint64, now time.Time) records.Change {
	c := records.Change{
		Revision: revision, Time: now.UTC().Truncate(time.Second), Name: h.Name,
		TTL: defaultTTL, Key: "import", Source: "-",
	}
	if h.HasTTL {
		c.TTL = h.TTL
	}
	for _, a := range h.Addresses {
		c.New = append(c.New, records.Record{Addr: a})
	}
	records.Sort(c.New)
	return c
}
