package boltstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"

	"dnsgate/internal/records/memory"
)

// checkPages walks the pages of a bbolt file before bbolt opens it, because bbolt meets
// some damage with a panic in a goroutine of its own, which would end the process.
// Afterwards, every page that bbolt can reach lies inside the file, is reached once,
// and has all its elements inside itself, with their keys in order. The content of the
// elements has checksums of its own.
//
// The layout is that of bbolt's file format, version 2: two meta pages, of
// which the one with the higher transaction number counts, and a B+tree of
// branch and leaf pages for each bucket. Numbers are in the machine's order.
//
// It returns where the meta page that counts stands.
func checkPages(f *os.File) (meta int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	v := pageChecker{file: f}
	if err := v.metas(info.Size()); err != nil {
		return 0, fmt.Errorf("the file is damaged: %w", err)
	}
	v.seen = make([]bool, v.pages)
	if err := v.tree(v.root, span{}, 0); err != nil {
		return 0, fmt.Errorf("the file is damaged: %w", err)
	}
	return v.meta, nil
}

type pageChecker struct {
	file     *os.File
	pageSize int64
	meta     int64  // where the newer meta page stands
	pages    uint64 // in use, the meta pages among them
	root     uint64
	seen     []bool
}

const (
	pageHeader  = 16
	elementSize = 16

	branchPage = 0x01
	leafPage   = 0x02

	bucketElement = 0x01
)

var num = binary.NativeEndian

// metas reads both meta pages. A torn one cannot be: it lies within a disk
// sector. So if one is wrong, an acknowledged change may be in it.
func (p *pageChecker) metas(size int64) error {
	var newest uint64
	head := make([]byte, pageHeader+64)
	for i := range int64(2) {
		if i == 1 && p.pageSize == 0 {
			return errors.New("no page size")
		}
		if _, err := p.file.ReadAt(head, i*p.pageSize); err != nil {
			return fmt.Errorf("meta page %d: %w", i, err)
		}
		m := head[pageHeader:]
		sum := fnv.New64a()
		sum.Write(m[:56])
		if num.Uint32(m) != 0xED0CDAED || num.Uint32(m[4:]) != 2 || num.Uint64(m[56:]) != sum.Sum64() {
			return fmt.Errorf("meta page %d has a wrong checksum", i)
		}
		p.pageSize = int64(num.Uint32(m[8:]))
		if txid := num.Uint64(m[48:]); i == 0 || txid > newest {
			newest, p.meta = txid, i*p.pageSize
			p.root, p.pages = num.Uint64(m[16:]), num.Uint64(m[40:])
		}
	}
	if p.pages < 2 || p.pageSize < 512 || p.pages > uint64(size/p.pageSize) {
		return fmt.Errorf("it has %d bytes where %d pages of %d belong", size, p.pages, p.pageSize)
	}
	return nil
}

// span is the range of keys that a page may hold: from low on, below high;
// nil is no bound.
type span struct{ low, high []byte }

func (s span) holds(key []byte) bool {
	return bytes.Compare(key, s.low) >= 0 && (s.high == nil || bytes.Compare(key, s.high) < 0)
}

// tree walks the page id and all below it.
func (p *pageChecker) tree(id uint64, keys span, depth int) error {
	if depth > 64 {
		return errors.New("pages nest too deeply")
	}
	page, err := p.page(id)
	if err != nil {
		return err
	}
	if err := p.elements(page, keys, depth); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// page reads a page with its overflow, and marks it as seen.
func (p *pageChecker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= p.pages {
		return nil, fmt.Errorf("page %d is outside of the file", id)
	}
	head := make([]byte, pageHeader)
	if _, err := p.file.ReadAt(head, int64(id)*p.pageSize); err != nil {
		return nil, err
	}
	overflow := uint64(num.Uint32(head[12:]))
	if num.Uint64(head) != id || id+overflow >= p.pages {
		return nil, fmt.Errorf("page %d has a wrong header", id)
	}
	for i := id; i <= id+overflow; i++ {
		if p.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		p.seen[i] = true
	}
	page := make([]byte, int64(1+overflow)*p.pageSize)
	_, err := p.file.ReadAt(page, int64(id)*p.pageSize)
	return page, err
}

// elements checks a branch or leaf page, which for a small bucket is itself
// the value of an element.
func (p *pageChecker) elements(page []byte, keys span, depth int) error {
	if len(page) < pageHeader {
		return memory.ErrTruncated
	}
	count := int(num.Uint16(page[10:]))
	if len(page) < pageHeader+count*elementSize {
		return memory.ErrTruncated
	}
	switch kind := num.Uint16(page[8:]); {
	case kind == leafPage:
		return p.leaf(page[pageHeader:], count, keys, depth)
	case kind == branchPage && count > 0:
		return p.branch(page[pageHeader:], count, keys, depth)
	default:
		return fmt.Errorf("unknown kind %#x, or empty", kind)
	}
}

// leaf checks elements of kind, distance, key size, value size; key and value
// lie at that distance from the element.
func (p *pageChecker) leaf(b []byte, count int, keys span, depth int) error {
	for i := range count {
		e := b[i*elementSize:]
		key, err := piece(e, num.Uint32(e[4:]), num.Uint32(e[8:]))
		if err != nil {
			return err
		}
		value, err := piece(e, num.Uint32(e[4:])+num.Uint32(e[8:]), num.Uint32(e[12:]))
		if err != nil {
			return err
		}
		if !keys.holds(key) {
			return errors.New("keys out of order")
		}
		keys.low = append(bytes.Clone(key), 0) // the next key is greater
		switch kind := num.Uint32(e); kind {
		case 0:
		case bucketElement:
			if err := p.bucket(value, depth); err != nil {
				return fmt.Errorf("bucket %q: %w", key, err)
			}
		default:
			return fmt.Errorf("element %q is of an unknown kind", key)
		}
	}
	return nil
}

// bucket checks a bucket's value: its root page, or 0 and then the page.
func (p *pageChecker) bucket(value []byte, depth int) error {
	if len(value) < 16 {
		return memory.ErrTruncated
	}
	if root := num.Uint64(value); root != 0 {
		return p.tree(root, span{}, depth+1)
	}
	if depth > 32 {
		return errors.New("buckets nest too deeply")
	}
	return p.elements(value[16:], span{}, depth+1)
}

// branch checks elements of distance, key size, page; the page holds what
// comes from its key on, before the next one's.
func (p *pageChecker) branch(b []byte, count int, keys span, depth int) error {
	below := make([]span, count)
	for i := range count {
		e := b[i*elementSize:]
		key, err := piece(e, num.Uint32(e), num.Uint32(e[4:]))
		if err != nil {
			return err
		}
		if !keys.holds(key) {
			return errors.New("keys out of order")
		}
		below[i] = span{key, keys.high}
		if i > 0 {
			below[i-1].high = key
		}
		keys.low = append(bytes.Clone(key), 0)
	}
	for i, keys := range below {
		if err := p.tree(num.Uint64(b[i*elementSize+8:]), keys, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func piece(b []byte, pos, size uint32) ([]byte, error) {
	if uint64(pos)+uint64(size) > uint64(len(b)) {
		return nil, memory.ErrTruncated
	}
	return b[pos:][:size:size], nil
}
