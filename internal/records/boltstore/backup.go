package boltstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// Backup implements records.Store.
func (s *Store) Backup(ctx context.Context, w io.Writer) (err error) {
	defer trapDamage(&err)()
	return s.db.View(func(tx *bbolt.Tx) error {
		st, err := getState(tx)
		if err != nil {
			return err
		}
		b := records.NewBackupWriter(w)
		oldest := st.revision + 1
		err = tx.Bucket(bucketLog).ForEach(func(k, v []byte) error {
			l, err := openLine(k, v)
			if err != nil {
				return err
			}
			oldest = min(oldest, l.Revision)
			return errors.Join(b.Write(l.Change), ctx.Err())
		})
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		err = tx.Bucket(bucketHosts).ForEach(func(k, v []byte) error {
			return errors.Join(backupHost(b, k, v, oldest), ctx.Err())
		})
		if err != nil {
			return fmt.Errorf("reading the hosts: %w", err)
		}
		return b.Close(st.revision)
	})
}

// backupHost writes a host's state unless the log, whole from revision
// oldest on, gives it.
func backupHost(b *records.BackupWriter, key, sealed []byte, oldest uint64) error {
	e, err := memory.OpenHost(key, sealed)
	if err != nil {
		return err
	}
	if e.Logged == e.Revision && e.Logged > oldest {
		return nil
	}
	return b.Write(records.StateLine(e.Host))
}
