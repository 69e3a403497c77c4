package tinydns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
		var n int
		if client, n = address([]byte(args[2])); n == 0 {
			return ErrUsage
		}
	}
	db := newReader(strings.NewReader(""), 0) // what tinydns makes of no database
	if file, err := os.OpenFile(filepath.Join(dir, "data.cdb"), os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
		defer file.Close()
		if info, err := file.Stat(); err == nil {
			db = newReader(file, info.Size())
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
func lookUp(db *reader, name []byte, kind uint16, client [4]byte, now time.Time) *message {
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
