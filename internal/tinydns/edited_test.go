package tinydns

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
)

// TestEdited edits a data file again and again, in all ways, and compares the database
// that is kept up with it with the one that is compiled from its text.
func TestEdited(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 4))
			text := slices.Concat([]byte("&cut.example.com::ns.example.com:100\n"), withNewline(politeFile(seed, 60)), manyAddresses(r, 5000), withNewline(politeFile(seed+1, 20)))
			other := politeFile(seed+2, 30)
			part := encoded(t, text)
			var b Builder
			b.SetSources([]*Part{part}, []*Part{encoded(t, other)})
			var image []byte
			kept, told := 0, 0
			for round := range 40 {
				serial := uint32(1700000000 + round)
				edited := randomEdits(r, text, round)
				if next, ok := part.Edited(bytes.NewReader(edited), Stock); ok {
					text, part = edited, next
					kept++
				} else if next, err := Encode("data", bytes.NewReader(edited), Stock); err == nil {
					text, part = edited, next
				}
				b.SetSources([]*Part{part}, b.after)
				if changes, ok := b.Changes(serial); ok {
					told++
					for _, e := range changes {
						copy(image[e.At:], e.Data)
					}
				} else {
					image = database(t, &b, serial)
				}
				if !bytes.Equal(image, compiled(t, slices.Concat(withNewline(text), other), serial)) {
					t.Fatalf("round %d: databases differ", round)
				}
				if got, want := CutsOf([]*Part{part}), CutsOf([]*Part{encoded(t, text)}); !reflect.DeepEqual(got, want) {
					t.Fatalf("round %d: the cuts are %v, not %v", round, got, want)
				}
			}
			if kept < 12 || told < 12 {
				t.Errorf("only %d of 40 edits were compiled in part, and %d databases patched", kept, told)
			}
		})
	}
}

func manyAddresses(r *rand.Rand, n int) (text []byte) {
	for i := range n {
		text = fmt.Appendf(text, "+h%d.example.com:%s:300\n", i, randomAddress(r))
	}
	return text
}

func randomAddress(r *rand.Rand) string {
	return fmt.Sprintf("%d.%d.%d.%d", r.IntN(256), r.IntN(256), r.IntN(256), r.IntN(256))
}

// randomEdits gives lines of hosts other addresses, and in some rounds does more.
func randomEdits(r *rand.Rand, text []byte, round int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	for range 1 + r.IntN(5) {
		i := r.IntN(len(lines))
		if fields := bytes.Split(lines[i], []byte(":")); len(fields) > 2 && lines[i][0] == '+' {
			fields[1] = []byte(randomAddress(r))
			lines[i] = bytes.Join(fields, []byte(":"))
		}
	}
	i, j := r.IntN(len(lines)), r.IntN(len(lines))
	switch round % 12 {
	case 1:
		lines = slices.Delete(lines, i, i+1)
	case 2: // a cut of the same length
		for i, line := range lines {
			if ns := []byte("ns.example.com:1"); bytes.Contains(line, ns) {
				lines[i] = slices.Concat(bytes.TrimRight(line, "0123456789\n"), []byte(strconv.Itoa(100+round)), []byte("\n"))
			}
		}
	case 3:
		lines = slices.Insert(lines, i, slices.Clone(lines[j]))
	case 5: // the same length, another name
		lines[i] = bytes.ToUpper(bytes.Replace(lines[i], []byte("h"), []byte("g"), 1))
	case 7:
		lines[i] = []byte("# " + string(lines[i]))
	case 9:
		lines[i] = []byte("?\n")
	case 10:
		lines = append(lines, []byte("+last.example.com:1.2.3.4"))
	case 11:
		lines[len(lines)-1] = append(slices.Clone(lines[len(lines)-1]), '\n')
	}
	return bytes.Join(lines, nil)
}
