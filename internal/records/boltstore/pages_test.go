package boltstore

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/storetest"
)

// FuzzStoreFile: whatever stands in the store's file, opening it is an error
// or a store that works; it is never a panic, and the file is never reset.
func FuzzStoreFile(f *testing.F) {
	folder := f.TempDir()
	s := openStore(f, folder)
	for _, name := range []records.Name{"a.example.com", "b.example.com"} {
		storetest.Commit(f, s, records.Host{Name: name, Records: storetest.Addresses("192.0.2.1")})
	}
	s.Close()
	whole, err := os.ReadFile(filepath.Join(folder, File))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(0), byte(0), uint16(len(whole)/16))
	f.Add(uint16(8192+20), byte(0x10), uint16(len(whole)/16))
	f.Fuzz(func(t *testing.T, at uint16, flip byte, size uint16) {
		data := append([]byte(nil), whole[:min(len(whole), 16*int(size))]...)
		if int(at) < len(data) {
			data[at] ^= flip
		}
		folder := t.TempDir()
		path := filepath.Join(folder, File)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(folder, slog.New(slog.DiscardHandler))
		if err != nil {
			if info, err := os.Stat(path); err != nil || info.Size() != int64(len(data)) {
				t.Errorf("the file was changed: %v", err)
			}
			return
		}
		defer s.Close()
		for _, name := range []records.Name{"a.example.com", "b.example.com"} {
			if h := storetest.Read(t, s, name); len(h.Records) != 1 {
				t.Errorf("%s has %v", name, h.Records)
			}
		}
	})
}
