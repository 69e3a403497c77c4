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
	b := encode(append(make([]byte, 0, 64), sealVersion, 0, 0, 0, 0), e)
	binary.BigEndian.PutUint32(b[1:], checksum(append(key[:0], e.Name...), b[5:]))
	return b
}

// OpenHost reads a host as SealHost made it, and checks its name too.
func OpenHost(key, sealed []byte) (Entry, error) {
	value, err := Unseal(key, sealed)
	if err != nil {
		return Entry{}, fmt.Errorf("host %q: %w", key, err)
	}
	name, err := records.ParseStored(string(key))
	if err != nil || string(name) != string(key) {
		return Entry{}, fmt.Errorf("host %q: not a name in canonical form", key)
	}
	e, _, err := decode(name, string(value), nil)
	if err != nil {
		return Entry{}, fmt.Errorf("host %q: %w", key, err)
	}
	return e, nil
}

// OpenSlot reads and checks a host as SealHost made it, with fewer allocations than
// OpenHost.
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
	s, err := summarizeValue(valueOf(text))
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
	b := append(make([]byte, 0, 5+len(value)), sealVersion)
	b = binary.BigEndian.AppendUint32(b, checksum(key, value))
	return append(b, value...)
}

// Unseal returns the value that Seal was given, after checking it.
func Unseal(key, sealed []byte) ([]byte, error) {
	if len(sealed) < 5 {
		return nil, ErrTruncated
	}
	if sealed[0] == 0 || sealed[0] > sealVersion {
		return nil, fmt.Errorf("format version %d is not known to this dnsgate", sealed[0])
	}
	value := sealed[5:]
	if binary.BigEndian.Uint32(sealed[1:5]) != checksum(key, value) {
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
