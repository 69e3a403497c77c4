package authkeys

import (
	"fmt"
	"strings"
	"time"
)

// The layouts of an expiry-time (sshd(8)).
const (
	expiryDay     = "20060102"
	expiryMinutes = "200601021504"
	expirySeconds = "20060102150405"
)

// parseExpiry reads YYYYMMDD[HHMM[SS]], in local time unless Z or UTC follows. It
// refuses dates that no calendar has, though sshd accepts 31 February.
func parseExpiry(value string) (time.Time, error) {
	text, zone := value, time.Local
	for _, suffix := range []string{"Z", "UTC"} {
		if len(text) > len(suffix) && strings.EqualFold(text[len(text)-len(suffix):], suffix) {
			text, zone = text[:len(text)-len(suffix)], time.UTC
			break
		}
	}
	layout := map[int]string{8: expiryDay, 12: expiryMinutes, 14: expirySeconds}[len(text)]
	t, err := time.ParseInLocation(layout, text, zone)
	if layout == "" || err != nil || t.Unix() <= 0 {
		return time.Time{}, fmt.Errorf("expiry-time %s is not a date after 1970 as YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z behind it for UTC", quote(value))
	}
	return t.UTC(), nil
}

// Expired reports whether the key's last second has passed.
func (g Grant) Expired(now time.Time) bool {
	return !g.Expires.IsZero() && now.Unix() > g.Expires.Unix()
}
