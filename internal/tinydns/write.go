package tinydns

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// writeSize is how much is written at once, and syncSize how much is left
// before the disk is told to begin with it, in bytes.
const (
	writeSize = 256 << 10
	syncSize  = 8 << 20
)

// pieceWriter writes a file from its header on: small pieces gathered, large
// ones as they are.
type pieceWriter struct {
	file   *os.File
	at     int64
	buf    []byte
	synced int64
}

// end is where the next piece goes.
func (w *pieceWriter) end() int64 { return w.at + int64(len(w.buf)) }

func (w *pieceWriter) write(piece []byte) error {
	large := len(piece) >= writeSize/4
	if large || len(w.buf)+len(piece) > writeSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if large {
		return w.put(piece)
	}
	w.buf = append(w.buf, piece...)
	return nil
}

func (w *pieceWriter) flush() error {
	err := w.put(w.buf)
	w.buf = w.buf[:0]
	return err
}

// put writes b. The disk begins to work while more of a large file is still
// being made, so that the fsync at its end takes less.
func (w *pieceWriter) put(b []byte) error {
	n, err := w.file.WriteAt(b, w.at)
	w.at += int64(n)
	if err == nil && w.at-w.synced >= syncSize {
		// A hint; so an error does not matter.
		_ = unix.SyncFileRange(int(w.file.Fd()), w.synced, w.at-w.synced, unix.SYNC_FILE_RANGE_WRITE)
		w.synced = w.at
	}
	return err
}

// write writes the tables behind what w has, and the header. Records are
// written to w first, while the first tables are being made. When it returns
// nil, the file is a whole database.
func (t *tables) write(w *pieceWriter, records [][]byte) error {
	pieces, stop := make(chan []byte), make(chan struct{})
	free := make(chan []byte, 4)
	for range cap(free) {
		free <- nil
	}
	w.buf = slices.Grow(w.buf, int(min(t.size, writeSize)))
	go func() {
		defer close(pieces)
		t.build(pieces, free, stop)
	}()
	defer func() {
		close(stop)
		for range pieces { // until build has ended
		}
	}()
	for _, r := range records {
		if err := w.write(r); err != nil {
			return err
		}
	}
	for piece := range pieces {
		if err := w.write(piece); err != nil {
			return err
		}
		free <- piece
	}
	if err := w.flush(); err != nil {
		return err
	}
	if _, err := w.file.WriteAt(t.header[:], 0); err != nil {
		return err
	}
	return t.check(w.file)
}

// build gives all tables to out, in large pieces made of free ones, until stop
// is closed.
func (t *tables) build(out chan<- []byte, free <-chan []byte, stop <-chan struct{}) {
	for i := 0; i < tableCount; {
		var piece []byte
		select {
		case piece = <-free:
		case <-stop:
			return
		}
		if piece == nil {
			piece = make([]byte, 0, min(t.size, writeSize*5/4))
		}
		for piece = piece[:0]; i < tableCount && len(piece) < writeSize; i++ {
			piece = t.appendTable(piece, i)
		}
		select {
		case out <- piece:
		case <-stop:
			return
		}
	}
}
