package rig

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dnsgate/internal/records"
)

// Backup is the text of a backup of many hosts. name is a format for the number of a
// host; host 7 has the address 198.18.0.7.
func Backup(t testing.TB, hosts int, name string) string {
	t.Helper()
	var backup strings.Builder
	w := records.NewBackupWriter(&backup)
	for i := range hosts {
		Must(t, w.Write(records.StateLine(records.Host{
			Name: records.Name(fmt.Sprintf(name, i)), Revision: uint64(i + 1), Session: 1, TTL: 300,
			Records: []records.Record{{Addr: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})}},
		})))
	}
	Must(t, w.Close(uint64(hosts)))
	return backup.String()
}
