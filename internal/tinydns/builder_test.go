package tinydns

import (
	"bytes"
	"errors"
	"fmt"
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
			var b Builder
			b.SetSources(
				[]*Part{encoded(t, before[0]), encoded(t, before[1]), encoded(t, before[2])},
				[]*Part{encoded(t, after[0])})
			oracle := map[string][]byte{}
			for round := range 40 {
				changes := randomChanges(r, 1+r.IntN([]int{3, 30, 2000}[round%3]))
				if err := b.Apply(changes); err != nil {
					t.Fatal(err)
				}
				for _, c := range changes {
					if len(c.Lines) == 0 {
						delete(oracle, c.Name)
					} else {
						oracle[c.Name] = c.Lines
					}
				}
				lines := oracleLines(oracle)
				var got bytes.Buffer
				if err := b.WriteLines(&got); err != nil || !bytes.Equal(got.Bytes(), lines) {
					t.Fatalf("round %d: %v, lines differ", round, err)
				}
				if round%4 > 0 {
					continue
				}
				text := slices.Concat(withNewline(before[0]), withNewline(before[1]), lines, after[0])
				serial := uint32(1700000000 + round)
				if !bytes.Equal(database(t, &b, serial), compiled(t, text, serial)) {
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
			for _, x := range []*Builder{&b, &whole} {
				x.SetSources([]*Part{encoded(t, politeFile(seed, 300)), encoded(t, politeFile(seed+1, 20))},
					[]*Part{encoded(t, politeFile(seed+2, 50))})
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
					name := changes[0].Name
					changes = append(changes, Owner{name, AppendText(nil, name, "t", 60, 0)})
				case 14:
					name := changes[0].Name
					changes = append(changes, Owner{name, slices.Concat(changes[0].Lines, AppendText(nil, name, "t", 60, 0))})
				}
				for _, x := range []*Builder{&b, &whole} {
					if err := x.Apply(changes); err != nil {
						t.Fatal(err)
					}
				}
				if err := b.Apply([]Owner{{"broken.example.com", []byte("?")}}); err == nil {
					t.Fatal("a line of no kind was taken")
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
		name := fmt.Sprintf("steady%d.dyn.example.com", i)
		var lines []byte
		for range 1 + i%3 {
			lines = AppendAddress(lines, Stock, name, netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), 1, 2}), 60, 0)
		}
		if i%5 == 0 {
			lines = AppendAddress(lines, Stock, name, netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(256))}), 60, 0)
		}
		out = append(out, Owner{name, lines})
	}
	return out
}

// randomChanges are n changes among some thousand names: addresses, texts,
// wildcards, several lines, none.
func randomChanges(r *rand.Rand, n int) []Owner {
	var out []Owner
	for range n {
		name := fmt.Sprintf("host%d.dyn.example.com", r.IntN(3000))
		addr := netip.AddrFrom4([4]byte{10, byte(r.IntN(256)), 1, 2})
		var lines []byte
		for range r.IntN(3) {
			switch r.IntN(4) {
			case 0:
				lines = AppendText(lines, name, strings.Repeat("t", r.IntN(300)), 60, 0)
			case 1:
				lines = AppendAddress(lines, Stock, "*."+name, netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(256))}), 60, 0)
			default:
				lines = AppendAddress(lines, Stock, name, addr, 0, 1800000000)
			}
		}
		out = append(out, Owner{name, lines})
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
	good := Owner{"a", []byte("+a.example.com:1.2.3.4:300\n")}
	if err := b.Apply([]Owner{good}); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ lines, want string }{
		{"+x:1.2.3.4\nx\n", "b:2: unrecognized leading character"},
		{"3x:20010db8000000000000000000000001\n", "b:1: unrecognized leading character"},
		{":x:6:x\n", "b:1: type SOA prohibited"},
		{"+" + strings.Repeat("x", 64) + ":1.2.3.4\n", "b:1: a label is longer than 63 bytes"},
		{".x::a\n", "b:1: a dynamic line must give the SOA serial"},
	}
	for _, test := range tests {
		err := b.Apply([]Owner{{"a", nil}, {"b", []byte(test.lines)}, {"c", good.Lines}})
		var fault *LineError
		if !errors.As(err, &fault) || err.Error() != test.want {
			t.Errorf("%q: %v, not %s", test.lines, err, test.want)
		}
		var got bytes.Buffer
		if b.WriteLines(&got); got.String() != string(good.Lines) {
			t.Errorf("after %q: %q", test.lines, got.String())
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
