package tinydns

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// generator makes data files that are like those of people, and break the
// rules now and then. Names come from a small set, so that they meet.
type generator struct {
	*rand.Rand
	rude float64 // how often a field is a strange one
}

func newGenerator(seed uint64, rude float64) *generator {
	return &generator{rand.New(rand.NewPCG(seed, 1)), rude}
}

func (g *generator) pick(from ...string) string { return from[g.IntN(len(from))] }

// file is a data file of some zones and up to n lines.
func (g *generator) file(n int) []byte {
	var b bytes.Buffer
	for _, zone := range []string{"example.com", "b.example.com", "example.net", "10.in-addr.arpa"} {
		if g.IntN(4) > 0 {
			b.WriteString(g.pick(".", ".", "&") + zone + ":" + g.ip() + ":" + g.pick("a", "b", "ns.example.net", "") + g.times() + "\n")
		}
	}
	for range g.IntN(n + 1) {
		b.WriteString(g.line())
		b.WriteString(g.pick("\n", "\n", "\n", "\n", "\n", " \n", "\t\n", "\n\n"))
	}
	if g.IntN(8) == 0 && b.Len() > 0 {
		b.Truncate(b.Len() - 1)
	}
	return b.Bytes()
}

func (g *generator) line() string {
	if g.Float64() < g.rude/20 {
		return g.junk(40)
	}
	kind := g.pick("+", "+", "+", "+", "=", "@", "C", "^", "'", ":", ".", "&", "Z", "S", "%", "#", "-")
	switch kind {
	case "+", "=":
		return kind + g.name() + ":" + g.ip() + g.times()
	case ".", "&":
		return kind + g.name() + ":" + g.ip() + ":" + g.server() + g.times()
	case "@":
		return kind + g.name() + ":" + g.ip() + ":" + g.server() + ":" + g.number() + g.times()
	case "S":
		return kind + g.name() + ":" + g.ip() + ":" + g.server() + ":" + g.pick("1", "5060", "65536", g.number()+"1") +
			":" + g.number() + ":" + g.number() + g.times()
	case "C", "^":
		return kind + g.name() + ":" + g.name() + g.times()
	case "'":
		return kind + g.name() + ":" + g.text() + g.times()
	case ":":
		return kind + g.name() + ":" + g.pick("28", "33", "1", "16", "99", "65537", "13") + ":" + g.text() + g.times()
	case "Z":
		return kind + g.name() + ":" + g.name() + ":" + g.name() + ":" + g.number() + ":" + g.number() + ":" +
			g.number() + ":" + g.number() + ":" + g.number() + g.times()
	case "%":
		return kind + g.pick("in", "ex", "a", "", "\x00x") + g.pick("", ":10", ":127.0.0", ":127.0.0.1", ":10.1", ":65.66", ":..1.x", ":300")
	}
	return kind + g.name()
}

func (g *generator) name() string {
	if g.Float64() < g.rude {
		return g.pick("", ".", "..", "*", "a..b.example.com", "\\", "a\\", "\\052.example.com", "\\1\\22\\333.example.com",
			"x\\.y.example.com", strings.Repeat("l", 63)+".example.com", "*.*.example.com", "example.com.", ".example.com",
			"EXAMPLE.com", "a b.example.com", "\\141.example.com", "*a.example.com", strings.Repeat("a.", 126)+"b",
			strings.Repeat("long-label-", 5)+"."+strings.Repeat("m", 60)+"."+strings.Repeat("n", 60)+".example.com", g.junk(8))
	}
	return g.pick("", "", "*.") + g.pick("a", "b", "c", "www", "mail", "A", "Host-1", "_sip._tcp", "a.b", "b.a", "x.y.z") + "." +
		g.pick("example.com", "example.com", "b.example.com", "Example.Com", "example.net", "1.0.10.in-addr.arpa", "com")
}

func (g *generator) server() string {
	if g.Float64() < g.rude {
		return g.pick("", "a\\", "a.", ".", "\\056", g.name())
	}
	return g.pick("a", "b", "ns", "mx1.example.com", "a.ns.example.com", "")
}

func (g *generator) ip() string {
	if g.Float64() < g.rude {
		return g.pick("", "1.2.3", "256.1.1.1", "1.2.3.4.5", "1.2.3.4x", "x", "1..2.3", "0001.2.3.4", " 1.2.3.4", "18446744073709551617.1.1.1")
	}
	return fmt.Sprintf("%s.0.0.%d", g.pick("10", "127", "192"), g.IntN(30))
}

func (g *generator) number() string {
	if g.Float64() < g.rude {
		return g.pick("-1", "x", "4294967296", "4294967301", "18446744073709551616", "12x", " 5", "007", "70000")
	}
	return g.pick("", "", "0", "5", "300", "65535")
}

func (g *generator) text() string {
	if g.Float64() < g.rude {
		return g.pick("", "\\", "a\\072b", "\\0", "\\08", "\\400", "\\777x", strings.Repeat("0123456789", g.IntN(60)),
			strings.Repeat("\\001", g.IntN(140)), g.junk(20), strings.Repeat("b", 127), strings.Repeat("b", 128))
	}
	return g.pick("v=spf1 -all", "hello", "\\300\\001", "\\0011234")
}

// times is the end of a line: time to live, timestamp and location.
func (g *generator) times() string {
	stamp := func() string {
		if g.Float64() < g.rude {
			return g.pick("4", "ABCDEF", "400000000000000a00", "0", "zzzz", "4000000g00000000", "ffffffffffffffff")
		}
		now := time.Now().Unix()
		return fmt.Sprintf("%016x", uint64(taiEpoch+now+g.pickInt(-5000, -100, 100, 1800, 5000)))
	}
	switch g.IntN(8) {
	case 0, 1:
		return ""
	case 2:
		return ":" + g.number()
	case 3:
		return ":" + g.number() + ":" + stamp()
	case 4:
		return ":0:" + stamp()
	case 5:
		return "::" + ":" + g.pick("in", "ex", "a", "", "inside", "\x00x")
	case 6:
		return ":300:" + g.pick("", stamp()) + ":" + g.pick("in", "ex") + ":rest:rest"
	}
	return ":300"
}

func (g *generator) pickInt(from ...int64) int64 { return from[g.IntN(len(from))] }

// junk is up to n bytes, mostly of those that mean something.
func (g *generator) junk(n int) string {
	b := make([]byte, g.IntN(n+1))
	for i := range b {
		if g.IntN(6) == 0 {
			b[i] = byte(g.IntN(256))
		} else {
			const some = "+=.&@CZS^':%\\\\..::abc019* \t\r\v#-6"
			b[i] = some[g.IntN(len(some))]
		}
	}
	return string(b)
}
