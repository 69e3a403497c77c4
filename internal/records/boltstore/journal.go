package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// journalFile was kept beside the store's file by an earlier dnsgate while it
// ran: it had the changes of the last second. That dnsgate noted it in the
// store's file under keyJournal, and removed both when it was stopped.
const journalFile = "dnsgate.journal"

var keyJournal = []byte("journal")

var errJournalMissing = errors.New("it needs " + journalFile + " of the earlier dnsgate that wrote it, which is missing: " +
	"put that back, start and stop that dnsgate once; or restore a backup into an empty folder")

// CheckJournal refuses a folder with a journal of an earlier dnsgate, which
// alone can read the changes in it.
func CheckJournal(folder string) error {
	path := filepath.Join(folder, journalFile)
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s: may hold changes that %s lacks, and only the dnsgate that wrote it can read it: start that version once and "+
		"stop it with SIGTERM, which moves the changes there and removes this file; or take a backup from it while it runs, "+
		"and restore that into an empty folder", path, File)
}
