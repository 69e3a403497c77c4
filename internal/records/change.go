package records

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Change is the effect of a transaction on one host. Its text form is one line of eight
// fields,
//
//	REVISION TIME HOST OLD NEW TTL KEY SOURCE
//
// with the time as in RFC 3339 (UTC, whole seconds), the TTL in seconds, and
// OLD and NEW as values joined by commas, or "-" for none. A value is an
// address or "txt=" and a TXT string, then "@" and the Unix second when it
// leaves, where it does. History, backups and restores all use this form.
type Change struct {
	Revision uint64
	Time     time.Time
	Name     Name
	Old, New []Record
	TTL      uint32 // seconds
	Key      string // "SHA256:..." or another word without blanks
	Source   string // an address, or "-"
}

// AppendText appends c's line, without its end of line.
func (c Change) AppendText(b []byte) []byte {
	b = strconv.AppendUint(b, c.Revision, 10)
	b = append(b, ' ')
	b = c.Time.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, ' ')
	b = append(b, c.Name...)
	b = append(b, ' ')
	b = appendRecords(b, c.Old)
	b = append(b, ' ')
	b = appendRecords(b, c.New)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(c.TTL), 10)
	b = append(b, ' ')
	b = append(b, c.Key...)
	b = append(b, ' ')
	return append(b, c.Source...)
}

func (c Change) String() string { return string(c.AppendText(nil)) }

func appendRecords(b []byte, records []Record) []byte {
	if len(records) == 0 {
		return append(b, '-')
	}
	for i, r := range records {
		if i > 0 {
			b = append(b, ',')
		}
		if r.Addr.IsValid() {
			b = r.Addr.AppendTo(b)
		} else {
			b = append(b, "txt="...)
			b = append(b, r.Text...)
		}
		if r.Expires != 0 {
			b = append(b, '@')
			b = strconv.AppendInt(b, r.Expires, 10)
		}
	}
	return b
}

// ParseChange reads the output of AppendText, and nothing else: a line that parses
// formats to the same bytes.
func ParseChange(line string) (Change, error) {
	c, err := parseChange(line)
	if err != nil {
		return Change{}, err
	}
	var again [256]byte
	if string(c.AppendText(again[:0])) != line {
		return Change{}, errors.New("not in the form that dnsgate writes")
	}
	return c, nil
}

func parseChange(line string) (c Change, err error) {
	f := strings.Split(line, " ")
	if len(f) != 8 {
		return c, fmt.Errorf("%d fields where 8 belong: revision, time, host, old, new, TTL, key, source", len(f))
	}
	if c.Revision, err = strconv.ParseUint(f[0], 10, 64); err != nil {
		return c, fmt.Errorf("%q is not a revision", clip(f[0]))
	}
	if c.Time, err = time.Parse(time.RFC3339, f[1]); err != nil {
		return c, fmt.Errorf("%q is not a time such as 2026-01-31T00:00:00Z", clip(f[1]))
	}
	c.Time = c.Time.UTC()
	if c.Name, err = ParseStored(f[2]); err != nil {
		return c, err
	}
	if c.Old, err = parseRecords(f[3]); err != nil {
		return c, err
	}
	if c.New, err = parseRecords(f[4]); err != nil {
		return c, err
	}
	ttl, err := strconv.ParseUint(f[5], 10, 31)
	if err != nil {
		return c, fmt.Errorf("%q is not a TTL in seconds", clip(f[5]))
	}
	c.TTL = uint32(ttl)
	c.Key, c.Source = f[6], f[7]
	if err := checkWord(c.Key); err != nil {
		return c, fmt.Errorf("key: %w", err)
	}
	if err := checkWord(c.Source); err != nil {
		return c, fmt.Errorf("source: %w", err)
	}
	return c, nil
}

func parseRecords(field string) ([]Record, error) {
	if field == "-" {
		return nil, nil
	}
	var records []Record
	for part := range strings.SplitSeq(field, ",") {
		r, err := parseRecord(part)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

func parseRecord(part string) (r Record, err error) {
	value, end, expires := strings.Cut(part, "@")
	if expires {
		if r.Expires, err = strconv.ParseInt(end, 10, 64); err != nil || r.Expires <= 0 {
			return r, fmt.Errorf("%q is not a Unix time", clip(end))
		}
	}
	if text, ok := strings.CutPrefix(value, "txt="); ok {
		r.Text = text
		return r, CheckText(text)
	}
	if r.Addr, err = netip.ParseAddr(value); err != nil || r.Addr.Zone() != "" || r.Addr.Is4In6() {
		return r, fmt.Errorf("%q is not an address", clip(value))
	}
	return r, nil
}

// CheckText says why text may not be a TXT value. Allowed is what ACME uses (RFC 8555
// section 8.4: base64url), and a little more.
func CheckText(text string) error {
	if text == "" || len(text) > MaxText {
		return fmt.Errorf("a TXT value has 1 to %d characters, this one %d", MaxText, len(text))
	}
	for i := range len(text) {
		c := text[i]
		if !isAlnum(c) && !strings.ContainsRune("-_.=+/", rune(c)) {
			return fmt.Errorf("a TXT value may hold letters, digits and -_.=+/ only, not %q", c)
		}
	}
	return nil
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func checkWord(s string) error {
	if s == "" || len(s) > 256 {
		return fmt.Errorf("%q has no or too many characters", clip(s))
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%q has a character that is not printable", clip(s))
		}
	}
	return nil
}

// maxRevision is the largest revision of a change: no store has come so far, and
// revisions must go on growing.
const maxRevision = 1 << 53

// maxExpires is the last second of the year 9999.
const maxExpires = 253_402_300_799

// Check says why c is impossible in a store.
func (c Change) Check() error {
	if c.Revision == 0 || c.Revision > maxRevision/2 { // the store that takes it goes on from that revision
		return fmt.Errorf("revision %d, which no store has", c.Revision)
	}
	if year := c.Time.Year(); year < 1970 || year > 9998 {
		return fmt.Errorf("the year %d, which no gateway's clock has", year)
	}
	if source, err := netip.ParseAddr(c.Source); err == nil && source.Zone() != "" {
		return fmt.Errorf("source %s has a zone, which no gateway notes", clip(c.Source))
	}
	for _, r := range c.Old {
		if r.Addr.IsValid() {
			if err := checkSpecial(r.Addr, true); err != nil {
				return err
			}
		}
	}
	count := make(map[Type]int)
	seen := make(map[string]bool)
	for _, r := range c.New {
		count[r.Type()]++
		if seen[r.Value()] {
			return fmt.Errorf("%s has %s twice", c.Name, r.Value())
		}
		seen[r.Value()] = true
		if r.Expires > maxExpires {
			return fmt.Errorf("%s has a lease that ends after the year 9999", c.Name)
		}
		if (r.Type() == TXT) != c.Name.IsChallenge() {
			return fmt.Errorf("%s may have no %s record", c.Name, r.Type())
		}
		if r.Addr.IsValid() {
			if err := checkSpecial(r.Addr, true); err != nil {
				return err
			}
		}
	}
	if count[A] > MaxAddresses || count[AAAA] > MaxAddresses || count[TXT] > MaxTexts {
		return fmt.Errorf("%s has %d A, %d AAAA and %d TXT records; %d, %d and %d are the most",
			c.Name, count[A], count[AAAA], count[TXT], MaxAddresses, MaxAddresses, MaxTexts)
	}
	return nil
}
