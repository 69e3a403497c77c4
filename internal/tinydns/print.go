package tinydns

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

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
