package tinydns

import (
	"encoding/binary"
	"slices"
)

// The fast path takes lines +fqdn:ip:ttl of a plain form, which are most of
// any large data file, and leaves all else to the plain path.
const (
	fastWindow = 320                      // no longer line is tried
	fastRecord = 8 + fastWindow + 15 + 16 // lengths, key, data, and a margin
)

// folded holds each byte of a name in lower case, and 0 for those that mean
// something or end the line.
var folded = func() (table [256]byte) {
	for i := range table {
		c := byte(i)
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '.' || c == ':' || c == '\\' || c == '\n':
			c = 0
		}
		table[i] = c
	}
	return table
}()

// fastHost encodes the first line of text if it is a plain one, and returns
// how many bytes of text that was; or else 0, and nothing is changed.
func (e *encoder) fastHost(text []byte) int {
	if text[0] != '+' {
		return 0
	}
	if len(text) > fastWindow {
		text = text[:fastWindow]
	}
	at := len(e.records)
	if cap(e.records)-at < fastRecord {
		e.records = slices.Grow(e.records, fastRecord)
	}
	record := (*[fastRecord]byte)(e.records[at : at+fastRecord])

	end, i := fastName(record, text)
	if end == 0 {
		return 0
	}
	ip, i := fastAddress(text, i)
	ttl, i := fastTTL(text, i)
	if i == 0 {
		return 0
	}

	key := record[8:end]
	hash := hashOf(key)
	binary.LittleEndian.PutUint32(record[0:], uint32(len(key)))
	binary.LittleEndian.PutUint32(record[4:], 19)
	data := record[end : end+19]
	data[0], data[1], data[2] = 0, typeA, '='
	binary.BigEndian.PutUint32(data[3:], ttl)
	clear(data[7:15])
	binary.BigEndian.PutUint32(data[15:], ip)
	e.records = e.records[:at+end+19]
	e.entries = append(e.entries, entry{hash, uint32(at)})
	return i
}

// fastName puts the wire form of the name at text[1] into record[8:end], and
// returns where the next field begins. end is 0 if the name is no plain one.
func fastName(record *[fastRecord]byte, text []byte) (end, next int) {
	label := 8 // where the length of the current label goes
	end = 9
	for i := 1; i < len(text); i++ {
		if c := folded[text[i]]; c != 0 {
			record[end] = c
			end++
			continue
		}
		n := end - label - 1
		if n > 63 || end > 8+254 {
			return 0, 0
		}
		switch c := text[i]; {
		case c == '.' && n > 0:
			record[label] = byte(n)
			label = end
			end++
		case c == '.':
		case c == ':':
			record[label] = byte(n)
			if n > 0 {
				record[end] = 0
				end++
			}
			if record[8] == 1 && record[9] == '*' {
				return 0, 0
			}
			return end, i + 1
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// fastAddress reads an address and the byte behind it, which must end the
// field. It returns where the rest begins, or 0.
func fastAddress(text []byte, i int) (ip uint32, next int) {
	for part := range 4 {
		first := i
		var n uint32
		for i < len(text) && text[i]-'0' <= 9 {
			n = n*10 + uint32(text[i]-'0')
			i++
		}
		if i == first || i == len(text) {
			return 0, 0
		}
		ip = ip<<8 | n&255
		if part < 3 {
			if text[i] != '.' {
				return 0, 0
			}
			i++
		}
	}
	if text[i] != ':' && text[i] != '\n' {
		return 0, 0
	}
	return ip, i
}

// fastTTL reads a time to live, if there is one, and the end of the line. It
// returns where the next line begins, or 0.
func fastTTL(text []byte, i int) (ttl uint32, next int) {
	if i == 0 {
		return 0, 0
	}
	if text[i] == '\n' {
		return ttlPositive, i + 1
	}
	i++
	first := i
	for i < len(text) && text[i]-'0' <= 9 {
		ttl = ttl*10 + uint32(text[i]-'0')
		i++
	}
	if i == first {
		ttl = ttlPositive
	}
	if i+1 < len(text) && text[i] == ':' {
		i++
	}
	if i == len(text) || text[i] != '\n' {
		return 0, 0
	}
	return ttl, i + 1
}
