package screen

// key is one key: its name, and its character if that is printable ASCII.
type key struct {
	name   string
	char   byte
	pasted bool // it is part of a paste
}

func (k key) is(names ...string) bool {
	for _, n := range names {
		if k.name == n && !k.pasted {
			return true
		}
	}
	return false
}

// keys were typed at about the same time.
type keys []key

// decoder reads keys from what a terminal sends: ECMA-48, as xterm does it. It skips what
// it does not know. `dnsgate admin top` sends a new size in the same stream, as xterm
// reports one: CSI 8 ; HEIGHT ; WIDTH t.
type decoder struct {
	held    []byte // the beginning of a sequence; at most maxSequence and one byte more
	pasting bool
}

// maxSequence is the length of the longest sequence that it knows.
const maxSequence = 32

// decode reads keys. size is the last size in b, or nil.
func (d *decoder) decode(b []byte) (read keys, size *Size) {
	b = append(d.held, b...)
	d.held = nil
	for len(b) > 0 {
		if b[0] == esc && len(b) > 1 && (b[1] == '[' || b[1] == 'O') {
			n := sequence(b)
			if n == 0 {
				d.held = append(d.held, b...)
				break
			}
			switch {
			case string(b[:n]) == "\x1b[200~":
				d.pasting = true
			case string(b[:n]) == "\x1b[201~":
				d.pasting = false
			case b[n-1] == 't':
				if s, ok := parseSize(string(b[2 : n-1])); ok {
					size = &s
				}
			default:
				if name, ok := sequences[string(b[1:n])]; ok && !d.pasting {
					read = append(read, key{name: name})
				}
			}
			b = b[n:]
			continue
		}
		if k, ok := single(b[0]); ok && (!d.pasting || k.char != 0) {
			k.pasted = d.pasting
			read = append(read, k)
		}
		b = b[1:]
	}
	return read, size
}

const esc = 0x1b

// sequence is the length of the control sequence at the beginning of b; 0: its end is
// missing.
func sequence(b []byte) int {
	if b[1] == 'O' {
		if len(b) < 3 {
			return 0
		}
		return 3
	}
	for i := 2; i < len(b); i++ {
		switch c := b[i]; {
		case c >= 0x40 && c <= 0x7e:
			return i + 1
		case c < 0x20 || c > 0x7e || i >= maxSequence:
			return i // not a sequence
		}
	}
	return 0
}

func single(c byte) (key, bool) {
	switch {
	case c == '\r' || c == '\n':
		return key{name: "enter"}, true
	case c == '\t':
		return key{name: "tab"}, true
	case c == esc:
		return key{name: "esc"}, true
	case c == 0x7f || c == 0x08:
		return key{name: "backspace"}, true
	case c == 0x03 || c == 0x04: // ^C, ^D
		return key{name: "quit"}, true
	case c == 0x0c: // ^L
		return key{name: "redraw"}, true
	case c >= ' ' && c <= '~':
		return key{name: string(rune(c)), char: c}, true
	}
	return key{}, false
}

var sequences = map[string]string{
	"[A": "up", "[B": "down", "[C": "right", "[D": "left", "[H": "home", "[F": "end", "[Z": "back",
	"OA": "up", "OB": "down", "OC": "right", "OD": "left", "OH": "home", "OF": "end",
	"[1~": "home", "[7~": "home", "[4~": "end", "[8~": "end", "[5~": "pgup", "[6~": "pgdn",
}

// parseSize reads "8;HEIGHT;WIDTH".
func parseSize(text string) (Size, bool) {
	var n [3]uint32
	at := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == ';' && at < 2:
			at++
		case c >= '0' && c <= '9' && n[at] < 100_000:
			n[at] = 10*n[at] + uint32(c-'0')
		default:
			return Size{}, false
		}
	}
	return Clamp(n[2], n[1]), at == 2 && n[0] == 8
}
