package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"dnsgate/internal/records"
)

// SealHost is the value under which a store keeps e, with its name as key.
func SealHost(e Entry) []byte {
	var key [256]byte // on the stack: a million of these are made in a row
	return seal(append(key[:0], e.Name...), encode(make([]byte, SealSize, 64), e))
}

// OpenHost reads a host as SealHost made it, and checks its name too.
func OpenHost(key, sealed []byte) (Entry, error) {
	s, err := OpenSlot(key, sealed)
	if err != nil {
		return Entry{}, err
	}
	e, _ := open(s.text, nil)
	return e, nil
}

// OpenSlot is OpenHost for LoadSlot.
func OpenSlot(key, sealed []byte) (Slot, error) {
	value, err := Unseal(key, sealed)
	if err == nil && (len(key) == 0 || len(key) > records.MaxName) {
		err = errors.New("not a name in canonical form")
	}
	if err != nil {
		return Slot{}, fmt.Errorf("host %q: %w", key, err)
	}
	var most [512]byte
	text := string(append(append(append(most[:0], byte(len(key))), key...), value...))
	if name, err := records.ParseStored(string(nameOf(text))); err != nil || name != nameOf(text) {
		return Slot{}, fmt.Errorf("host %q: not a name in canonical form", key)
	}
	s, err := summarize(valueOf(text))
	if err != nil {
		return Slot{}, fmt.Errorf("host %q: %w", key, err)
	}
	return Slot{text, s}, nil
}

// SealSize is how many bytes Seal puts in front of a value: any bytes, line ends too.
const SealSize = 5

// Seal puts a format version and a CRC-32C over key and value in front of a
// value, because not every store has checksums of its own (bbolt's data pages).
func Seal(key, value []byte) []byte {
	return seal(key, append(make([]byte, SealSize, SealSize+len(value)), value...))
}

// seal writes the first SealSize bytes of b.
func seal(key, b []byte) []byte {
	b[0] = sealVersion
	binary.BigEndian.PutUint32(b[1:], checksum(key, b[SealSize:]))
	return b
}

// Unseal returns the value that Seal was given, after checking it.
func Unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < SealSize {
		return nil, ErrTruncated
	}
	if sealed[0] == 0 || sealed[0] > sealVersion {
		return nil, fmt.Errorf("format version %d is not known to this dnsgate", sealed[0])
	}
	value := sealed[SealSize:]
	if binary.BigEndian.Uint32(sealed[1:]) != checksum(key, value) {
		return nil, errors.New("checksum does not match: the file is damaged")
	}
	return value, nil
}

// ErrTruncated says that a value ends too early.
var ErrTruncated = errors.New("value ends too early")

// sealVersion is the format that is written; 1 had no MadeBy, 2 no Had, and
// both are still read.
const sealVersion = 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}
