package boltstore

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// Restore makes a store in folder, which must be empty or not exist, from a
// backup. Errors of the backup's text are *records.BackupError. After an error the
// folder is as it was.
func Restore(folder string, backup io.Reader) error {
	if err := durable.MakeFolder(folder, 0o700); err != nil {
		return err
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := CheckJournal(folder); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty: it has %q; restore fills an empty folder only", folder, entries[0].Name())
	}
	path := filepath.Join(folder, File)
	temp := path + ".new"
	defer os.Remove(temp)
	if err := restoreInto(temp, backup); err != nil {
		return err
	}
	if err := giveTo(temp, folder); err != nil {
		return err
	}
	return durable.Rename(temp, path)
}

// giveTo gives a file made by root to the owner of the folder.
func giveTo(file, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	return os.Chown(file, int(owner.Uid), int(owner.Gid))
}

func restoreInto(path string, backup io.Reader) (err error) {
	db, err := bbolt.Open(path, 0o600, options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.NoSync = true // one Sync at the end makes it durable
	r := restorer{hosts: memory.NewIndex(0, 0, 0), now: time.Now()}
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { tx.Rollback() }()
	if r.lines, err = tx.CreateBucket(bucketLog); err != nil {
		return err
	}
	revision, err := records.ReadBackup(backup, r.add)
	if err != nil {
		return err
	}
	if err := r.finish(tx, revision); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return db.Sync()
}

// restorer replays a backup: the log as it comes, the hosts' states in memory
// until the end.
type restorer struct {
	lines  *bbolt.Bucket
	logged logSize
	hosts  *memory.Index
	now    time.Time // no session may be later: it would win against all new ones
}

func (r *restorer) add(c records.Change) error {
	was := r.hosts.Entry(c.Name)
	e := memory.Entry{Host: records.Host{Name: c.Name, Revision: c.Revision, Session: min(c.Time.UnixMicro(), r.now.UnixMicro()), TTL: c.TTL, Records: c.New}, Logged: was.Logged}
	e.Had = (was.Had | records.HadUnknown).With(c.Old).With(c.New) // the log may not reach back to its beginning
	if !c.IsState() {
		if was.Logged >= c.Revision {
			return fmt.Errorf("revision %d of %s does not come after %d", c.Revision, c.Name, was.Logged)
		}
		if err := putLine(r.lines, line{c, was.Logged}, &r.logged); err != nil {
			return err
		}
		e.Logged = c.Revision
	}
	r.hosts.Load(e)
	return nil
}

// finish writes the hosts, in order, and the state.
func (r *restorer) finish(tx *bbolt.Tx, revision uint64) error {
	hosts, err := tx.CreateBucket(bucketHosts)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(bucketMeta); err != nil {
		return err
	}
	hosts.FillPercent = 0.9
	for e := range r.hosts.InOrder() {
		if err := hosts.Put([]byte(e.Name), memory.SealHost(e)); err != nil {
			return err
		}
	}
	return errors.Join(putForgotten(tx, revision), putState(tx, state{revision, uint64(r.hosts.Names()), r.logged.lines}))
}
