package etcdstore

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Backup implements records.Store: what etcd held at one revision. A value that
// is not understood is an error, for the backup would lack it.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	conn, err := s.node(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	revision := max(s.meta.restored, s.Revision())
	written := make(map[uint64]uint64) // the revision of each entry of the log
	var lines []records.Change
	at, err := scan(ctx, conn, s.o.Prefix+keyLog, 0, func(kv *mvccpb.KeyValue) error {
		id, entry, err := s.openEntry(kv)
		for _, l := range entry {
			written[id] = l.Revision
			revision = max(revision, l.Revision)
			lines = append(lines, l.Change)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reading the log: %w", err)
	}
	slices.SortFunc(lines, func(a, b records.Change) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Name, b.Name))
	})
	b := records.NewBackupWriter(w)
	for _, l := range lines {
		if err := b.Write(l); err != nil {
			return err
		}
	}
	_, err = scan(ctx, conn, s.o.Prefix+keyHost, at, func(kv *mvccpb.KeyValue) error {
		e, err := s.openHost(kv)
		if err != nil {
			return err
		}
		revision = max(revision, e.Revision)
		return backupHost(b, e, written)
	})
	if err != nil {
		return fmt.Errorf("reading the hosts: %w", err)
	}
	return b.Close(revision)
}

// backupHost writes a host's state unless the log gives it.
func backupHost(b *records.BackupWriter, e memory.Entry, written map[uint64]uint64) error {
	if e.Logged != 0 && written[e.Logged] == e.Revision {
		return nil
	}
	return b.Write(records.StateLine(e.Host))
}
