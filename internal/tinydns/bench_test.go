package tinydns

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// plusLines are n lines of addresses; mixedLines are of all common kinds.
func plusLines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "+host%d.dyn%d.example.com:10.%d.%d.%d:300\n", i, i%1000, i>>16&255, i>>8&255, i&255)
	}
	return b.Bytes()
}

func mixedLines(n int) []byte {
	var b bytes.Buffer
	for g := newGenerator(1, 0); n > 0; {
		if line := g.line(); line[0] != 'Z' && line[0] != '%' {
			b.WriteString(line + "\n")
			n--
		}
	}
	return b.Bytes()
}

// BenchmarkParse is the encoder alone, on one processor.
func BenchmarkParse(b *testing.B) {
	for _, kind := range []struct {
		name string
		text []byte
	}{{"plus", plusLines(2000)}, {"mixed", mixedLines(2000)}} {
		b.Run(kind.name, func(b *testing.B) {
			b.SetBytes(int64(len(kind.text)))
			c := chunk{text: kind.text}
			for b.Loop() {
				if c.encode(); c.err != nil {
					b.Fatal(c.err)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/2000, "ns/line")
		})
	}
}

// sizes are the numbers of static names to measure with.
func sizes(b *testing.B, run func(*testing.B, []byte)) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		if testing.Short() && n > 1_000 {
			continue
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) { run(b, plusLines(n)) })
	}
}

// BenchmarkEncode makes a Part of a whole data file.
func BenchmarkEncode(b *testing.B) {
	sizes(b, func(b *testing.B, text []byte) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			encoded(b, text)
		}
	})
}

// BenchmarkTables makes the hash tables of a database, on one processor.
func BenchmarkTables(b *testing.B) {
	sizes(b, func(b *testing.B, text []byte) {
		p := encoded(b, text)
		var piece []byte
		for b.Loop() {
			t, err := newTables([]placed{{p.index, headerSize}}, headerSize+p.size)
			if err != nil {
				b.Fatal(err)
			}
			for i := range tableCount {
				piece = t.appendTable(piece[:0], i)
			}
		}
	})
}

var benchAddress = []Value{{Addr: netip.AddrFrom4([4]byte{10, 0, 0, 1})}}

// BenchmarkChange is one change among 10,000 dynamic names, and the writing of
// the database, without making it durable.
func BenchmarkChange(b *testing.B) {
	sizes(b, func(b *testing.B, text []byte) {
		var builder Builder
		builder.SetSources([]*Part{encoded(b, text)}, nil)
		var all []Owner
		for i := range 10_000 {
			all = append(all, Owner{fmt.Sprintf("dyn%d.example.com", i), 60, benchAddress})
		}
		if err := builder.Apply(all); err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(b.TempDir(), "data.cdb")
		for i := 0; b.Loop(); i++ {
			if err := builder.Apply(all[i%len(all) : i%len(all)+1]); err != nil {
				b.Fatal(err)
			}
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			if err := builder.WriteDatabase(f, uint32(i)); err != nil {
				b.Fatal(err)
			}
			f.Close()
			b.StopTimer() // the kernel takes its time to free a large file
			os.Remove(path)
			b.StartTimer()
		}
	})
}

// BenchmarkApply is one change among a million dynamic names, by itself.
func BenchmarkApply(b *testing.B) {
	owner := func(i int) Owner { return Owner{fmt.Sprintf("dyn%06d.example.com", i), 60, benchAddress} }
	var builder Builder
	var batch []Owner
	for i := range 1_000_000 {
		if batch = append(batch, owner(i)); len(batch) == applySize {
			if err := builder.Apply(batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	i := 0
	for b.Loop() {
		if err := builder.Apply([]Owner{owner(i * 7919 % 1_000_000)}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkLines are those of a million dynamic names: written, copied from what was
// written before, and, all of them, applied.
func BenchmarkLines(b *testing.B) {
	all := make([]Owner, 1_000_000)
	for i := range all {
		all[i] = Owner{fmt.Sprintf("dyn%06d.example.com", i), 60, benchAddress}
	}
	var builder Builder
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			builder.Clear()
			for some := range slices.Chunk(all, 1<<14) {
				if err := builder.Apply(some); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	var text bytes.Buffer
	if err := builder.WriteLines(&text, nil); err != nil {
		b.Fatal(err)
	}
	for _, kind := range []struct {
		name string
		last io.ReaderAt
	}{{"copied", bytes.NewReader(text.Bytes())}, {"written", nil}} {
		b.Run(kind.name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				if err := builder.WriteLines(io.Discard, kind.last); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
