package tinydns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// database is what b writes.
func database(t testing.TB, b *Builder, serial uint32) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "data.cdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := b.WriteDatabase(f, serial); err != nil {
		t.Fatal(err)
	}
	return readFile(t, f.Name())
}

// compiledBy is what Encode makes of text, with serial; for stock lines, Compile.
func compiledBy(t testing.TB, dialect Dialect, text []byte, serial uint32) []byte {
	t.Helper()
	if dialect == Stock {
		return compiled(t, text, serial)
	}
	p, err := Encode("data", bytes.NewReader(text), dialect)
	if err != nil {
		t.Fatal(err)
	}
	var b Builder
	b.SetSources([]*Part{p}, nil)
	return database(t, &b, serial)
}

// compiled is what Compile makes of text, changed at serial.
func compiled(t testing.TB, text []byte, serial uint32) []byte {
	t.Helper()
	dir := t.TempDir()
	writeData(t, dir, text, time.Unix(int64(serial), 0))
	if err := Compile(dir); err != nil {
		t.Fatal(err)
	}
	return readFile(t, dir+"/data.cdb")
}

func encoded(t testing.TB, text []byte) *Part {
	t.Helper()
	p, err := Encode("data", bytes.NewReader(text), Stock)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// politeFile is a generated file that compiles.
func politeFile(seed uint64, lines int) []byte {
	for g := newGenerator(seed, 0.01); ; {
		text := g.file(lines)
		if _, err := Encode("data", bytes.NewReader(text), Stock); err == nil {
			return text
		}
	}
}

func withNewline(text []byte) []byte {
	if n := len(text); n > 0 && text[n-1] != '\n' {
		return append(slices.Clip(text), '\n')
	}
	return text
}

// TestBuilderAgreesWithCompile applies random changes, and compares lines and
// database with a plain map and the compiler.
func TestBuilderAgreesWithCompile(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 2))
			before := [][]byte{politeFile(seed, 300), politeFile(seed+100, 5), nil}
			after := [][]byte{politeFile(seed+200, 50)}
			b := Builder{Dialect: Dialect(seed % 2)}
			b.SetSources(
				[]*Part{encoded(t, before[0]), encoded(t, before[1]), encoded(t, before[2])},
				[]*Part{encoded(t, after[0])})
			oracle := map[string][]byte{}
			var written []byte
			for round := range 40 {
				changes := randomChanges(r, 1+r.IntN([]int{3, 30, 2000}[round%3]))
				if err := b.Apply(changes); err != nil {
					t.Fatal(err)
				}
				for _, c := range changes {
					if len(c.Values) == 0 {
						delete(oracle, c.Name)
					} else {
						oracle[c.Name] = c.AppendLines(nil, b.Dialect)
					}
				}
				lines := oracleLines(oracle)
				var last io.ReaderAt
				if round%7 > 0 {
					last = bytes.NewReader(written)
				}
				changed := b.LinesChanged()
				if again := bytes.Equal(lines, written); again == changed {
					t.Fatalf("round %d: lines changed is %v", round, changed)
				}
				var got bytes.Buffer
				if err := b.WriteLines(&got, last); err != nil || !bytes.Equal(got.Bytes(), lines) {
					t.Fatalf("round %d: %v, lines differ", round, err)
				}
				written = lines
				if round%4 > 0 {
					continue
				}
				text := slices.Concat(withNewline(before[0]), withNewline(before[1]), lines, after[0])
				serial := uint32(1700000000 + round)
				if !bytes.Equal(database(t, &b, serial), compiledBy(t, b.Dialect, text, serial)) {
					t.Fatalf("round %d: databases differ", round)
				}
			}
		})
	}
}

// TestChanges writes what changed into a database, again and again, and
// compares that with the whole one of another Builder.
func TestChanges(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			var b, whole Builder
			first, second, third := politeFile(seed, 300), politeFile(seed+1, 20), politeFile(seed+2, 50) // which have the time in them
			for _, x := range []*Builder{&b, &whole} {
				x.SetSources([]*Part{encoded(t, first), encoded(t, second)}, []*Part{encoded(t, third)})
			}
			if _, ok := b.Changes(1); ok {
				t.Fatal("changes of what was never written")
			}
			var image []byte
			told := 0
			for round := range 200 {
				changes := randomAddresses(r, 1+r.IntN(20))
				switch round % 20 {
				case 7:
					changes = append(changes, randomChanges(r, 3)...)
				case 13: // no longer the same records
					changes = append(changes, Owner{changes[0].Name, 60, []Value{{Text: "t"}}})
				case 14:
					changes = append(changes, Owner{changes[0].Name, 60, append(slices.Clip(changes[0].Values), Value{Text: "t"})})
				}
				for _, x := range []*Builder{&b, &whole} {
					if err := x.Apply(changes); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.Apply([]Owner{{"broken..example.com", 60, changes[0].Values}}); err == nil {
					t.Fatal("a name that is none was taken")
				}
				serial := uint32(1700000000 + round)
				extents, ok := b.Changes(serial)
				if !ok {
					image = database(t, &b, serial)
					continue
				}
				told++
				for _, e := range extents {
					copy(image[e.At:], e.Data)
				}
				if !bytes.Equal(image, database(t, &whole, serial)) {
					t.Fatalf("round %d: databases differ", round)
				}
			}
			if told < 100 {
				t.Errorf("of 200 rounds %d told their changes", told)
			}
		})
	}
}

// randomAddresses are n changes of addresses among some names, which have
// always as many.
func randomAddresses(r *rand.Rand, n int) []Owner {
	var out []Owner
	for range n {
		i := r.IntN(200)
		o := Owner{Name: fmt.Sprintf("steady%d.dyn.example.com", i), TTL: 60}
		for range 1 + i%3 {
			o.Values = append(o.Values, Value{Addr: netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), 1, 2})})
		}
		if i%5 == 0 {
			o.Values = append(o.Values, Value{Addr: netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(256))})})
		}
		out = append(out, o)
	}
	return out
}

// randomChanges are n changes among some thousand names: addresses, texts,
// wildcards, several values, none.
func randomChanges(r *rand.Rand, n int) []Owner {
	var out []Owner
	for range n {
		o := Owner{Name: fmt.Sprintf("host%d.dyn.example.com", r.IntN(3000)), TTL: 60}
		if r.IntN(4) == 0 {
			o.Name = "*." + o.Name
		}
		if r.IntN(3) == 0 {
			o.TTL = 0
		}
		for range r.IntN(3) {
			v := Value{Addr: netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), 1, 2}), Until: 1800000000 * r.Int64N(2)}
			switch r.IntN(4) {
			case 0:
				v.Addr, v.Text = netip.Addr{}, strings.Repeat(":t\x00\\", r.IntN(100))
			case 1:
				v.Addr = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(256))})
			}
			o.Values = append(o.Values, v)
		}
		out = append(out, o)
	}
	return out
}

func oracleLines(oracle map[string][]byte) []byte {
	var names []string
	for name := range oracle {
		names = append(names, name)
	}
	slices.Sort(names)
	var lines []byte
	for _, name := range names {
		lines = append(lines, oracle[name]...)
	}
	return lines
}

func TestApplyRefusesWhole(t *testing.T) {
	var b Builder
	address := []Value{{Addr: netip.AddrFrom4([4]byte{1, 2, 3, 4})}}
	if err := b.Apply([]Owner{{"a.example.com", 300, address}}); err != nil {
		t.Fatal(err)
	}
	const plain = "not a name of lower-case letters, digits, hyphens, underscores and dots"
	tests := []struct{ name, want string }{
		{"", plain}, {".", plain}, {"a.", plain}, {".a", plain}, {"a..b", plain}, {"*", plain}, {"*a.b", plain}, {"a.*.b", plain}, {"*.", plain},
		{"A.example.com", plain}, {"a b", plain}, {"a:b", plain}, {"a\\056b", plain}, {"a\nb", plain}, {"\xe4.example.com", plain},
		{strings.Repeat("x", 64), "a label is longer than 63 bytes"},
		{strings.Repeat("x.", 126) + "xx", "a name is longer than 255 bytes"},
	}
	for _, test := range tests {
		err := b.Apply([]Owner{{Name: "a.example.com"}, {test.name, 300, address}, {"c", 300, address}})
		if want := fmt.Sprintf("%q: %s", test.name, test.want); err == nil || err.Error() != want {
			t.Errorf("%q: %v, not %s", test.name, err, want)
		}
		var got bytes.Buffer
		if b.WriteLines(&got, nil); got.String() != "+a.example.com:1.2.3.4:300\n" {
			t.Errorf("after %q: %q", test.name, got.String())
		}
	}
	longest := strings.Repeat("x.", 126) + "x"
	if err := b.Apply([]Owner{{longest, 300, address}, {"*." + longest[2:], 300, address}}); err != nil {
		t.Error(err)
	}
}

// What stands on both sides of a shelf that went is copied, although nothing is new.
func TestWriteLinesAroundAGap(t *testing.T) {
	var b Builder
	var all, gone []Owner
	for i := range 1000 {
		all = append(all, Owner{fmt.Sprintf("host%03d", i), 300, []Value{{Text: "x"}}})
	}
	var before, after, want bytes.Buffer
	if err := errors.Join(b.Apply(all), b.WriteLines(&before, nil)); err != nil {
		t.Fatal(err)
	}
	for i := range b.shelves[5].ends {
		gone = append(gone, Owner{Name: string(appendOwnerName(nil, b.shelves[5].recordsOf(i)))})
	}
	if err := errors.Join(b.Apply(gone), b.WriteLines(&after, bytes.NewReader(before.Bytes())), b.WriteLines(&want, nil)); err != nil {
		t.Fatal(err)
	}
	if after.String() != want.String() || want.Len() == before.Len() {
		t.Errorf("%d bytes, not %d", after.Len(), want.Len())
	}
}

// A last that holds less than was written is an error, and the next call can do without.
func TestWriteLinesWithoutTheLast(t *testing.T) {
	var b Builder
	if err := b.Apply([]Owner{{"a", 300, []Value{{Text: "x"}}}}); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, step := range []struct {
		last io.ReaderAt
		err  error
	}{{nil, nil}, {strings.NewReader("'a:x"), io.ErrUnexpectedEOF}, {strings.NewReader("'a:x:300\n"), nil}, {nil, nil}} {
		got.Reset()
		if err := b.WriteLines(&got, step.last); !errors.Is(err, step.err) || err == nil && got.String() != "'a:x:300\n" {
			t.Errorf("%v, %q", err, got.String())
		}
	}
}

func TestEncodeNamesTheLine(t *testing.T) {
	text := strings.Repeat("+a.example.com:1.2.3.4:300\n", 50000) + "?\n" + strings.Repeat("!\n", 50000)
	_, err := Encode("root/data", strings.NewReader(text), Stock)
	if err == nil || err.Error() != "root/data:50001: unrecognized leading character" {
		t.Errorf("%v", err)
	}
}

// TestTooLarge checks that positions over 32 bits are refused before anything
// is written, in the records and in the tables behind them.
func TestTooLarge(t *testing.T) {
	if _, err := newTables([]placed{{newIndex([]batch{{entries: make([]entry, 10)}}), 0}}, maxSize-159); !errors.Is(err, errTooBig) {
		t.Errorf("tables behind 4 GiB: %v", err)
	}
	if _, err := newTables([]placed{{newIndex([]batch{{entries: make([]entry, 10)}}), 0}}, maxSize-160); err != nil {
		t.Errorf("tables up to 4 GiB: %v", err)
	}
	piece := make([]byte, 1<<28)
	large := &Part{index: newIndex(nil), size: 16 << 28}
	for range 16 {
		large.pieces = append(large.pieces, piece)
	}
	var b Builder
	b.SetSources([]*Part{large}, nil)
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := b.WriteDatabase(f, 1); !errors.Is(err, errTooBig) {
		t.Error(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() > 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWriteDatabaseWantsAnEmptyFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{1}, 1<<20); err != nil {
		t.Fatal(err)
	}
	var b Builder
	if err := b.WriteDatabase(f, 1); err == nil {
		t.Error("a file with something behind the database passes")
	}
}

// TestFefe checks the lines of the IPv6 patch against generic lines.
func TestFefe(t *testing.T) {
	const lines = "3a.example.com:20010DB8000000000000000000000001:300\n" +
		"6*.b.example.com:20010db80000000000000000000000ff:0:4000000060000000:in\n" +
		"6c.example.com:2001:300\n"
	p, err := Encode("data", strings.NewReader(lines), Fefe)
	if err != nil {
		t.Fatal(err)
	}
	var b Builder
	b.SetSources([]*Part{p}, nil)
	reverse := "f.f." + strings.Repeat("0.", 22) + "8.b.d.0.1.0.0.2.ip6.arpa"
	same := ":a.example.com:28:\\040\\001\\015\\270" + strings.Repeat("\\000", 11) + "\\001:300\n" +
		":*.b.example.com:28:\\040\\001\\015\\270" + strings.Repeat("\\000", 11) + "\\377:0:4000000060000000:in\n" +
		"^" + reverse + ":*.b.example.com:0:4000000060000000:in\n"
	if !bytes.Equal(database(t, &b, 1), compiled(t, []byte(same), 1)) {
		t.Error("the lines differ from their generic form")
	}
}

// Where each zone's serial changes with each database, and there are many,
// all is written: 100,000 zones took 2 s each time, instead of a tenth of one.
func TestManyChangesAreWrittenWhole(t *testing.T) {
	for zones, want := range map[int]bool{1: true, 50: true, 5000: false} {
		var data strings.Builder
		for i := range zones {
			fmt.Fprintf(&data, ".z%d.example:192.0.2.1:a\n", i)
		}
		part, err := Encode("data", strings.NewReader(data.String()), Stock)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(t.TempDir(), "data.cdb"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b Builder
		b.SetSources([]*Part{part}, nil)
		if err := b.WriteDatabase(f, 5); err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Changes(6); ok != want {
			t.Errorf("%d zones: changes alone are written: %v", zones, ok)
		}
	}
}
