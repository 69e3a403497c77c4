package boltstore

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"

	"go.etcd.io/bbolt"
)

// TestLeftJournalIsRefused: changes of an earlier dnsgate that only it can
// read are not passed over, whether its journal is there or was taken away.
func TestLeftJournalIsRefused(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	storetest.Commit(t, s, records.Host{Name: "a.example.com", Records: storetest.Addresses("192.0.2.1")})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	journal := filepath.Join(folder, journalFile)
	if err := os.WriteFile(journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, open := Open(folder, slog.New(slog.DiscardHandler))
	for what, err := range map[string]error{"Open": open, "CheckJournal": CheckJournal(folder), "Restore": Restore(folder, strings.NewReader(""))} {
		if err == nil || !strings.Contains(err.Error(), journal) || !strings.Contains(err.Error(), "SIGTERM") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.Remove(journal); err != nil {
		t.Fatal(err)
	}
	openStore(t, folder).Close()

	db, err := bbolt.Open(filepath.Join(folder, File), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyJournal, []byte("x")) })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("without the journal that the file needs: %v", err)
	}
}
