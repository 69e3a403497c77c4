package tinydns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// A constant database is a header of 256 positions and lengths, one for each
// hash table; then the entries in order, each two lengths, key and data; then
// the tables. All numbers are 32 bits, little-endian. An entry's table is its
// hash modulo 256. A table has twice as many slots as entries, each a hash
// and a position; an entry is in the first free slot from hash/256 modulo the
// number of slots on. A slot is free where the position is 0.
const (
	headerSize = 2048
	tableCount = 256
	slotSize   = 8
	maxSize    = 1<<32 - 1 // the last position must fit in 32 bits
)

// errTooBig is returned where a database would not fit in its 32-bit
// positions.
var errTooBig = errors.New("the database would be larger than 4 GiB")

const hashStart uint32 = 5381

func hashOf(key []byte) uint32 {
	hash := hashStart
	for _, c := range key {
		hash = hash*33 ^ uint32(c)
	}
	return hash
}

// entry is what a hash table needs to know of an entry.
type entry struct{ hash, pos uint32 }

// index holds entries by table, in each in the order in which they were
// added, which is the order that decides their slots.
type index struct {
	entries []entry
	start   [tableCount + 1]uint32
}

// batch is a run of entries whose positions count from base.
type batch struct {
	entries []entry
	base    uint32
}

// newIndex sorts entries by table. It empties batches as it goes, to let
// their memory be reused.
func newIndex(batches []batch) *index {
	x := new(index)
	for _, b := range batches {
		for _, e := range b.entries {
			x.start[e.hash%tableCount+1]++
		}
	}
	for t := range tableCount {
		x.start[t+1] += x.start[t]
	}
	x.entries = make([]entry, x.start[tableCount])
	next := x.start
	for i, b := range batches {
		for _, e := range b.entries {
			t := e.hash % tableCount
			x.entries[next[t]] = entry{e.hash, b.base + e.pos}
			next[t]++
		}
		batches[i].entries = nil
	}
	return x
}

func (x *index) table(t int) []entry { return x.entries[x.start[t]:x.start[t+1]] }

// placed is an index whose positions count from base.
type placed struct {
	*index
	base uint32
}

// tables makes the header and the hash tables of a database.
type tables struct {
	from   []placed // in the order of the entries in the file
	header [headerSize]byte
	size   int64 // of the whole database
}

// newTables lays the tables out behind records that end at end.
func newTables(from []placed, end int64) (*tables, error) {
	t := &tables{from: from, size: end}
	for i := range tableCount {
		if t.size > maxSize {
			return nil, errTooBig
		}
		binary.LittleEndian.PutUint32(t.header[8*i:], uint32(t.size))
		binary.LittleEndian.PutUint32(t.header[8*i+4:], uint32(t.slots(i)))
		t.size += int64(t.slots(i)) * slotSize
	}
	if t.size > maxSize {
		return nil, errTooBig
	}
	return t, nil
}

// slots is the number of slots in table i.
func (t *tables) slots(i int) int {
	n := 0
	for _, x := range t.from {
		n += len(x.table(i))
	}
	return 2 * n
}

// appendTable appends table i.
func (t *tables) appendTable(dst []byte, i int) []byte {
	slots := uint32(t.slots(i))
	first := len(dst)
	dst = appendZeros(dst, int(slots)*slotSize)
	table := dst[first:]
	for _, x := range t.from {
		for _, e := range x.table(i) {
			at := e.hash / tableCount % slots
			for binary.LittleEndian.Uint32(table[at*slotSize+4:]) != 0 {
				if at++; at == slots {
					at = 0
				}
			}
			slot := table[at*slotSize:]
			binary.LittleEndian.PutUint64(slot, uint64(x.base+e.pos)<<32|uint64(e.hash))
		}
	}
	return dst
}

func appendZeros(dst []byte, n int) []byte {
	first := len(dst)
	if cap(dst)-first < n {
		return append(dst, make([]byte, n)...)
	}
	dst = dst[:first+n]
	clear(dst[first:])
	return dst
}

// check makes sure that what was written to f is what was meant.
func (t *tables) check(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != t.size {
		return fmt.Errorf("%s has %d bytes instead of %d: was it empty?", f.Name(), info.Size(), t.size)
	}
	return checkHeader(t.header[:], t.size)
}

// checkHeader refuses what would harm a server that maps the file: tinydns
// leaks a descriptor with each query of a file too short for its header.
func checkHeader(header []byte, size int64) error {
	if len(header) < headerSize || size < headerSize {
		return fmt.Errorf("a database of %d bytes is too short for its header of %d", size, headerSize)
	}
	for i := range tableCount {
		pos := int64(binary.LittleEndian.Uint32(header[8*i:]))
		slots := int64(binary.LittleEndian.Uint32(header[8*i+4:]))
		if pos < headerSize || pos+slots*slotSize > size {
			return fmt.Errorf("hash table %d lies outside of the database", i)
		}
	}
	return nil
}
