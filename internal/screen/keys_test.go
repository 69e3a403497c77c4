package screen

import (
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		in   []string
		want string
	}{
		{[]string{"a/"}, "a /"},
		{[]string{"\x1b[A\x1bOB\x1b[5~\x1b[Z"}, "up down pgup back"},
		{[]string{"\x1b"}, "esc"},
		{[]string{"\x1b[", "A"}, "up"},
		{[]string{"\x1b[1;5A"}, ""}, // with control: nothing of ours
		{[]string{"\x1b[200~q\x1b[A\r", "x\x1b[201~y"}, "'q 'x y"},
		{[]string{"\x03\x04\x0c\x7f"}, "quit quit redraw backspace"},
		{[]string{"\x00\x80\xff\xc3\xa4"}, ""},
		{[]string{"\x1b[" + strings.Repeat("1", 100) + "q"}, strings.TrimSpace(strings.Repeat("1 ", 100-(maxSequence-2)) + "q")},
	} {
		var d decoder
		var got []string
		for _, s := range test.in {
			ks, _ := d.decode([]byte(s))
			for _, k := range ks {
				if k.pasted {
					k.name = "'" + k.name
				}
				got = append(got, k.name)
			}
		}
		if s := strings.Join(got, " "); s != test.want {
			t.Errorf("%q: %q, want %q", test.in, s, test.want)
		}
	}
}

func TestDecodeSize(t *testing.T) {
	var d decoder
	for in, want := range map[string]*Size{
		"\x1b[8;30;100t":         {100, 30},
		"\x1b[8;5000;20000t":     &MaxSize,
		"\x1b[8;0;0t":            {80, 24},
		"\x1b[9;30;100t":         nil,
		"\x1b[8;30t":             nil,
		"\x1b[8;99999999;8;1;1t": nil,
	} {
		if _, got := d.decode([]byte(in)); (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x1b[200~x\x1b[8;30;100t\x1b"), []byte("[A"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		m := newModel(t.Context(), example(), Terminal{Type: "vt100", Size: Size{80, 24}})
		m.take(example().now)
		var d decoder
		for _, in := range [][]byte{a, b} {
			ks, size := d.decode(in)
			if len(d.held) > maxSequence+1 {
				t.Fatalf("%d bytes are held", len(d.held))
			}
			if size != nil {
				m.size = *size
			}
			m.Update(ks)
			checkView(t, m)
		}
	})
}
