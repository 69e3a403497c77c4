package boltstore

import (
	"fmt"
	"io"

	"dnsgate/internal/records"

	"go.etcd.io/bbolt"
)

// Backup implements Store.
func (s *Store) Backup(w io.Writer) (err error) {
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
			return b.Write(l.Change)
		})
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		err = tx.Bucket(bucketHosts).ForEach(func(k, v []byte) error {
			return backupHost(b, k, v, oldest)
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
	st, err := openHost(key, sealed)
	if err != nil {
		return err
	}
	h := st.host
	if st.logged == h.Revision && st.logged > oldest {
		return nil
	}
	return b.Write(records.StateLine(h))
}
