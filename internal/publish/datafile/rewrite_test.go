package datafile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dnsgate/internal/durable"
	"dnsgate/internal/publish"
	"dnsgate/internal/records"
	"dnsgate/internal/tinydns"
	"dnsgate/test/publishing"
)

func rewriteOptions(root string) Options {
	return Options{Root: root, Write: "rewrite", Path: "data", Sources: []string{"data"}}
}

func TestRewriteTable(t *testing.T) {
	for name, c := range map[string]struct {
		data  string
		hosts []records.Host
		want  string
		fails []records.Name
	}{
		"every line": {
			"+h.example.com:192.0.2.1:60\n=H.Example.COM.:192.0.2.1\n+*.h.example.com:192.0.2.1:60\n+\\052.h.example.com:192.0.2.1\n+hh.example.com:192.0.2.1\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7")},
			"+h.example.com:203.0.113.7:60\n=H.Example.COM.:203.0.113.7\n+*.h.example.com:203.0.113.7:60\n+\\052.h.example.com:203.0.113.7\n+hh.example.com:192.0.2.1\n",
			nil,
		},
		"no newline, blanks, CR": {
			"+h.example.com:192.0.2.1 \t\n+h.example.com:192.0.2.1\r\n+h.example.com:192.0.2.1",
			[]records.Host{hostWith("h.example.com", "203.0.113.7")},
			"+h.example.com:203.0.113.7 \t\n+h.example.com:203.0.113.7\r\n+h.example.com:203.0.113.7",
			nil,
		},
		"an empty address": {
			"+h.example.com:\n+h.example.com::60\n+h.example.com\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7")},
			"+h.example.com:203.0.113.7\n+h.example.com:203.0.113.7:60\n+h.example.com\n",
			nil,
		},
		"no line": {
			"+other.example.com:192.0.2.1\n@h.example.com:192.0.2.1:a\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7"), hostWith("other.example.com", "203.0.113.8")},
			"+other.example.com:203.0.113.8\n@h.example.com:192.0.2.1:a\n",
			[]records.Name{"h.example.com"},
		},
		"off": {
			"+h.example.com:192.0.2.1:60\n=h.example.com:192.0.2.1\n+*.h.example.com:192.0.2.1\n:h.example.com:28:\\001:60\n6h.example.com:" + zeros + "\n",
			[]records.Host{hostWith("h.example.com")},
			"-h.example.com:192.0.2.1:60\n-=h.example.com:192.0.2.1\n-*.h.example.com:192.0.2.1\n-:h.example.com:28:\\001:60\n-6h.example.com:" + zeros + "\n",
			nil,
		},
		"on again": {
			"-h.example.com:192.0.2.1:60\n-=h.example.com:192.0.2.1\n-*.h.example.com:192.0.2.1\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7")},
			"+h.example.com:203.0.113.7:60\n=h.example.com:203.0.113.7\n+*.h.example.com:203.0.113.7\n",
			nil,
		},
		"turned off by the operator": {
			"-h.example.com:192.0.2.9:60\n+h.example.com:192.0.2.1\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7")},
			"-h.example.com:192.0.2.9:60\n+h.example.com:203.0.113.7\n",
			nil,
		},
		"names that begin with a digit": {
			"-6to4.example.com:192.0.2.9:60\n-3com.example.com:192.0.2.9\n+6to4.example.org:1.2.3.4\n",
			[]records.Host{hostWith("6to4.example.com", "203.0.113.7"), hostWith("3com.example.com", "203.0.113.8")},
			"+6to4.example.com:203.0.113.7:60\n+3com.example.com:203.0.113.8\n+6to4.example.org:1.2.3.4\n",
			nil,
		},
		"several addresses": {
			"+h.example.com:192.0.2.1:60\n+h.example.com:192.0.2.2:60\n+h.example.com:192.0.2.3:60\n+*.h.example.com:192.0.2.1:60\n+*.h.example.com:192.0.2.1:60\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7", "203.0.113.8")},
			"+h.example.com:203.0.113.7:60\n+h.example.com:203.0.113.8:60\n+h.example.com:203.0.113.7:60\n+*.h.example.com:203.0.113.7:60\n+*.h.example.com:203.0.113.8:60\n",
			nil,
		},
		"addresses that stay where they are": {
			"=h.example.com:192.0.2.9\n+h.example.com:192.0.2.1\n+h.example.com:192.0.2.5\n+h.example.com:192.0.2.9 # twice\n",
			[]records.Host{hostWith("h.example.com", "192.0.2.1", "192.0.2.7", "192.0.2.9")},
			"=h.example.com:192.0.2.9\n+h.example.com:192.0.2.1\n+h.example.com:192.0.2.7\n+h.example.com:192.0.2.1 # twice\n",
			nil,
		},
		"more addresses than lines": {
			"+h.example.com:192.0.2.1\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7", "203.0.113.8")},
			"+h.example.com:203.0.113.7\n",
			[]records.Name{"h.example.com"},
		},
		"IPv6": {
			":h.example.com:28:\\000:60\n6h.example.com:" + zeros + ":60\n3h.example.com:" + zeros + "\n:h.example.com:29:\\000\n",
			[]records.Host{hostWith("h.example.com", "2001:db8::7")},
			":h.example.com:28:\\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\007:60\n" +
				"6h.example.com:20010db8000000000000000000000007:60\n3h.example.com:20010db8000000000000000000000007\n:h.example.com:29:\\000\n",
			nil,
		},
		"a family without a line": {
			"+h.example.com:192.0.2.1\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7", "2001:db8::7")},
			"+h.example.com:203.0.113.7\n",
			[]records.Name{"h.example.com"},
		},
		"a family that was never ours": {
			"+h.example.com:192.0.2.1\n:h.example.com:28:\\001\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7")},
			"+h.example.com:203.0.113.7\n:h.example.com:28:\\001\n",
			nil,
		},
		"the wildcard is a host of its own": {
			"+h.example.com:192.0.2.1\n+*.h.example.com:192.0.2.1\n",
			[]records.Host{hostWith("h.example.com", "203.0.113.7"), hostWith("*.h.example.com", "203.0.113.8")},
			"+h.example.com:203.0.113.7\n+*.h.example.com:203.0.113.8\n",
			nil,
		},
		"texts": {
			"'h.example.com:v=spf1 -all\n'_acme-challenge.h.example.com:old:60\n'*.h.example.com:words\n",
			[]records.Host{hostWith("h.example.com"), hostWith("_acme-challenge.h.example.com", "new")},
			"'h.example.com:v=spf1 -all\n'_acme-challenge.h.example.com:new:60\n'*.h.example.com:words\n",
			nil,
		},
		"other lines": {
			"# +h.example.com:192.0.2.1\n#h.example.com\n.h.example.com:192.0.2.1:a\n&h.example.com:192.0.2.1:a\n@h.example.com:192.0.2.1:a\nCwww.example.com:h.example.com\n\n:\n+\n-\n%in:192.0.2\n",
			[]records.Host{hostWith("h.example.com")},
			"# +h.example.com:192.0.2.1\n#h.example.com\n.h.example.com:192.0.2.1:a\n&h.example.com:192.0.2.1:a\n@h.example.com:192.0.2.1:a\nCwww.example.com:h.example.com\n\n:\n+\n-\n%in:192.0.2\n",
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			data := filepath.Join(root, "data")
			write(t, data, c.data)
			o := rewriteOptions(root)
			o.Rebuild = []string{"true"}
			target := newTarget(t, o)
			for _, whole := range []bool{true, false, true} {
				err := target.Publish(context.Background(), c.hosts, whole)
				if got := read(t, data); got != c.want {
					t.Errorf("got\n%s\nnot\n%s", got, c.want)
				}
				var refused publish.HostErrors
				if err != nil && !errors.As(err, &refused) {
					t.Fatal(err)
				}
				for _, name := range c.fails {
					if refused[name] == nil {
						t.Errorf("%s is said to be published", name)
					}
				}
				if len(refused) != len(c.fails) {
					t.Errorf("refused are %v", refused)
				}
			}
		})
	}
}

const zeros = "00000000000000000000000000000000"

func TestRewriteKnowsAcrossRunsWhatItTurnedOn(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	write(t, data, "+h.example.com:192.0.2.1\n3h.example.com:"+zeros+"\n")
	o := rewriteOptions(root)
	o.Rebuild = []string{"true"}
	target := newTarget(t, o)
	serve(t, target, true, hostWith("h.example.com", "203.0.113.7", "2001:db8::7"))
	target.Close()
	target = newTarget(t, o) // went offline -6 when this one was not there yet
	serve(t, target, true, hostWith("h.example.com", "203.0.113.7"))
	if got := read(t, data); got != "+h.example.com:203.0.113.7\n-3h.example.com:20010db8000000000000000000000007\n" {
		t.Errorf("got %q", got)
	}
}

// TestRewriteTouchesNothingElse: random files, random changes. Lines of no host
// stay byte for byte, and so does, but for its address, every line of one.
func TestRewriteTouchesNothingElse(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		root := t.TempDir()
		data := filepath.Join(root, "data")
		var lines []string
		for range random.IntN(30) {
			lines = append(lines, randomLine(random))
		}
		text := strings.Join(lines, "\n") + randomText(random)
		lines = strings.Split(text, "\n")
		write(t, data, text)
		w := newRewriteWriter(data, "", publishing.Quiet())
		for round := range 10 {
			h := hostWith(fmt.Sprintf("h%d.example.com", random.IntN(4)))
			if random.IntN(3) > 0 {
				h = hostWith(string(h.Name), fmt.Sprintf("203.0.113.%d", random.IntN(256)))
			}
			_, err := w.write(context.Background(), publish.OnePiece([]records.Host{h}), round == 0)
			var refused publish.HostErrors
			if err != nil && !errors.As(err, &refused) {
				t.Fatal(err)
			}
			if err := commit(w.begun()); err != nil {
				t.Fatal(err)
			}
			after := strings.Split(read(t, data), "\n")
			if len(after) != len(lines) {
				t.Fatalf("%d lines became %d", len(lines), len(after))
			}
			for i := range lines {
				if blank(after[i]) != blank(lines[i]) {
					t.Fatalf("line %q became %q", lines[i], after[i])
				}
				if h.Records != nil && strings.HasPrefix(lines[i], "+"+string(h.Name)+":") && refused[h.Name] == nil &&
					!strings.HasPrefix(after[i], "+"+string(h.Name)+":"+h.Records[0].Value()) {
					t.Fatalf("line %q is not the one of %s", after[i], h.Records[0].Value())
				}
			}
		}
	}
}

// blank takes the address, and what turns a line off, out of a line of one of
// the hosts.
func blank(line string) string {
	kind, rest := "", line
	for _, prefix := range []string{"-=", "-", "=", "+"} {
		if after, ok := strings.CutPrefix(line, prefix); ok {
			kind, rest = strings.Trim(prefix, "-+"), after
			break
		}
	}
	f := strings.Split(rest, ":")
	name := strings.TrimPrefix(f[0], "*.")
	hosts := []string{"h0.example.com", "h1.example.com", "h2.example.com", "h3.example.com"}
	if rest == line || len(f) < 2 || !slices.Contains(hosts, name) {
		return line
	}
	f[1] = ""
	return kind + strings.Join(f, ":")
}

func randomLine(random *rand.Rand) string {
	name := fmt.Sprintf("h%d.example.com", random.IntN(8))
	addr := fmt.Sprintf("192.0.2.%d", random.IntN(256))
	switch random.IntN(8) {
	case 0:
		return "=" + name + ":" + addr
	case 1:
		return "+*." + name + ":" + addr + ":60"
	case 2:
		return "@" + name + ":" + addr + ":mx"
	case 3:
		return "# +" + name + ":" + addr
	case 4:
		return "'" + name + ":" + addr
	case 5:
		return "-" + name + ":" + addr + ":60::in"
	}
	return "+" + name + ":" + addr + ":" + fmt.Sprint(random.IntN(1000))
}

// TestRewriteSeesLinesComeAndGo: a line that the operator takes away makes its
// host refused, in whatever round that is noticed, until a line is there again.
func TestRewriteSeesLinesComeAndGo(t *testing.T) {
	root := t.TempDir()
	data := filepath.Join(root, "data")
	const a, b = "+a.example.com:192.0.2.1\n", "+b.example.com:192.0.2.2\n"
	write(t, data, a+b)
	o := rewriteOptions(root)
	o.Rebuild = []string{"true"}
	target := newTarget(t, o)
	serve(t, target, true, hostWith("a.example.com", "203.0.113.1"), hostWith("b.example.com", "203.0.113.2"))
	for round, step := range []struct {
		data    string // the operator's; "": not touched
		hosts   []records.Host
		refused []records.Name
	}{
		{"", []records.Host{hostWith("b.example.com", "203.0.113.3")}, nil},
		{b, []records.Host{hostWith("b.example.com", "203.0.113.4")}, []records.Name{"a.example.com"}},
		{"", []records.Host{hostWith("b.example.com", "203.0.113.5")}, []records.Name{"a.example.com"}},
		{"", nil, []records.Name{"a.example.com"}},
		{"#\n", nil, []records.Name{"a.example.com", "b.example.com"}},
		{"", []records.Host{hostWith("a.example.com")}, []records.Name{"b.example.com"}},
		{a + b, nil, nil},
		{"", []records.Host{hostWith("a.example.com", "203.0.113.6", "203.0.113.7")}, []records.Name{"a.example.com"}},
		{"", []records.Host{hostWith("a.example.com", "203.0.113.6")}, nil},
	} {
		if step.data != "" {
			write(t, data, step.data)
		}
		err := target.Publish(context.Background(), step.hosts, false)
		var refused publish.HostErrors
		if errors.As(err, &refused); err != nil && refused == nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(refused)); !slices.Equal(got, step.refused) {
			t.Errorf("round %d: refused are %v, not %v", round, refused, step.refused)
		}
	}
}

func TestRewriteCompiles(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "data"), zone+"+h.example.com:192.0.2.1\n")
	target := newTarget(t, rewriteOptions(root))
	serve(t, target, true, hostWith("h.example.com", "203.0.113.7"))
	checkDatabase(t, root, "data")
}

func BenchmarkRewrite(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			root := b.TempDir()
			var lines strings.Builder
			for i := range n {
				fmt.Fprintf(&lines, "+h%d.example.com:192.0.2.1:300\n", i)
			}
			write(b, filepath.Join(root, "data"), zone+lines.String())
			benchmarkTarget(b, newTarget(b, rewriteOptions(root)), n)
		})
	}
}

func FuzzHostLineOnAndOff(f *testing.F) {
	for _, line := range []string{"+a.b:1.2.3.4", "+a.b:1.2.3.4  # text", "-=a.b:1:2:3:lo", ":a.b:28:\\001:::", "-6a:1", "'a.b:x", "\\", "-"} {
		f.Add([]byte(line))
	}
	r := hostWith("h.example.com", "203.0.113.7", "2001:db8::7", "text").Records
	f.Fuzz(func(t *testing.T, line []byte) {
		l, ok := tinydns.ReadHostLine(line)
		owner, err := records.ParseStored(string(l.AppendOwner(nil, line)))
		if slices.Contains(line, '\n') || !ok || err != nil {
			return
		}
		want := r[slices.Index(records.Types, records.Type(l.Type))]
		on := appendOn(nil, &l, line, want)
		again, ok := tinydns.ReadHostLine(on)
		if !ok || again.Off || again.Kind != l.Kind || again.Addr != want.Addr || again.View != l.View || string(again.AppendOwner(nil, on)) != string(owner) {
			t.Fatalf("%q, turned on, is %q", line, on)
		}
		off := appendOff(nil, &again, on)
		if back, ok := tinydns.ReadHostLine(off); !ok || !back.Off || back.Kind != l.Kind || string(back.AppendOwner(nil, off)) != string(owner) {
			t.Fatalf("%q, turned off, is %q", on, off)
		}
	})
}

// TestRewriteLocations: where the lines of a host are not for all clients, or
// not for all times, none is written unless the location says which.
func TestRewriteLocations(t *testing.T) {
	const both = "+h.example.com:10.0.0.5:60::in\n+h.example.com:203.0.113.5:60::ex\n+h.example.com:203.0.113.6:60\n"
	for name, c := range map[string]struct {
		location, data, want, fault string
	}{
		"not told":      {"", both, both, "data:4: the lines of h.example.com differ by location: line 3 has another; say with location"},
		"inside":        {"in", both, strings.Replace(both, "10.0.0.5", "203.0.113.7", 1), ""},
		"without one":   {"-", both, strings.Replace(both, "203.0.113.6", "203.0.113.7", 1), ""},
		"another":       {"xx", both, both, "no line for its A record"},
		"all alike":     {"", "+h.example.com:1.2.3.4:60::in", "+h.example.com:203.0.113.7:60::in", ""},
		"one is off":    {"", "-h.example.com:1.2.3.4:60::in\n+h.example.com:1.2.3.4", "-h.example.com:1.2.3.4:60::in\n+h.example.com:1.2.3.4", "differ by location"},
		"its wildcard":  {"", "+h.example.com:1.2.3.4\n+*.h.example.com:1.2.3.4:::in", "+h.example.com:1.2.3.4\n+*.h.example.com:1.2.3.4:::in", "differ by location"},
		"two bytes":     {"", "+h.example.com:1.2.3.4:::inside\n+h.example.com:1.2.3.4:::in", "+h.example.com:203.0.113.7:::inside\n+h.example.com:203.0.113.7:::in", ""},
		"a change-over": {"", "+h.example.com:1.2.3.4:0:4000000069000000\n+h.example.com:1.2.3.5:60:4000000069000000", "+h.example.com:1.2.3.4:0:4000000069000000\n+h.example.com:1.2.3.5:60:4000000069000000", "differ by timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			data := filepath.Join(root, "data")
			write(t, data, zone+c.data)
			o := rewriteOptions(root)
			o.Location = c.location
			faults, _ := Check(o, []records.Name{"h.example.com"}, durable.AccountOf(root))
			if told := strings.Contains(c.fault, "differ"); told != (len(faults) == 1) {
				t.Errorf("check: %v", faults)
			}
			err := newTarget(t, o).Publish(context.Background(), []records.Host{hostWith("h.example.com", "203.0.113.7")}, true)
			var refused publish.HostErrors
			if c.fault == "" && err != nil || c.fault != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %v, not %q", err, c.fault)
			}
			var views *tinydns.ViewsError
			if errors.As(refused["h.example.com"], &views) && strings.Contains(views.ForClient(), "data") {
				t.Errorf("a client is told %q", views.ForClient())
			}
			if got := read(t, data); got != zone+c.want {
				t.Errorf("got %q\nwant %q", got, c.want)
			}
		})
	}
}
