package tinydns

import (
	"encoding/binary"
	"errors"
	"io"
)

// errFormat is found in a database that is damaged, or none.
var errFormat = errors.New("not a whole constant database")

// reader looks keys up in a constant database. It checks every position
// against the size, so that no content can do harm.
type reader struct {
	file io.ReaderAt
	size int64
}

// newReader reads a database of size bytes.
func newReader(file io.ReaderAt, size int64) *reader { return &reader{file, size} }

// read fills buf from pos on.
func (r *reader) read(buf []byte, pos uint32) error {
	if int64(pos)+int64(len(buf)) > r.size {
		return errFormat
	}
	_, err := r.file.ReadAt(buf, int64(pos))
	if errors.Is(err, io.EOF) {
		return errFormat
	}
	return err
}

// search goes through the entries of one key, in the order in which they
// were added.
type search struct {
	reader *reader
	key    []byte
	hash   uint32
	table  uint32 // position
	slots  uint32
	slot   uint32 // the next one to look at
	left   uint32 // slots not yet looked at
}

func (r *reader) search(key []byte) (*search, error) {
	s := &search{reader: r, key: key, hash: hashOf(key)}
	var head [8]byte
	if err := r.read(head[:], s.hash%tableCount*8); err != nil {
		return nil, err
	}
	s.table, s.slots = littlePair(head)
	if s.slots == 0 {
		return s, nil
	}
	if int64(s.table)+int64(s.slots)*slotSize > r.size {
		return nil, errFormat
	}
	s.slot, s.left = s.hash/tableCount%s.slots, s.slots
	return s, nil
}

// next returns position and length of the next entry's data.
func (s *search) next() (pos, length uint32, ok bool, err error) {
	var pair [8]byte
	for ; s.left > 0; s.left-- {
		if err := s.reader.read(pair[:], s.table+s.slot*slotSize); err != nil {
			return 0, 0, false, err
		}
		hash, at := littlePair(pair)
		if at == 0 {
			return 0, 0, false, nil
		}
		if s.slot++; s.slot == s.slots {
			s.slot = 0
		}
		if hash != s.hash {
			continue
		}
		if err := s.reader.read(pair[:], at); err != nil {
			return 0, 0, false, err
		}
		keyLength, dataLength := littlePair(pair)
		if int64(keyLength) != int64(len(s.key)) {
			continue
		}
		key := make([]byte, keyLength)
		if err := s.reader.read(key, at+8); err != nil {
			return 0, 0, false, err
		}
		if string(key) == string(s.key) {
			s.left--
			return at + 8 + keyLength, dataLength, true, nil
		}
	}
	return 0, 0, false, nil
}

func littlePair(b [8]byte) (first, second uint32) {
	return binary.LittleEndian.Uint32(b[:4]), binary.LittleEndian.Uint32(b[4:])
}
