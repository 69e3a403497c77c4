package tinydns

import (
	"bufio"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"time"
)

// Cuts are the names that have NS or SOA records, where the authority of a server
// begins or ends. For a name, tinydns looks for the closest one at or above it that has
// NS records, and answers with authority if that has a SOA record too. Without the SOA
// record the name is delegated to other servers; without NS records tinydns does not
// answer at all.
//
// Cuts do not change, and may be read by any number of goroutines.
type Cuts struct {
	names map[string][]cut // by name in wire form, in lower case
}

// cut is an NS or SOA record.
type cut struct {
	kind     uint16
	location string // two bytes; "" is every client's
	ttl      uint32
	label    uint64 // TAI64 when it begins or ends; 0: neither
}

// cutAt is a cut and its name.
type cutAt struct {
	name string
	cut
}

// CutsOf returns those of a database made of parts. It looks through each piece once.
func CutsOf(parts []*Part) *Cuts {
	c := &Cuts{names: make(map[string][]cut)}
	for _, p := range parts {
		for i, piece := range p.pieces {
			if p.cuts[i] == nil {
				p.cuts[i] = cutsIn(piece)
			}
			for _, at := range p.cuts[i] {
				c.add(at)
			}
		}
	}
	return c
}

// cutsIn returns those among records; it is never nil.
func cutsIn(records []byte) []cutAt {
	found := make([]cutAt, 0)
	for len(records) > 0 {
		key, data, rest := cutRecord(records)
		if at, ok := readCut(key, data); ok {
			found = append(found, at)
		}
		records = rest
	}
	return found
}

func (c *Cuts) add(at cutAt) { c.names[at.name] = append(c.names[at.name], at.cut) }

// ReadCuts returns those of a whole database of size bytes.
func ReadCuts(file io.ReaderAt, size int64) (*Cuts, error) {
	var header [headerSize]byte
	if _, err := file.ReadAt(header[:], 0); err != nil && err != io.EOF {
		return nil, err
	}
	if err := checkHeader(header[:], size); err != nil {
		return nil, err
	}
	end := int64(binary.LittleEndian.Uint32(header[:])) // of the records: the first table follows
	in := bufio.NewReaderSize(io.NewSectionReader(file, headerSize, end-headerSize), 64<<10)
	c := &Cuts{names: make(map[string][]cut)}
	var lengths [8]byte
	buf := make([]byte, maxName+maxRecord)
	for left := end - headerSize; left > 0; {
		if _, err := io.ReadFull(in, lengths[:]); err != nil {
			return nil, errFormat
		}
		key, data := littlePair(lengths)
		if left -= 8 + int64(key) + int64(data); left < 0 {
			return nil, errFormat
		}
		if key > maxName || data > maxRecord { // tinydns asks for no such key, and takes no such data
			if _, err := io.CopyN(io.Discard, in, int64(key)+int64(data)); err != nil {
				return nil, errFormat
			}
			continue
		}
		record := buf[:key+data]
		if _, err := io.ReadFull(in, record); err != nil {
			return nil, errFormat
		}
		if at, ok := readCut(record[:key], record[key:]); ok {
			c.add(at)
		}
	}
	return c, nil
}

// maxName is how long a name in wire form may be.
const maxName = 255

// readCut reads an entry of a database if it is a cut. Others are most of them.
func readCut(key, data []byte) (at cutAt, ok bool) {
	if len(data) < 3 {
		return cutAt{}, false
	}
	kind, mark := binary.BigEndian.Uint16(data), data[2]
	if kind != typeNS && kind != typeSOA || !wholeName(key) {
		return cutAt{}, false
	}
	at.kind = kind
	head := data[3:]
	if mark == '='+1 && len(head) > 2 {
		at.location, head, mark = string(head[:2]), head[2:], '='
	}
	if mark != '=' || len(head) < 12 {
		return cutAt{}, false // of the names below
	}
	at.name = string(key)
	at.ttl, at.label = binary.BigEndian.Uint32(head), binary.BigEndian.Uint64(head[4:])
	return at, true
}

// wholeName tells a name in wire form from the key of a location, and from
// damage.
func wholeName(key []byte) bool {
	for len(key) > 0 && int(key[0])+1 < len(key) && key[0] > 0 {
		key = key[1+key[0]:]
	}
	return len(key) == 1 && key[0] == 0
}

// Authority reports whether tinydns answers some client with authority for name now. If
// it does not, the result also names the name at or above it that is delegated to other
// servers; "" if no name is.
func (c *Cuts) Authority(name string, now time.Time) (delegated string, ok bool) {
	if closest, ok := c.closest(name, now); !ok {
		return closest, false
	}
	return "", true
}

// Zone returns the zone in which tinydns answers some client with authority for
// name now.
func (c *Cuts) Zone(name string, now time.Time) (zone string, ok bool) {
	if closest, ok := c.closest(name, now); ok {
		return closest, true
	}
	return "", false
}

// closest returns the closest name at or above name that has NS records, and whether
// tinydns has authority there for some client; "" if no name has any.
func (c *Cuts) closest(name string, now time.Time) (closest string, authority bool) {
	wire, err := appendName(nil, []byte(strings.ToLower(name)))
	if err != nil {
		return "", false
	}
	levels := c.above(string(wire))
	for _, location := range locations(levels) {
		for _, l := range levels {
			if ns, soa := l.has(location, now); ns {
				closest = dotted([]byte(l.name))
				if soa {
					return closest, true
				}
				break
			}
		}
	}
	return closest, false
}

// Zones returns those in which tinydns answers some client with authority now, in
// order.
func (c *Cuts) Zones(now time.Time) (zones []string) {
	for name := range c.names {
		if zone := dotted([]byte(name)); zone != "" {
			if found, ok := c.Zone(zone, now); ok && found == zone {
				zones = append(zones, zone)
			}
		}
	}
	slices.Sort(zones)
	return zones
}

// Below reports whether there is a zone below name.
func (c *Cuts) Below(name string, now time.Time) bool {
	for below := range c.names {
		zone := dotted([]byte(below))
		if !strings.HasSuffix(zone, "."+strings.ToLower(name)) {
			continue
		}
		if _, ok := c.Authority(zone, now); ok {
			return true
		}
	}
	return false
}

// level is the cuts at one name.
type level struct {
	name string // in wire form
	cuts []cut
}

// above returns those at name, in wire form, and at the names above it, the
// closest first.
func (c *Cuts) above(name string) (levels []level) {
	for ; ; name = name[1+name[0]:] {
		if cuts := c.names[name]; cuts != nil {
			levels = append(levels, level{name, cuts})
		}
		if name[0] == 0 {
			return levels
		}
	}
}

// locations are those that clients may be in as far as it matters: none, and
// each that a cut is limited to.
func locations(levels []level) []string {
	all := []string{""}
	for _, l := range levels {
		for _, c := range l.cuts {
			if !slices.Contains(all, c.location) {
				all = append(all, c.location)
			}
		}
	}
	return all
}

// has reports which records a client in location is shown.
func (l level) has(location string, now time.Time) (ns, soa bool) {
	for _, c := range l.cuts {
		if (c.location == "" || c.location == location) && c.inTime(now) {
			ns, soa = ns || c.kind == typeNS, soa || c.kind == typeSOA
		}
	}
	return ns, soa
}

// inTime reports whether c is visible now, as answer.inTime does.
func (c cut) inTime(now time.Time) bool {
	tai := uint64(taiEpoch + now.Unix())
	switch {
	case c.label == 0:
		return true
	case c.ttl != 0:
		return c.label < tai
	}
	return c.label >= tai
}
