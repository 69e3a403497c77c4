package tinydns

import (
	"fmt"
	"os"
)

// writeSize is how much is written at once, in bytes.
const writeSize = 256 << 10

// write writes the tables behind the records that w has, and the header.
func (t *tables) write(w *pieceWriter) error {
	return t.writeWith(w, func() error { return nil })
}

// writeWith lets records write the records to w while the first tables are
// made, then writes the tables and the header. When it returns nil, the file
// is a whole database.
func (t *tables) writeWith(w *pieceWriter, records func() error) error {
	pieces := make(chan []byte, 4)
	stop := make(chan struct{})
	go func() {
		defer close(pieces)
		t.build(pieces, stop)
	}()
	defer func() {
		close(stop)
		for range pieces { // until build has ended
		}
	}()
	if err := records(); err != nil {
		return err
	}
	for piece := range pieces {
		if err := w.write(piece); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	if _, err := w.file.WriteAt(t.header[:], 0); err != nil {
		return err
	}
	return t.check(w.file)
}

// build gives all tables to out, in large pieces, until stop is closed.
func (t *tables) build(out chan<- []byte, stop <-chan struct{}) {
	var piece []byte
	for i := range tableCount {
		piece = t.appendTable(piece, i)
		if len(piece) >= writeSize || i == tableCount-1 {
			select {
			case out <- piece:
			case <-stop:
				return
			}
			piece = make([]byte, 0, cap(piece))
		}
	}
}

// pieceWriter gathers small pieces, and writes large ones as they are.
type pieceWriter struct {
	file *os.File
	at   int64
	buf  []byte
}

func (w *pieceWriter) write(piece []byte) error {
	large := len(piece) >= writeSize/4
	if large || len(w.buf)+len(piece) > writeSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if large {
		n, err := w.file.WriteAt(piece, w.at)
		w.at += int64(n)
		return err
	}
	w.buf = append(w.buf, piece...)
	return nil
}

func (w *pieceWriter) flush() error {
	n, err := w.file.WriteAt(w.buf, w.at)
	w.at += int64(n)
	w.buf = w.buf[:0]
	return err
}

// end is where the next piece goes.
func (w *pieceWriter) end() int64 { return w.at + int64(len(w.buf)) }

// check makes sure that what was written is what was meant.
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
