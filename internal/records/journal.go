package records

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"

	"dnsgate/internal/durable"
)

// journal is a file in front of the store's. A group of commits that is small
// is durable once it stands there: one write and one sync of blocks that the
// file has already, where bbolt writes whole pages and syncs twice. What it
// holds goes to the store's file within journalTime, or when it is full, all
// in one transaction: a checkpoint. Then it is written from its front again.
//
// The file is made of sectors, which a disk writes whole or not at all:
//
//	CRC-32C of what follows   4 bytes
//	journal                   8, drawn anew whenever dnsgate starts
//	revision                  8, that the group brings the store to; 0: none
//	index, count              2, 2: which sector of the group's, of how many
//	part of the group         488: its length in 4 bytes, then a draft's text
//
// All of them are written when the file is made. So every sector can be
// checked at any time, and one that was damaged is told from one that was not
// written any more when the power went.
type journal struct {
	path string
	file *os.File    // nil: there is no journal, and it takes nothing
	info os.FileInfo // of what is open; path may come to name another one
	id   uint64
	next int // the sector where the next group begins
	buf  []byte
}

// JournalFile is the name of the journal in the state folder. It is there
// while dnsgate runs, and after a crash.
const JournalFile = "dnsgate.journal"

const (
	sectorSize     = 512
	sectorHead     = 24
	sectorPart     = sectorSize - sectorHead
	journalSectors = 512

	// maxJournaled is how many sectors a group may take; a larger one goes to the
	// store's file at once, which costs little more then.
	maxJournaled = journalSectors / 4
)

// createJournal makes an empty journal at path, durably. The name before that
// is always the same, so that starts that were killed leave one file at most.
func createJournal(folder, path string, id uint64) (*journal, error) {
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{path: path, file: file, id: id}
	err = j.clear()
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = durable.SyncFolder(folder)
	}
	if err != nil {
		file.Close()
		os.Remove(temp)
		return nil, err
	}
	return j, nil
}

// clear writes all sectors.
func (j *journal) clear() (err error) {
	const together = 32 // sectors
	empty := bytes.Repeat(j.appendSector(nil, 0, 0, 0, nil), together)
	for range journalSectors / together {
		if _, err := j.file.Write(empty); err != nil {
			return err
		}
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.info, err = j.file.Stat()
	return err
}

func (j *journal) appendSector(b []byte, revision uint64, index, count int, part []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, sectorSize)...)
	s := b[at:]
	binary.BigEndian.PutUint64(s[4:], j.id)
	binary.BigEndian.PutUint64(s[12:], revision)
	binary.BigEndian.PutUint16(s[20:], uint16(index))
	binary.BigEndian.PutUint16(s[22:], uint16(count))
	copy(s[sectorHead:], part)
	binary.BigEndian.PutUint32(s, crc32.Checksum(s[4:], castagnoli))
	return b
}

// sectorsOf is how many sectors a group of so many bytes takes.
func sectorsOf(length int) int { return (4 + length + sectorPart - 1) / sectorPart }

// takes reports whether there is room for text.
func (j *journal) takes(text []byte) bool {
	return j.file != nil && sectorsOf(len(text)) <= min(maxJournaled, journalSectors-j.next)
}

// append makes a group durable that brings the store to revision, and that it
// takes. After an error that is in doubt the disk may have the group or not.
func (j *journal) append(revision uint64, text []byte) (inDoubt bool, err error) {
	count := sectorsOf(len(text))
	group := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	j.buf = j.buf[:0]
	for i := range count {
		part := group[i*sectorPart:]
		j.buf = j.appendSector(j.buf, revision, i, count, part[:min(len(part), sectorPart)])
	}
	if n, err := j.file.WriteAt(j.buf, int64(j.next)*sectorSize); err != nil {
		return n > 0, err
	}
	if err := datasync(j.file); err != nil {
		return true, err
	}
	j.next += count
	return false, nil
}

// restart has the next group written at the front. All that the journal holds
// must be elsewhere by now.
func (j *journal) restart() { j.next = 0 }

// group is what one append wrote.
type group struct {
	revision uint64
	text     []byte
}

// readJournal returns the groups that the journal at path holds beyond stored,
// the revision of the store's file, in their order. If id is 0 that file knows
// of no journal.
func readJournal(path string, id, stored uint64) ([]group, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("it is missing, and the last changes are in it; put it back, or restore a backup into an empty folder (%w)", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseJournal(f, id, stored)
}

// parseJournal reads a journal. A group of which a part is missing was never
// told to be durable if it is the last one; anything else is damage.
func parseJournal(in io.Reader, id, stored uint64) ([]group, error) {
	sectors, err := readSectors(in)
	if err != nil {
		return nil, err
	}
	switch whose := sectors[0].id; {
	case slices.ContainsFunc(sectors, func(s sector) bool { return s.id != whose }):
		return nil, damaged("it is put together of two")
	case id != 0 && whose != id:
		return nil, errors.New("it belongs to another store, or to this one at another time; put the one back that belongs to the store's file beside it")
	}
	beyond, err := groups(sectors, stored)
	if id == 0 && len(beyond) > 0 {
		return nil, errors.New("it holds changes that the store's file beside it does not know of: that is another one, or an older copy; " +
			"put the one back that belongs to it, or, if those changes may be lost, remove the journal")
	}
	return beyond, err
}

// readSectors reads all sectors, and wants no more to follow.
func readSectors(in io.Reader) (sectors []sector, err error) {
	buffered := bufio.NewReader(in)
	b := make([]byte, sectorSize)
	for range journalSectors {
		if _, err := io.ReadFull(buffered, b); err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil, damaged("it has %d sectors where %d belong", len(sectors), journalSectors)
		} else if err != nil {
			return nil, err
		}
		s, err := readSector(b)
		if err != nil {
			return nil, damaged("sector %d: %w", len(sectors), err)
		}
		if s.revision > 0 {
			s.part = bytes.Clone(b[sectorHead:])
		}
		sectors = append(sectors, s)
	}
	if _, err := buffered.ReadByte(); err != io.EOF {
		return nil, damaged("it goes on behind its %d sectors", journalSectors)
	}
	return sectors, nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("the file is damaged: %w; restore a backup into an empty folder", fmt.Errorf(format, args...))
}

type sector struct {
	id, revision uint64
	index, count int
	part         []byte
}

// readSector reads a sector, all but its part of the group.
func readSector(b []byte) (s sector, err error) {
	if binary.BigEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return s, errors.New("checksum does not match")
	}
	s = sector{
		id: binary.BigEndian.Uint64(b[4:]), revision: binary.BigEndian.Uint64(b[12:]),
		index: int(binary.BigEndian.Uint16(b[20:])), count: int(binary.BigEndian.Uint16(b[22:])),
	}
	if s.revision > 0 && s.index >= s.count {
		return s, errors.New("no such part")
	}
	return s, nil
}

// groups follows the groups from the front, as long as they are later than
// the one before.
func groups(sectors []sector, stored uint64) (beyond []group, err error) {
	next, last := 0, uint64(0)
	for next < len(sectors) && sectors[next].revision > last {
		s := sectors[next]
		text, whole := join(sectors[next:])
		if !whole {
			break
		}
		if s.revision > stored {
			beyond = append(beyond, group{s.revision, text})
		}
		next, last = next+s.count, s.revision
	}
	newest := slices.MaxFunc(sectors, func(a, b sector) int { return cmp.Compare(a.revision, b.revision) }).revision
	for i, s := range sectors {
		if s.revision <= max(last, stored) {
			continue
		}
		// It can be of a group that was never whole: at the end of the others, or,
		// if those are all in the store's file, at the front.
		begins := i - s.index
		if s.revision != newest || begins != next && (begins != 0 || last > stored) {
			return nil, damaged("sector %d is of revision %d, and what comes before is missing", i, s.revision)
		}
	}
	return beyond, nil
}

// join puts the group together that begins at the first of the sectors, if it
// is whole.
func join(sectors []sector) (text []byte, whole bool) {
	first := sectors[0]
	if first.count > len(sectors) {
		return nil, false
	}
	for i, s := range sectors[:first.count] {
		if s.revision != first.revision || s.index != i || s.count != first.count {
			return nil, false
		}
		text = append(text, s.part...)
	}
	length := binary.BigEndian.Uint32(text)
	if text = text[4:]; uint64(length) > uint64(len(text)) {
		return nil, false
	}
	return text[:length], true
}
