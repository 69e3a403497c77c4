package tinydns

import (
	"cmp"
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
	printed       []*shelf // those whose lines WriteLines wrote last

	// What changed since the last WriteDatabase or Changes: the records of
	// these owners, all in their places if steady.
	changed map[string]struct{}
	steady  bool
	last    []*Part // before and after, as they were then
}

// maxChanged is how many owners Changes tells; writing all is quicker then.
const maxChanged = 1 << 14

// A write at some place takes at least as long as scatteredSize bytes in a row. Up to
// fewChanges are worth it however small the database is: no new file has to be made.
const (
	scatteredSize = 8 << 10
	fewChanges    = 64
)

// nearby is the distance in bytes up to which the bytes between two changes are written
// too, because that takes less time than another write.
const nearby = 1 << 10

// SetSources replaces the data files before and after the dynamic lines.
func (b *Builder) SetSources(before, after []*Part) {
	if !sameSources(b.before, before) || !sameSources(b.after, after) {
		b.move()
	}
	b.before, b.after = before, after
}

// Apply replaces the records of the owners in changes. Of several changes to one
// name the last counts. An error, of a name that is not an owner's, changes nothing.
func (b *Builder) Apply(changes []Owner) error {
	for i := range changes {
		if err := changes[i].check(); err != nil {
			return err
		}
	}
	order := byName(changes)
	b.note(changes)
	var e ownerEncoder
	e.dialect = b.Dialect
	for places := range slices.Chunk(order, applySize) {
		if err := e.encodeOwners(changes, places); err != nil {
			return err
		}
		b.shelves = e.apply(b.shelves)
		if e.moved {
			b.move()
		}
	}
	return nil
}

// note remembers whose records change.
func (b *Builder) note(changes []Owner) {
	if !b.steady || len(b.changed)+len(changes) > maxChanged {
		b.move()
		return
	}
	if b.changed == nil {
		b.changed = make(map[string]struct{}, len(changes))
	}
	for _, c := range changes {
		b.changed[c.Name] = struct{}{}
	}
}

func (b *Builder) move() { b.steady, b.changed = false, nil }

// Clear takes all dynamic owners away.
func (b *Builder) Clear() {
	b.shelves, b.printed = nil, nil
	b.move()
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
	if err := t.write(&pieceWriter{file: f, at: headerSize}, records); err != nil {
		return err
	}
	b.written()
	return nil
}

// written notes that the database is that of now.
func (b *Builder) written() {
	b.steady, b.changed = true, nil
	b.last = slices.Concat(b.before, b.after)
}

// Extent is bytes of a database, and where in its file they stand.
type Extent struct {
	At   int64
	Data []byte
}

// Changes returns the extents to write to the database that WriteDatabase wrote last,
// with all that Changes returned since, so that it becomes what WriteDatabase would
// write now. It is false if most of the file differs, because records came, went or
// changed their lengths, and if writing all is quicker.
func (b *Builder) Changes(serial uint32) (changes []Extent, ok bool) {
	if !b.steady || b.scattered() {
		return nil, false
	}
	at := int64(headerSize)
	last := b.last
	sources := func(parts []*Part) {
		for _, p := range parts {
			p.setSerial(max(serial, 1))
			changes = append(changes, p.since(last[0], at)...)
			last = last[1:]
			for _, s := range p.serials {
				changes = append(changes, Extent{at + s.at, slices.Clone(s.field)})
			}
			at += p.size
		}
	}
	sources(b.before)
	changes = append(changes, b.changedRecords(&at)...)
	sources(b.after)
	b.written()
	return changes, true
}

// scattered reports whether writing all is quicker because of the number of changes:
// each zone whose line leaves the serial out has one.
func (b *Builder) scattered() bool {
	n, size := len(b.changed), int64(headerSize)
	for _, p := range slices.Concat(b.before, b.after) {
		n += len(p.serials)
		size += p.size
	}
	if n <= fewChanges {
		return false
	}
	for _, s := range b.shelves {
		size += int64(len(s.records))
	}
	return int64(n)*scatteredSize > size
}

// changedRecords returns the records of changed owners, and what stands between
// those that are near each other; at is where the first shelf begins, and then
// where the last one ends.
func (b *Builder) changedRecords(at *int64) (changes []Extent) {
	for i, stretches := range b.changedStretches() {
		s := b.shelves[i]
		for n := 0; n < len(stretches); {
			from, to := stretches[n].from, stretches[n].to
			for n++; n < len(stretches) && stretches[n].from <= to+nearby; n++ {
				to = stretches[n].to
			}
			changes = append(changes, Extent{*at + int64(from), slices.Clone(s.records[from:to])})
		}
		*at += int64(len(s.records))
	}
	return changes
}

// stretch is bytes of a shelf's records.
type stretch struct{ from, to uint32 }

// changedStretches lists for each shelf, in their order, the records that changed.
func (b *Builder) changedStretches() [][]stretch {
	stretches := make([][]stretch, len(b.shelves))
	for name := range b.changed {
		i := shelfOf(b.shelves, name)
		if i >= len(b.shelves) {
			continue
		}
		s := b.shelves[i]
		if o := s.find(0, name); s.is(o, name) {
			stretches[i] = append(stretches[i], stretch{s.from(o), s.ends[o]})
		}
	}
	for _, in := range stretches {
		slices.SortFunc(in, func(x, y stretch) int { return cmp.Compare(x.from, y.from) })
	}
	return stretches
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
