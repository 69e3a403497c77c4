package tinydns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// LineError is a line that does not compile.
type LineError struct {
	File string
	Line int // from 1
	Msg  string
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// Part is a data file that has been compiled on its own. It belongs to one
// Builder at a time.
type Part struct {
	pieces  [][]byte // the records, cut between any two
	size    int64
	index   *index
	serials []serial // those that the file leaves out
	texts   []blockText
	cuts    [][]cutAt // of each piece; nil: CutsOf has not looked yet
}

// serial is a place for the serial of an SOA record.
type serial struct {
	at    int64  // from the part's first record on
	field []byte // in its piece
}

// Encode compiles text, which errors call file. An error is a *LineError, or
// what the reader returned. It works in parallel, and may be called by any
// number of goroutines.
func Encode(file string, text io.Reader, dialect Dialect) (*Part, error) {
	p := new(Part)
	var batches []batch
	err := encodeText(LimitLines(file, text), dialect, 0, func(c *chunk) error {
		if p.size+int64(len(c.records)) > maxSize {
			return fmt.Errorf("%s: %w", file, errTooBig)
		}
		piece := slices.Clone(c.records)
		for _, at := range c.serials {
			p.serials = append(p.serials, serial{p.size + int64(at), piece[at : at+4]})
		}
		batches = append(batches, batch{slices.Clone(c.entries), uint32(p.size)})
		p.pieces = append(p.pieces, piece)
		p.texts = append(p.texts, blockTextOf(c.text, c.lines))
		p.size += int64(len(piece))
		return nil
	})
	var fault *lineError
	var reading readError
	var long *LineError
	switch {
	case errors.As(err, &long):
		return nil, long
	case errors.As(err, &fault):
		return nil, &LineError{file, fault.line, fault.Error()}
	case errors.As(err, &reading):
		return nil, fmt.Errorf("reading %s: %w", file, reading.error)
	case err != nil:
		return nil, err
	}
	p.index = newIndex(batches)
	p.cuts = make([][]cutAt, len(p.pieces))
	return p, nil
}

// setSerial fills in the serials that the file leaves out.
func (p *Part) setSerial(n uint32) {
	for _, s := range p.serials {
		binary.BigEndian.PutUint32(s.field, n)
	}
}
