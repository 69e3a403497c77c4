package tinydns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrUsage says that the arguments of Get are wrong; tinydns-get prints
// "tinydns-get: usage: tinydns-get type name [ip]" and exits with 100.
var ErrUsage = errors.New("usage: tinydns-get type name [ip]")

// Get does what djb's tinydns-get does with the arguments type, name and
// client's address (0.0.0.0 if left out): it prints to w what tinydns would
// answer from data.cdb in the folder dir at that time; only the query where
// that is no reply at all. It returns ErrUsage, or an error whose text
// tinydns-get prints behind "tinydns-get: fatal: " before it exits with 111.
func Get(w io.Writer, dir string, args []string, now time.Time) error {
	if len(args) < 2 {
		return ErrUsage
	}
	kind, ok := parseType(args[0])
	if !ok {
		return ErrUsage
	}
	name, err := appendName(nil, []byte(args[1]))
	if err != nil {
		return fmt.Errorf("unable to parse: %w", errPacket)
	}
	var client [4]byte
	if len(args) > 2 {
		if client, ok = address([]byte(args[2])); !ok {
			return ErrUsage
		}
	}
	db := NewReader(strings.NewReader(""), 0) // what tinydns makes of no database
	if file, err := os.OpenFile(filepath.Join(dir, "data.cdb"), os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
		defer file.Close()
		if info, err := file.Stat(); err == nil {
			db = NewReader(file, info.Size())
		}
	}

	var out strings.Builder
	fmt.Fprintf(&out, "%d %s:\n", kind, dotted(name))
	if m := lookUp(db, name, kind, client, now); m != nil {
		if err := printMessage(&out, m.bytes); err != nil {
			return fmt.Errorf("unable to parse: %w", err)
		}
	}
	_, err = io.WriteString(w, out.String())
	return err
}

// lookUp is respond, but for the type that tinydns refuses.
func lookUp(db *Reader, name []byte, kind uint16, client [4]byte, now time.Time) *message {
	m := newMessage(name, kind)
	if kind == typeAXFR {
		m.bytes[3] |= 4 // not implemented
		return m
	}
	folded := make([]byte, len(name))
	for i, c := range name {
		folded[i] = lower(c)
	}
	return respond(db, folded, kind, client, m, now)
}

// parseType reads the name of a type, in either case, or its number.
func parseType(s string) (kind uint16, ok bool) {
	if n, digits := number([]byte(s)); s == "" || digits && strings.Trim(s, "0123456789") == "" {
		return uint16(n), true
	}
	switch strings.ToLower(s) {
	case "any":
		return typeANY, true
	case "a":
		return typeA, true
	case "ns":
		return typeNS, true
	case "mx":
		return typeMX, true
	case "ptr":
		return typePTR, true
	case "txt":
		return typeTXT, true
	case "cname":
		return typeCNAME, true
	case "soa":
		return typeSOA, true
	case "hinfo":
		return 13, true
	case "rp":
		return 17, true
	case "sig":
		return 24, true
	case "key":
		return 25, true
	case "aaaa":
		return typeAAAA, true
	case "axfr":
		return typeAXFR, true
	}
	return 0, false
}

// printMessage prints a message in the form of djbdns' tools.
func printMessage(out *strings.Builder, packet []byte) error {
	p := parser{packet: packet}
	header := p.bytes(12)
	if p.err != nil {
		return p.err
	}
	var counts [4]int
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint16(header[4+2*i:]))
	}
	fmt.Fprintf(out, "%d bytes, %d+%d+%d+%d records", len(packet), counts[0], counts[1], counts[2], counts[3])
	printFlags(out, header[2], header[3])
	for range counts[0] {
		name := p.name()
		fixed := p.bytes(4)
		if p.err != nil {
			return p.err
		}
		fmt.Fprintf(out, "query: %d %s\n", binary.BigEndian.Uint16(fixed), dotted(name))
	}
	for i, section := range []string{"answer", "authority", "additional"} {
		for range counts[1+i] {
			out.WriteString(section + ": ")
			if err := printRecord(out, &p); err != nil {
				return err
			}
		}
	}
	if p.at != len(packet) {
		return errPacket
	}
	return nil
}

func printFlags(out *strings.Builder, flags, code byte) {
	out.WriteString(", response")
	if flags&4 != 0 {
		out.WriteString(", authoritative")
	}
	switch code & 15 {
	case 0:
		out.WriteString(", noerror")
	case 3:
		out.WriteString(", nxdomain")
	case 4:
		out.WriteString(", notimp")
	}
	out.WriteString("\n")
}

func printRecord(out *strings.Builder, p *parser) error {
	name := p.name()
	fixed := p.bytes(10)
	if p.err != nil {
		return p.err
	}
	fmt.Fprintf(out, "%s %d ", dotted(name), binary.BigEndian.Uint32(fixed[4:]))
	kind := binary.BigEndian.Uint16(fixed)
	end := p.at + int(binary.BigEndian.Uint16(fixed[8:]))
	printRdata(out, p, kind, end)
	if p.err == nil && p.at != end {
		return errPacket
	}
	out.WriteString("\n")
	return p.err
}

func printRdata(out *strings.Builder, p *parser, kind uint16, end int) {
	switch kind {
	case typeNS:
		out.WriteString("NS ")
		printName(out, p)
	case typePTR:
		out.WriteString("PTR ")
		printName(out, p)
	case typeCNAME:
		out.WriteString("CNAME ")
		printName(out, p)
	case typeMX:
		if distance := p.bytes(2); p.err == nil {
			fmt.Fprintf(out, "MX %d ", binary.BigEndian.Uint16(distance))
		}
		printName(out, p)
	case typeSOA:
		out.WriteString("SOA ")
		printName(out, p)
		out.WriteByte(' ')
		printName(out, p)
		for range 5 {
			if n := p.bytes(4); p.err == nil {
				fmt.Fprintf(out, " %d", binary.BigEndian.Uint32(n))
			}
		}
	case typeA:
		if ip := p.bytes(4); p.err == nil {
			fmt.Fprintf(out, "A %d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3])
		}
	default:
		out.WriteString(strconv.Itoa(int(kind)) + " ")
		for _, c := range p.bytes(end - p.at) {
			if c >= 33 && c <= 126 && c != '\\' {
				out.WriteByte(c)
			} else {
				out.Write(appendOctal(nil, c))
			}
		}
	}
}

func printName(out *strings.Builder, p *parser) {
	if name := p.name(); p.err == nil {
		out.WriteString(dotted(name))
	}
}
