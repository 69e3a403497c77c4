package tinydns

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"
)

// compareHostLine compares what ReadHostLine reads in a line with the first
// record that the real tinydns-data makes of it.
func compareHostLine(t testing.TB, real string, line []byte) {
	t.Helper()
	dir := t.TempDir()
	writeData(t, dir, line, time.Unix(1700000000, 0))
	if exit, _, _ := run(t, dir, real); exit != 0 {
		return
	}
	cdb := readFile(t, dir+"/data.cdb")
	l, ok := ReadHostLine(line)
	var key, data []byte
	if plain := len(line) > 0 && bytes.IndexByte([]byte("+=:'"), line[0]) >= 0; plain && len(cdb) > 2048 {
		if n := binary.LittleEndian.Uint32(cdb); n > 2048 { // where the first table, and so the last record, ends
			record := cdb[2048:]
			keys := binary.LittleEndian.Uint32(record)
			key = record[8 : 8+keys]
			data = record[8+keys:][:binary.LittleEndian.Uint32(record[4:])]
		}
	}
	served := hostRecord(line, data)
	reads := ok && !l.Off && l.Kind != '3' && l.Kind != '6' && (l.Addr.IsValid() || l.Type == TXT)
	if reads != served {
		t.Fatalf("%q: read %v %+v, the real program made %q of it", line, ok, l, data)
	}
	if !reads {
		return
	}
	owner := l.AppendOwner(nil, line)
	wire, err := appendName(nil, owner)
	if bytes.IndexByte(owner, 0) < 0 && bytes.IndexByte(owner, '\\') < 0 && (err != nil || !bytes.Equal(bytes.TrimPrefix(wire, []byte("\x01*")), key)) {
		t.Fatalf("%q: read %q, the real program %q", line, owner, key)
	}
	var want []byte
	want = binary.BigEndian.AppendUint16(want, l.Type)
	mark := []byte("=>")
	if bytes.HasPrefix(wire, []byte("\x01*")) {
		mark = []byte("*+")
	}
	if l.Location == [2]byte{} {
		want = append(want, mark[0])
	} else {
		want = append(want, mark[1], l.Location[0], l.Location[1])
	}
	want = binary.BigEndian.AppendUint32(want, uint32(l.TTL))
	want = binary.BigEndian.AppendUint64(want, l.Timestamp)
	if l.Type == TXT {
		data = data[:len(want)]
	} else {
		want = append(want, l.Addr.AsSlice()...)
	}
	if !bytes.Equal(want, data) {
		t.Fatalf("%q: read %q, the real program %q", line, want, data)
	}
}

// hostRecord reports whether data is of a record that a HostLine is to give: a
// line without a field for its value has no place to write to.
func hostRecord(line, data []byte) bool {
	if len(data) < 3+4+8 {
		return false
	}
	head := 3 + 4 + 8
	if data[2] == '>' || data[2] == '+' {
		head += 2
	}
	switch kind := binary.BigEndian.Uint16(data); line[0] {
	case ':':
		return kind == AAAA && len(data) == head+16
	case '\'':
		return kind == TXT && bytes.IndexByte(line, ':') >= 0
	default:
		return kind == A
	}
}

// hostLines are lines that people's readers differed on, and some of the
// generator's.
func hostLines() []string {
	lines := []string{
		"+home.example.com:203.0.113.5    #the house", "+\\156as.example.com:1.2.3.4", "+lab..example.com:1.2.3.4:7x",
		"+h.example.com.:1.2.3.4::4000000038af1379:lox", "+H.Example.com:1.2.3.300", "+\\052.h:1.2.3.4.5:0:4", "+h\\:1.2.3.4",
		":h:28:\\040\\001abcdefghijklmn:60", ":h:028x:0123456789abcdef", ":h:65564:0123456789abcdef  ", ":h:28:0123456789abcdef\r", ":h:28",
		"+h:1.2.3.4\r", "+h", "+:1.2.3.4", "-h:1.2.3.4", "=h:1.2.3", "+h: 1.2.3.4", "'h:text", "+=h:1.2.3.4", "'", "+h:1.2.3.4:60:: ",
	}
	g := newGenerator(1, 0.2)
	for range 200 {
		if line := g.line(); !strings.Contains(line, "\n") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestHostLineDifferential(t *testing.T) {
	real := need(t, "tinydns-data")
	for _, line := range hostLines() {
		compareHostLine(t, real, []byte(line))
	}
}

func FuzzHostLine(f *testing.F) {
	real := need(f, "tinydns-data")
	for _, line := range hostLines() {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.IndexByte(line, '\n') < 0 {
			compareHostLine(t, real, line)
		}
	})
}

func TestHostLineValue(t *testing.T) {
	for line, want := range map[string]string{
		"+h:203.0.113.5    #the house":           "203.0.113.5",
		"+h:203.0.113.5\r":                       "203.0.113.5",
		"+h::60":                                 "",
		"+h:":                                    "",
		"+h:  # none":                            "",
		"+h:1.2.3 # cut short":                   "1.2.3",
		"-h:1.2.3.4.5:60":                        "1.2.3.4",
		"6h:20010DB8000000000000000000000007xx:": "20010DB8000000000000000000000007",
		"-6to4.example.com:192.0.2.9:60":         "192.0.2.9",
		":h:28:\\001 :60":                        "\\001 ",
		"'h:some text \t":                        "some text",
	} {
		l, ok := ReadHostLine([]byte(line))
		if got := string(l.Value.In([]byte(line))); !ok || got != want {
			t.Errorf("%q: the value is %q, not %q", line, got, want)
		}
	}
}
