package boltstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

// TestCheck looks at a state folder in each of its conditions, and changes
// nothing in it.
func TestCheck(t *testing.T) {
	above := t.TempDir()
	folder := filepath.Join(above, "state")
	if err := Check(folder); err != nil {
		t.Errorf("no folder yet: %v", err)
	}
	if _, err := os.Lstat(folder); err == nil {
		t.Error("it was made")
	}
	s := openStore(t, folder)
	storetest.Commit(t, s, records.Host{Name: "a.example.com", TTL: 300, Records: storetest.Addresses("192.0.2.1")})
	if err := Check(folder); err != nil {
		t.Errorf("a running gateway holds it: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Check(folder); err != nil {
		t.Errorf("as it should be: %v", err)
	}
	path := filepath.Join(folder, File)
	if os.Geteuid() == 0 {
		if err := os.Chown(folder, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if err := Check(folder); err == nil || !strings.Contains(err.Error(), "run: chown nobody:nogroup "+path) {
			t.Errorf("another's file: %v", err)
		}
		if err := os.Chown(folder, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range content {
		content[i] ^= 0x55
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(folder); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
		t.Errorf("a damaged file: %v", err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("%d files", len(entries))
	}
}

// TestRestoreGivesToTheFolder: what root restores belongs to the owner of the
// folder.
func TestRestoreGivesToTheFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away needs root")
	}
	folder := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(folder, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	var backup strings.Builder
	if err := records.NewBackupWriter(&backup).Close(3); err != nil {
		t.Fatal(err)
	}
	if err := Restore(folder, strings.NewReader(backup.String())); err != nil {
		t.Fatal(err)
	}
	if err := Check(folder); err != nil {
		t.Error(err)
	}
}
