package migrate

import (
	"strconv"
	"strings"

	"dnsgate/internal/records"
)

// Hostkeys reads the file of a set-up with shared keys: a hostname, a TTL and
// a secret in each line, separated by blanks, colons or commas. The secrets
// are of no use to SSH and are neither kept nor quoted.
func Hostkeys(path string) (*Setup, error) {
	var c collector
	err := eachLine(path, func(n int, line string) error {
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t\r:,;", r) })
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			return nil
		}
		name, err := records.ParseOwner(words[0])
		if err != nil {
			c.remark(path, n, "left out: its first word is not a hostname") // it may be the secret
			return nil
		}
		h := c.host(name)
		if len(words) > 1 {
			if ttl, err := strconv.ParseUint(words[1], 10, 31); err == nil {
				h.setTTL(uint32(ttl))
				return c.room()
			}
		}
		c.remark(path, n, "%s has no TTL after its name; its template comes without", name)
		return c.room()
	})
	if err != nil {
		return nil, err
	}
	return c.setup(""), nil
}
