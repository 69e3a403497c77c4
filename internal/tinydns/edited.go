package tinydns

import (
	"bufio"
	"bytes"
	"hash/maphash"
	"io"
	"slices"
)

// blockText is the text that a piece of a Part was made of.
type blockText struct {
	size, lines int
	sum         uint64
}

var blockSeed = maphash.MakeSeed()

func blockTextOf(text []byte, lines int) blockText {
	return blockText{len(text), lines, maphash.Bytes(blockSeed, text)}
}

// longerBlock is how many bytes a piece's text may grow before it is not found again.
const longerBlock = 32 << 10

// Edited compiles the next version of the file that p was made of. It compiles only
// the pieces whose text changed, and p stays as it is; if none did, it returns p. It is
// false if records came, went
// or changed their lengths, or if something is wrong: then Encode has to do it.
func (p *Part) Edited(text io.Reader, dialect Dialect) (*Part, bool) {
	if p == nil {
		return nil, false
	}
	next := &Part{slices.Clone(p.pieces), p.size, p.index, slices.Clone(p.serials), slices.Clone(p.texts), slices.Clone(p.cuts)}
	largest := 0
	for _, t := range p.texts {
		largest = max(largest, t.size)
	}
	in := bufio.NewReaderSize(LimitLines("", text), largest+longerBlock)
	var c chunk
	c.dialect = dialect
	at, changed := int64(0), false
	for i, known := range p.texts {
		block, _ := in.Peek(known.size)
		if len(block) < known.size || maphash.Bytes(blockSeed, block) != known.sum {
			longer, _ := in.Peek(known.size + longerBlock)
			block = firstLines(longer, known.lines)
			c.text, changed = block, true
			if c.encode(); c.err != nil || c.lines != known.lines || !next.put(i, at, &c) {
				return nil, false
			}
		}
		at += int64(len(p.pieces[i]))
		in.Discard(len(block))
	}
	_, err := in.ReadByte()
	if !changed {
		next = p
	}
	return next, err == io.EOF
}

// firstLines is the first n lines of text.
func firstLines(text []byte, n int) []byte {
	end := 0
	for range n {
		i := bytes.IndexByte(text[end:], '\n')
		if i < 0 {
			return text
		}
		end += i + 1
	}
	return text[:end]
}

// put makes c piece i, which begins at, if all its records have the places of those that
// were there.
func (p *Part) put(i int, at int64, c *chunk) bool {
	if !sameRecords(p.pieces[i], c.records) {
		return false
	}
	piece := slices.Clone(c.records)
	places := slices.Clone(c.serials)
	for n, s := range p.serials {
		if s.at < at || s.at >= at+int64(len(piece)) {
			continue
		}
		if len(places) == 0 || s.at != at+int64(places[0]) {
			return false
		}
		p.serials[n].field = piece[places[0] : places[0]+4]
		places = places[1:]
	}
	p.pieces[i], p.texts[i], p.cuts[i] = piece, blockTextOf(c.text, c.lines), nil
	return len(places) == 0
}

// sameRecords reports whether two pieces have records of the same keys and lengths.
func sameRecords(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for len(a) > 0 { // b is as long, while all before was
		keyA, dataA, restA := cutRecord(a)
		keyB, dataB, restB := cutRecord(b)
		if !bytes.Equal(keyA, keyB) || len(dataA) != len(dataB) {
			return false
		}
		a, b = restA, restB
	}
	return true
}

// sameSources reports whether the parts of b are those of a, each perhaps Edited.
func sameSources(a, b []*Part) bool {
	return slices.EqualFunc(a, b, func(x, y *Part) bool { return x.index == y.index })
}

// since returns what is new in p since it was old; at is where p begins.
func (p *Part) since(old *Part, at int64) (changes []Extent) {
	for i, piece := range p.pieces {
		before := old.pieces[i]
		if len(piece) > 0 && &piece[0] != &before[0] {
			from, to := 0, len(piece)
			for from < to && piece[from] == before[from] {
				from++
			}
			for to > from && piece[to-1] == before[to-1] {
				to--
			}
			if from < to {
				changes = append(changes, Extent{at + int64(from), slices.Clone(piece[from:to])})
			}
		}
		at += int64(len(piece))
	}
	return changes
}
