package migrate

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dnsgate/internal/records"
	"dnsgate/test/rig"
)

// TestSectionFindsWhatTinydnsServes: the addresses and TTLs of random lines are
// those that djb's programs make of them.
func TestSectionFindsWhatTinydnsServes(t *testing.T) {
	rig.Needs(t, "tinydns-data", "tinydns-get")
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		root := t.TempDir()
		var lines strings.Builder
		for range 30 {
			lines.WriteString(randomLine(random) + "\n")
		}
		data := filepath.Join(root, "data")
		write(t, data, ".example.com::a\n"+sectionStart+"\n"+lines.String()+sectionEnd+"\n")
		s, err := Section(data)
		if err != nil {
			t.Fatal(err)
		}
		run(t, root, "tinydns-data")
		for i := range 6 {
			name := fmt.Sprintf("h%d.example.com", i)
			var found []string
			for _, h := range s.Hosts {
				if h.Name == records.Name(name) {
					found = tinydnsAnswers(h)
				}
			}
			var served []string
			for _, kind := range []string{"a", "28"} {
				for line := range strings.Lines(run(t, root, "tinydns-get", kind, name)) {
					if answer, ok := strings.CutPrefix(line, "answer: "+name+" "); ok {
						served = append(served, strings.TrimSpace(answer))
					}
				}
			}
			if slices.Sort(served); !slices.Equal(found, slices.Compact(served)) {
				t.Fatalf("%s\n%s is %q, tinydns serves %q", lines.String(), name, found, served)
			}
		}
	}
}

// tinydnsAnswers is how tinydns-get prints h, sorted.
func tinydnsAnswers(h Host) (lines []string) {
	for _, a := range h.Addresses {
		if a.Is4() {
			lines = append(lines, fmt.Sprintf("%d A %s", h.TTL, a))
			continue
		}
		rdata := ""
		for _, b := range a.As16() {
			if 33 <= b && b <= 126 && b != '\\' {
				rdata += string(rune(b))
			} else {
				rdata += fmt.Sprintf("\\%03o", b)
			}
		}
		lines = append(lines, fmt.Sprintf("%d 28 %s", h.TTL, rdata))
	}
	slices.Sort(lines)
	return lines
}

// randomLine is of one of six names; a name has one TTL, as a record set has.
func randomLine(random *rand.Rand) string {
	i := random.IntN(6)
	name := []string{"h%d.example.com", "H%d.EXAMPLE.com", "h%d.example.com.", "\\150%d..example.com"}[random.IntN(4)]
	name = fmt.Sprintf(name, i)
	ttl := []string{"", "60", "1x", "0300", "86400", "7 "}[i]
	switch random.IntN(7) {
	case 0:
		rdata := ""
		for range 16 {
			rdata += []string{"\\001", "\\40", "\\\\", "A", "\\072", "\\7"}[random.IntN(6)]
		}
		return ":" + name + ":28:" + rdata + ":" + ttl
	case 1:
		return "#+" + name + ":203.0.113.1"
	case 2:
		return "-" + name + ":203.0.113.1"
	case 3:
		return "@" + name + ":203.0.113.1:mx." + name
	case 4:
		return fmt.Sprintf("=%s:203.0.113.%d:%s \t", name, random.IntN(4), ttl)
	}
	return fmt.Sprintf("+%s:203.0.113.%d%s:%s", name, random.IntN(4), []string{"", "  #the house", ".9", "\r"}[random.IntN(4)], ttl)
}

func run(t testing.TB, folder string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}
