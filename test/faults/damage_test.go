package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/boltstore"
)

// TestDamagedState damages the state file in many ways. Each is refused with
// the file named, or is in a part that nothing is kept in; nothing that was
// answered is ever lost in silence. A backup restores it all.
func TestDamagedState(t *testing.T) {
	g := newGateway(t)
	g.Start(t)
	told := answers{}
	for n := range 50 {
		told.update(g, n)
	}
	backup, _ := g.Say(g.admin, "backup")
	g.Kill()
	file := g.Path("state", boltstore.File)
	refused, all := 0, damages(t, file)
	for what, data := range all {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := g.TryStart(); err != nil {
			refused++
			if !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "exit status 74") {
				t.Errorf("%s: refused without its name, or otherwise than with 74: %v", what, err)
			}
			continue
		}
		stored, _ := g.Say(g.user, "list")
		for host, address := range told {
			if !strings.Contains(stored, host+". 300 IN A "+address+"\n") {
				t.Errorf("%s: taken, and %s is lost", what, host)
			}
		}
		g.Kill()
	}
	t.Logf("%d of %d refused", refused, len(all))
	if refused < 7 {
		t.Error("hardly anything was refused")
	}
	if out, err := g.Try(backup, "restore", g.Config()); err == nil || !strings.Contains(out, "not empty") {
		t.Errorf("restore into a folder that is not empty: %v, %s", err, out)
	}
	if err := os.RemoveAll(g.Path("state")); err != nil {
		t.Fatal(err)
	}
	g.Must(t, backup, "restore", g.Config())
	g.Start(t)
	g.Say(g.admin, "rebuild")
	told.check(t, g)
	if again, _ := g.Say(g.admin, "backup"); again != backup {
		t.Errorf("the backup after the restore is another one")
	}
}

// damages returns what a file's content may become.
func damages(t *testing.T, file string) map[string][]byte {
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(whole, "\x00"))
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	without := func(from, to int) []byte {
		return slices.Concat(whole[:from], make([]byte, to-from), whole[to:])
	}
	all := map[string][]byte{
		"empty":              nil,
		"one byte":           whole[:1],
		"one page":           whole[:4096],
		"half":               whole[:used/2],
		"page zeroed":        without(4096, 8192),
		"another file":       bytes.Repeat([]byte("not a store\n"), 4096),
		"second half zeroed": without(used/2, used),
	}
	for range 20 {
		at, bit := rng.IntN(used), byte(1)<<rng.IntN(8)
		flipped := bytes.Clone(whole)
		flipped[at] ^= bit
		all[fmt.Sprintf("bit %d of byte %d", bit, at)] = flipped
		from := rng.IntN(used/512) * 512
		all[fmt.Sprintf("torn at %d", from)] = without(from, from+512)
	}
	return all
}

// TestHostileBackup: a backup that was torn or made up is refused, or gives a
// store that works.
func TestHostileBackup(t *testing.T) {
	g := newGateway(t)
	g.Start(t)
	told := answers{}
	for n := range 5 {
		told.update(g, n)
	}
	backup, _ := g.Say(g.admin, "backup")
	g.Kill()
	restore := func(name, backup string, works bool) {
		os.RemoveAll(g.Path("state"))
		out, err := g.Try(backup, "restore", g.Config())
		if entries, _ := os.ReadDir(g.Path("state")); err != nil && len(entries) > 0 {
			t.Errorf("%s: something was left in the folder", name)
		}
		if works != (err == nil) {
			t.Errorf("%s: %v %s", name, err, out)
		}
		if err == nil {
			g.Start(t)
			g.wants(t, g.user, "update new."+zone+" 192.0.9.9", "good")
			g.wants(t, g.user, "update n0."+zone+" 192.0.9.9", "good")
			g.Kill()
			g.Start(t)
			g.wants(t, g.user, "update new."+zone+" 192.0.9.9", "nochg")
			g.Kill()
		}
	}
	restore("as it was", backup, true)
	for i := range len(backup) {
		if i%97 == 0 || i == len(backup)-1 {
			restore(fmt.Sprintf("torn at %d", i), backup[:i], false)
		}
	}
	line := func(format string, args ...any) string {
		text := fmt.Sprintf(format, args...)
		c, err := records.ParseChange(text)
		if err != nil {
			t.Fatal(text, err)
		}
		var out bytes.Buffer
		b := records.NewBackupWriter(&out)
		b.Write(c)
		b.Close(c.Revision)
		return out.String()
	}
	many := func(n int) string {
		addresses := make([]string, n)
		for i := range addresses {
			addresses[i] = fmt.Sprintf("192.0.%d.%d", 2+i/256, i%256)
		}
		return strings.Join(addresses, ",")
	}
	const rest = "2026-01-31T00:00:00Z n0." + zone + " - 192.0.2.1 300 key -"
	restore("the last revision there is", line("18446744073709551615 %s", rest), false)
	restore("nearly the last revision", line("18446744073709551614 %s", rest), false)
	restore("a lease of long ago", line("7 2026-01-31T00:00:00Z n0.%s - 192.0.2.1@1 300 key -", zone), true)
	restore("a lease without end", line("7 2026-01-31T00:00:00Z n0.%s - 192.0.2.1@9223372036854775807 300 key -", zone), false)
	restore("the year 9999", line("7 9999-01-31T00:00:00Z n0.%s - 192.0.2.1 300 key -", zone), false)
	restore("the year 0000", line("7 0000-01-31T00:00:00Z n0.%s - 192.0.2.1 300 key -", zone), false)
	restore("a clock far ahead", line("7 2999-01-31T00:00:00Z n0.%s - 192.0.2.1 300 key -", zone), true)
	restore("the longest TTL", line("7 2026-01-31T00:00:00Z n0.%s - 192.0.2.1 2147483647 key -", zone), true)
	restore("many addresses", line("7 2026-01-31T00:00:00Z n0.%s - %s 300 key -", zone, many(1001)), false)
	restore("as many addresses as may be", line("7 2026-01-31T00:00:00Z n0.%s - %s 300 key -", zone, many(8)), true)
	restore("one address twice", line("7 2026-01-31T00:00:00Z n0.%s - 192.0.2.1,192.0.2.1 300 key -", zone), false)
	restore("loopback", line("7 2026-01-31T00:00:00Z n0.%s - 127.0.0.1 300 key -", zone), false)
	restore("private", line("7 2026-01-31T00:00:00Z n0.%s - 10.0.0.1 300 key -", zone), true)
	restore("a revision of 2^62", line("4611686018427387904 %s", rest), false)
	restore("text at a host", line("7 2026-01-31T00:00:00Z n0.%s - txt=x 300 key -", zone), false)
	restore("nothing", "", false)
}
