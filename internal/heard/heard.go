// Package heard remembers when each host was last heard of: the last authorized update
// of it, whatever its result was. It is no part of the store. It is kept in a file of
// its own, to the minute, and without a sync for each update: a crash loses at most a
// minute of it.
package heard

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/records"
)

// File is the name of the file in the folder state.
const File = "heard"

// Interval is how often the file is brought up to date.
const Interval = time.Minute

// The file has a line with its format, the second in which the book was begun, and then
// a key and a second for each host. Numbers are big-endian.
const header = "dnsgate heard 1\n"

// key stands for a name. Eight bytes of a digest take a quarter of the memory of a
// name, and nobody can choose a name that has the key of another.
type key [8]byte

func keyOf(name records.Name) key {
	sum := sha256.Sum256([]byte(name))
	return key(sum[:])
}

// Book says when hosts were last heard of. Its methods may be called by any
// goroutine.
type Book struct {
	path  string
	since time.Time

	mu      sync.Mutex
	at      map[key]uint32 // seconds since 1970, until 2106
	changed bool           // since it was written
	kept    int            // hosts that were left after the last time some were forgotten
}

// Open reads the book at path, or begins one there. A book that cannot be read is an
// error that names the file; the book returned with it is a new one.
func Open(path string, now time.Time) (*Book, error) {
	b := &Book{path: path, since: now, at: make(map[key]uint32)}
	f, err := durable.OpenRegular(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	defer f.Close()
	since, at, err := read(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		return b, fmt.Errorf("%s: %w; a new one begins", path, err)
	}
	b.since, b.at = since, at
	return b, nil
}

var errDamaged = errors.New("not as dnsgate writes it")

func read(r io.Reader) (since time.Time, at map[key]uint32, err error) {
	var begin [len(header) + 4]byte
	if _, err := io.ReadFull(r, begin[:]); err != nil || string(begin[:len(header)]) != header {
		return since, nil, errDamaged
	}
	since = time.Unix(int64(binary.BigEndian.Uint32(begin[len(header):])), 0)
	at = make(map[key]uint32)
	for {
		var entry [12]byte
		switch _, err := io.ReadFull(r, entry[:]); err {
		case nil:
			at[key(entry[:8])] = binary.BigEndian.Uint32(entry[8:])
		case io.EOF:
			return since, at, nil
		default:
			return since, nil, errDamaged
		}
	}
}

// Hear notes that names were heard of now.
func (b *Book) Hear(names []records.Name, now time.Time) {
	second := uint32(now.Unix())
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range names {
		b.at[keyOf(name)] = second
	}
	b.changed = true
}

// Seen is when h was last heard of. If it has not been since the book was begun, only
// its last change is known: the later of both counts.
func (b *Book) Seen(h records.Host) time.Time {
	b.mu.Lock()
	at, ok := b.at[keyOf(h.Name)]
	b.mu.Unlock()
	if ok {
		return time.Unix(int64(at), 0)
	}
	if changed := time.UnixMicro(h.Session); changed.After(b.since) {
		return changed
	}
	return b.since
}

// Keep writes the book once in each Interval in which it has changed, and at the
// end of ctx. hosts finds the names that have records; others are forgotten in time.
func (b *Book) Keep(ctx context.Context, hosts func(context.Context) ([]records.Name, error), log *slog.Logger) {
	for done := false; !done; {
		select {
		case <-time.After(Interval):
		case <-ctx.Done():
			done = true
		}
		if err := b.keep(ctx, hosts); err != nil {
			log.Error("when hosts were heard of cannot be kept over a restart", "error", err)
		}
	}
}

func (b *Book) keep(ctx context.Context, hosts func(context.Context) ([]records.Name, error)) error {
	if b.grown() && ctx.Err() == nil {
		names, err := hosts(ctx)
		if err != nil {
			return err
		}
		b.forget(names)
	}
	content := b.content()
	if content == nil {
		return nil
	}
	err := write(b.path, content)
	if err != nil {
		b.mu.Lock()
		b.changed = true
		b.mu.Unlock()
	}
	return err
}

func write(path string, content []byte) error {
	f, err := durable.CreateHere(path, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		f.Abort()
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return f.Commit()
}

// content is the new content of the file; nil if the file has it already.
func (b *Book) content() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.changed {
		return nil
	}
	b.changed = false
	content := binary.BigEndian.AppendUint32([]byte(header), uint32(b.since.Unix()))
	for k, at := range b.at {
		content = append(content, k[:]...)
		content = binary.BigEndian.AppendUint32(content, at)
	}
	return content
}

// grown reports whether the book has twice as many hosts as were left when some
// were last forgotten.
func (b *Book) grown() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.at) >= 2*b.kept+1000
}

// forget drops the hosts that names does not have.
func (b *Book) forget(names []records.Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	live := make(map[key]uint32)
	for _, name := range names {
		k := keyOf(name)
		if at, ok := b.at[k]; ok {
			live[k] = at
		}
	}
	b.at, b.kept = live, len(live)
}
