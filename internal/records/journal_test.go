package records

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// crashed returns a folder that holds what a process would find if the one
// that has s open were killed now.
func crashed(t testing.TB, folder string) string {
	t.Helper()
	left := t.TempDir()
	for _, name := range []string{File, JournalFile} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return left
}

func backupOf(t testing.TB, s *Bolt) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func historyOf(t testing.TB, s *Bolt, name Name, limit int) string {
	t.Helper()
	changes, err := s.History(name, func(n Name) bool { return n != "h3.example.com" }, limit)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(changes)
}

// TestJournalIsPartOfTheStore: history, backup and a start after a kill tell
// the same, wherever between the journal and the file the changes are.
func TestJournalIsPartOfTheStore(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	defer func() { s.Close() }()
	for step := range 60 {
		var hosts []Host
		for _, i := range rand.Perm(5)[:1+rand.N(3)] {
			h := read(t, s, Name(fmt.Sprintf("h%d.example.com", i)))
			h.TTL = uint32(rand.N(3))
			h.Records = addresses(fmt.Sprintf("192.0.2.%d", rand.N(3)))
			if rand.N(3) == 0 {
				h.Records[0].Expires = 1<<40 + int64(step)
			}
			hosts = append(hosts, h)
		}
		mustCommit(t, s, hosts...)
		if rand.N(10) == 0 {
			s.Close()
			s = openStore(t, folder)
		}
		if step%7 > 0 {
			continue
		}
		again := openStore(t, crashed(t, folder))
		if got, want := backupOf(t, again), backupOf(t, s); got != want {
			t.Fatalf("after a kill:\n%s\nbefore:\n%s", got, want)
		}
		for _, name := range []Name{"", "h1.example.com", "h2.example.com"} {
			for _, limit := range []int{1, 3, 100} {
				if got, want := historyOf(t, again, name, limit), historyOf(t, s, name, limit); got != want {
					t.Fatalf("history of %q after a kill: %s, before: %s", name, got, want)
				}
			}
		}
		if got, want := stateOf(again), stateOf(s); !reflect.DeepEqual(got, want) || again.Revision() != s.Revision() {
			t.Fatalf("after a kill: %v, before: %v", got, want)
		}
		again.Close()
	}
}

// TestCheckpoint: what is in the journal is soon in the file too.
func TestCheckpoint(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	began := time.Now()
	mustCommit(t, s, Host{Name: "a.example.com", TTL: 7})
	if st := storedState(t, s); st.revision != 0 && time.Since(began) < journalTime {
		t.Errorf("the file is at revision %d at once", st.revision)
	}
	for end := time.Now().Add(10 * time.Second); storedState(t, s).revision != 1; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("there was no checkpoint")
		}
	}
	for i := range 3 * journalSectors { // and when it is full
		mustCommit(t, s, Host{Name: "b.example.com", TTL: uint32(i), Revision: read(t, s, "b.example.com").Revision})
	}
	if st := storedState(t, s); st.revision < journalSectors {
		t.Errorf("the file is at revision %d of %d", st.revision, s.Revision())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 || left[0].Name() != File {
		t.Errorf("a store that was closed leaves %v", left)
	}
	again := openStore(t, folder)
	defer again.Close()
	if got := read(t, again, "b.example.com").TTL; got != 3*journalSectors-1 {
		t.Errorf("TTL %d", got)
	}
}

func storedState(t *testing.T, s *Bolt) (st state) {
	t.Helper()
	tx, err := s.db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if st, err = getState(tx); err != nil {
		t.Fatal(err)
	}
	return st
}

// TestJournalAfterPowerLoss writes groups, with checkpoints between, and
// leaves of the last one any of its sectors: all others are there. If a sector
// of another one is lost, that is told.
func TestJournalAfterPowerLoss(t *testing.T) {
	for range 60 {
		folder := t.TempDir()
		path := filepath.Join(folder, JournalFile)
		j, err := createJournal(folder, path, 7)
		if err != nil {
			t.Fatal(err)
		}
		var want []group
		var revision, stored uint64
		write := func() group {
			revision += 1 + rand.Uint64N(3)
			g := group{revision, bytes.Repeat([]byte{byte(revision)}, rand.N(4*sectorPart))}
			if !j.takes(g.text) || rand.N(100) == 0 {
				j.restart()
				want, stored = nil, revision-1
			}
			if _, err := j.append(g.revision, g.text); err != nil {
				t.Fatal(err)
			}
			return g
		}
		for range rand.N(400) {
			want = append(want, write())
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		had, storedThen := slices.Clone(want), stored
		last := write()
		if stored != storedThen {
			had = nil
		}
		after, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		j.file.Close()
		lost := 0
		for i := range journalSectors {
			at := i * sectorSize
			if !bytes.Equal(before[at:at+sectorSize], after[at:at+sectorSize]) && rand.N(2) == 0 {
				copy(after[at:], before[at:at+sectorSize])
				lost++
			}
		}
		if lost == 0 {
			had = append(had, last)
		}
		os.WriteFile(path, after, 0o600)
		got, err := readJournal(path, 7, stored)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, had) && len(got)+len(had) > 0 {
			t.Fatalf("%d groups, want %d, with %d sectors lost of the last", len(got), len(had), lost)
		}
		if earlier := j.next - sectorsOf(len(last.text)); earlier > 0 && lost == 0 {
			at := rand.N(earlier) * sectorSize
			copy(after[at:], j.appendSector(nil, 0, 0, 0, nil))
			os.WriteFile(path, after, 0o600)
			if got, err := readJournal(path, 7, stored); err == nil {
				t.Fatalf("without sector %d there are %d groups of %d", at/sectorSize, len(got), len(had))
			}
		}
	}
}

// TestDamagedJournalIsRefused: a journal that was cut, flipped, zeroed,
// exchanged or taken away is refused by its name, and stays as it is.
func TestDamagedJournalIsRefused(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	defer s.Close()
	older := crashed(t, folder)
	for i := range 20 {
		mustCommit(t, s, Host{Name: Name(fmt.Sprintf("h%d.example.com", i)), Records: addresses("192.0.2.1")})
	}
	killed := crashed(t, folder)
	whole, err := os.ReadFile(filepath.Join(killed, JournalFile))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(killed, JournalFile)
	refused := func(what, why string, data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(killed, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%s: opens at revision %d", what, s.Revision())
			s.Close()
			return
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", what, err)
		}
		if now, _ := os.ReadFile(path); !bytes.Equal(now, data) {
			t.Errorf("%s: the file was changed", what)
		}
	}
	for _, size := range []int{0, 1, 512, 20 * 512, len(whole) - 512, len(whole) - 1} {
		refused(fmt.Sprintf("cut to %d", size), "damaged", whole[:size])
	}
	refused("longer", "damaged", append(bytes.Clone(whole), 0))
	for range 200 {
		data := bytes.Clone(whole)
		at := rand.N(len(data))
		if rand.N(2) == 0 {
			at = rand.N(20 * sectorSize)
		}
		data[at] ^= 1 << rand.N(8)
		refused(fmt.Sprintf("bit flipped at %d", at), "damaged", data)
		from := at / sectorSize * sectorSize
		clear(data[from : from+sectorSize])
		refused(fmt.Sprintf("sector zeroed at %d", from), "damaged", data)
	}
	lost := bytes.Clone(whole)
	copy(lost[3*sectorSize:4*sectorSize], whole[len(whole)-sectorSize:])
	refused("a sector as it was before", "what comes before is missing", lost)

	db := filepath.Join(killed, File)
	if err := os.Rename(db, db+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(killed, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), db+": it is missing") {
		t.Errorf("without the store's file: %v", err)
	}
	if err := os.Rename(db+".away", db); err != nil {
		t.Fatal(err)
	}
	os.Remove(path)
	if _, err := Open(killed, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), path+": it is missing") {
		t.Errorf("without its journal: %v", err)
	}
	if err := os.WriteFile(filepath.Join(older, JournalFile), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	openStore(t, older).Close() // the same store, and nothing of it in the file yet
	foreign := t.TempDir()
	o := openStore(t, foreign)
	if empty, err := os.ReadFile(filepath.Join(foreign, JournalFile)); err != nil {
		t.Error(err)
	} else {
		refused("another store's", "belongs to another", empty)
	}
	o.Close()
	other := t.TempDir()
	openStore(t, other).Close()
	if err := os.WriteFile(filepath.Join(other, JournalFile), whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "an older copy") {
		t.Errorf("beside another store: %v", err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, killed)
	if s.Len() != 20 {
		t.Errorf("%d hosts after all that", s.Len())
	}
}

// TestNothingIsWrittenInDoubt: once an fsync failed the store's file stays as it
// is, until a start reads the journal.
func TestNothingIsWrittenInDoubt(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, folder)
	mustCommit(t, s, Host{Name: "a.example.com", TTL: 7})
	s.mu.Lock()
	s.failed = ErrUnknown
	s.mu.Unlock()
	before := storedState(t, s) // 0, if this machine is not very slow
	time.Sleep(journalTime + 300*time.Millisecond)
	if st := storedState(t, s); st != before {
		t.Errorf("the file was brought to revision %d", st.revision)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, folder)
	defer s.Close()
	if h := read(t, s, "a.example.com"); h.TTL != 7 {
		t.Errorf("the next start finds %+v", h)
	}
}

// TestJournalVanishes: nothing is said to be durable that stands in a file
// that no later start will find.
func TestJournalVanishes(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, JournalFile)
	s := openStore(t, folder)
	mustCommit(t, s, Host{Name: "a.example.com"})
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), txn(Host{Name: "b.example.com"})); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("without the journal: %v", err)
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, Host{Name: "b.example.com"})
	s.Close()
}

// FuzzJournal: wherever a journal is changed, reading it is an error, or all
// is there that was durable.
func FuzzJournal(f *testing.F) {
	j, err := createJournal(f.TempDir(), filepath.Join(f.TempDir(), JournalFile), 7)
	if err != nil {
		f.Fatal(err)
	}
	defer j.file.Close()
	var want []group
	for i := range uint64(5) {
		g := group{i + 1, bytes.Repeat([]byte("text"), 100*int(i))}
		if _, err := j.append(g.revision, g.text); err != nil {
			f.Fatal(err)
		}
		want = append(want, g)
	}
	whole, err := os.ReadFile(j.path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0), []byte{1})
	f.Add(uint32(sectorSize+24), []byte("\x00\x00\x00\x01"))
	content := make([]byte, len(whole))
	f.Fuzz(func(t *testing.T, at uint32, data []byte) {
		n := copy(content, whole[:min(uint32(len(whole)), at)])
		n += copy(content[n:], data)
		n += copy(content[n:], whole[n:])
		if got, err := parseJournal(bytes.NewReader(content[:n]), 7, 0); err == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%d groups of %d", len(got), len(want))
		}
	})
}

// FuzzSectors: whatever sectors follow each other, of sound ones too, reading
// them is an error or gives groups that are later one after the other.
func FuzzSectors(f *testing.F) {
	f.Add([]byte{1, 0, 1, 4, 2, 0, 2, 0, 2, 1, 2, 0}, byte(0))
	f.Add([]byte{4, 0, 1, 4, 2, 0, 1, 0, 3, 1, 2, 0}, byte(3))
	f.Fuzz(func(t *testing.T, heads []byte, stored byte) {
		j := journal{id: 7}
		var content []byte
		for i := range journalSectors {
			var h [4]byte
			copy(h[:], heads[min(len(heads), 4*i):])
			content = j.appendSector(content, uint64(h[0]), int(h[1]), int(h[2]), []byte{0, 0, h[3], h[3]})
		}
		got, err := parseJournal(bytes.NewReader(content), 7, uint64(stored))
		last := uint64(stored)
		for _, g := range got {
			if g.revision <= last {
				t.Errorf("revision %d after %d", g.revision, last)
			}
			last = g.revision
		}
		for i := 0; err == nil && 4*i < min(len(heads), 4*journalSectors); i++ {
			if h := heads[4*i:]; len(h) >= 4 && h[1] == 0 && h[2] == 1 && h[3] == 0 && uint64(h[0]) > last {
				t.Errorf("the whole group %d in sector %d is left out", h[0], i)
			}
		}
	})
}

// FuzzDraft: a draft's text is read as it was written, and anything else is an
// error.
func FuzzDraft(f *testing.F) {
	d := newDraft(4)
	d.revision = 6
	h := Host{Name: "a.example.com", Revision: 5, TTL: 60, Records: addresses("192.0.2.1")}
	d.hosts[h.Name] = staged{h, 5, string(encodeHost(nil, h, 5))}
	change, err := ParseChange("5 2026-01-31T00:00:00Z a.example.com - 192.0.2.1 60 SHA256:k 192.0.2.9")
	if err != nil {
		f.Fatal(err)
	}
	d.lines = []line{{change, 0}}
	f.Add(d.appendText(nil), uint64(6))
	f.Fuzz(func(t *testing.T, text []byte, revision uint64) {
		d, err := parseDraft(string(text), revision)
		if err != nil {
			return
		}
		again, err := parseDraft(string(d.appendText(nil)), revision)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%+v, and again %+v, %v", d, again, err)
		}
	})
}
