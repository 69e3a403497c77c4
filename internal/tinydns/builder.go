package tinydns

import (
	"io"
	"os"
	"slices"
)

// Builder keeps what a data.cdb is made of: data files that rarely change,
// compiled, and owners that change all the time. Its database is the one that
// tinydns-data makes of the text of the sources before, the dynamic lines, and
// the sources after, each ended by a newline if it lacks one. The zero Builder
// is empty and ready. It is not safe for concurrent use.
type Builder struct {
	// Dialect is that of dynamic lines.
	Dialect Dialect

	before, after []*Part
	shelves       []*shelf
}

// SetSources replaces the data files before and after the dynamic lines.
func (b *Builder) SetSources(before, after []*Part) {
	b.before, b.after = before, after
}

// Apply replaces the lines of the owners in changes. Of several changes to one
// name the last counts. An error, a *LineError whose File is the owner's
// name, changes nothing. A dynamic line must not leave out an SOA serial.
func (b *Builder) Apply(changes []Owner) error {
	order := byName(changes)
	var e ownerEncoder
	e.dialect = b.Dialect
	for places := range slices.Chunk(order, applySize) {
		if err := e.encodeOwners(changes, places); err != nil {
			return err
		}
	}
	for places := range slices.Chunk(order, applySize) {
		if len(order) > applySize { // else they are encoded still
			if err := e.encodeOwners(changes, places); err != nil {
				return err
			}
		}
		b.shelves = e.apply(b.shelves)
	}
	return nil
}

// Clear takes all dynamic owners away.
func (b *Builder) Clear() { b.shelves = nil }

// WriteLines writes the lines of all owners, sorted by name.
func (b *Builder) WriteLines(w io.Writer) error {
	size := 0
	for _, s := range b.shelves {
		size += len(s.lines)
	}
	buf := make([]byte, 0, min(size, writeSize))
	for _, s := range b.shelves {
		if len(buf) > 0 && len(buf)+len(s.lines) > cap(buf) {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
		buf = append(buf, s.lines...)
	}
	_, err := w.Write(buf)
	return err
}

// WriteDatabase writes the database to f, which must be empty, with serial for
// each zone whose line leaves it out, or 1 if serial is 0. When it returns nil
// the file is whole: it holds its header, and each table lies inside. Syncing
// and renaming it is up to the caller.
func (b *Builder) WriteDatabase(f *os.File, serial uint32) error {
	records, from := b.layout(max(serial, 1))
	end := int64(headerSize)
	for _, r := range records {
		end += int64(len(r))
	}
	if end > maxSize {
		return errTooBig
	}
	t, err := newTables(from, end)
	if err != nil {
		return err
	}

	return t.write(&pieceWriter{file: f, at: headerSize}, records)
}

// layout lists the records in their order, and an index for each stretch.
func (b *Builder) layout(serial uint32) (records [][]byte, from []placed) {
	at := int64(headerSize)
	add := func(parts []*Part) {
		for _, p := range parts {
			p.setSerial(serial)
			from = append(from, placed{p.index, uint32(at)})
			records = append(records, p.pieces...)
			at += p.size
		}
	}
	add(b.before)
	var batches []batch
	start := at
	for _, s := range b.shelves {
		batches = append(batches, batch{s.entries, uint32(at - start)})
		records = append(records, s.records)
		at += int64(len(s.records))
	}
	from = append(from, placed{newIndex(batches), uint32(start)})
	add(b.after)
	return records, from
}
