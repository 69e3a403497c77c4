package tinydns

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cutsData has zones, delegations, zones that only some see, and such that
// begin and end.
const cutsData = `%in:10
%ex
.example.com:192.0.2.1:a
&away.example.com:192.0.2.2:ns.away.example.com
&Home.Example.com::ns.elsewhere.test
+home.example.com:192.0.2.3
+deep.sub.example.com:192.0.2.3
=*.wild.test:192.0.2.1
&*.wildns.test:192.0.2.1:a
&only.test:192.0.2.1:a
Zsoa.test:a.soa.test:b.soa.test
Zsplit.test:a.test:b.test
&split.test::ns1.test
.views.test:192.0.2.1:a:::in
.views.test:192.0.2.1:a:::ex
&part.views.test::ns.elsewhere.test:::ex
.inner.test:192.0.2.1:a:::in
.nobody.test:192.0.2.1:a:::no
.over.test:192.0.2.1:a:0:4000000000000001
.later.test:192.0.2.1:a:60:5000000000000000
.now.test:192.0.2.1:a:60:4000000000000001
`

// TestCuts compares with what the real tinydns-get answers to clients in each
// location.
func TestCuts(t *testing.T) {
	get := need(t, "tinydns-get")
	dir := compareCompile(t, need(t, "tinydns-data"), []byte(cutsData), time.Unix(1700000000, 0))
	database := readFile(t, filepath.Join(dir, "data.cdb"))
	fromFile, err := ReadCuts(bytes.NewReader(database), int64(len(database)))
	if err != nil {
		t.Fatal(err)
	}
	part, err := Encode("data", strings.NewReader(cutsData), Stock)
	if err != nil {
		t.Fatal(err)
	}
	yes, delegations := 0, make(map[string]string)
	for _, name := range []string{"example.com", "www.example.com", "a.b.c.example.com", "*.example.com", "com", "notexample.com", "HOME.example.com",
		"home.example.com", "x.home.example.com", "away.example.com", "x.away.example.com", "deep.sub.example.com", "x.wild.test", "x.wildns.test",
		"only.test", "x.only.test", "x.soa.test", "x.split.test", "x.views.test", "x.part.views.test", "x.inner.test", "x.nobody.test",
		"x.over.test", "x.later.test", "x.now.test"} {
		want := false
		for _, client := range []string{"10.0.0.1", "192.0.2.9"} {
			_, out, _ := run(t, dir, get, "a", name, client)
			want = want || strings.Contains(out, ", authoritative, ")
		}
		for from, cuts := range map[string]*Cuts{"database": fromFile, "parts": CutsOf([]*Part{part})} {
			delegated, ok := cuts.Authority(name, time.Now())
			if name == "x.nobody.test" { // it could be given a location
				want = true
			}
			if ok != want {
				t.Errorf("%s from the %s: %t, and tinydns says %t", name, from, ok, want)
			}
			delegations[name] = delegated
		}
		if want {
			yes++
		}
	}
	if yes < 8 {
		t.Errorf("only %d names are served", yes)
	}
	for name, want := range map[string]string{"x.away.example.com": "away.example.com", "x.home.example.com": "home.example.com", "com": "", "x.only.test": "only.test"} {
		if delegations[name] != want {
			t.Errorf("of %s is delegated %q, not %q", name, delegations[name], want)
		}
	}
	for suffix, want := range map[string]bool{"com": true, "example.com": false, "only.test": false, "test": true} {
		if got := fromFile.Below(suffix, time.Now()); got != want {
			t.Errorf("below %s is a zone: %t", suffix, got)
		}
	}
}

// TestReadCutsDamaged: no bytes do harm.
func TestReadCutsDamaged(t *testing.T) {
	dir := t.TempDir()
	writeData(t, dir, []byte(cutsData), time.Unix(1700000000, 0))
	if err := Compile(dir); err != nil {
		t.Fatal(err)
	}
	whole := readFile(t, filepath.Join(dir, "data.cdb"))
	for n := range len(whole) {
		ReadCuts(bytes.NewReader(whole[:n]), int64(n))
		damaged := bytes.Clone(whole)
		damaged[n] ^= 0xff
		if c, err := ReadCuts(bytes.NewReader(damaged), int64(len(damaged))); err == nil {
			c.Authority("www.example.com", time.Now())
			c.Below("com", time.Now())
		}
	}
	if _, err := ReadCuts(bytes.NewReader(nil), 0); err == nil {
		t.Error("an empty file is a database")
	}
}

func BenchmarkReadCuts(b *testing.B) {
	var text strings.Builder
	text.WriteString(cutsData)
	for i := range 100_000 {
		fmt.Fprintf(&text, "+h%d.example.com:192.0.2.1\n", i)
	}
	dir := b.TempDir()
	writeData(b, dir, []byte(text.String()), time.Unix(1700000000, 0))
	if err := Compile(dir); err != nil {
		b.Fatal(err)
	}
	database := readFile(b, filepath.Join(dir, "data.cdb"))
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			ReadCuts(bytes.NewReader(database), int64(len(database)))
		}
	})
	cuts, err := ReadCuts(bytes.NewReader(database), int64(len(database)))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ask", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			cuts.Authority("h4711.example.com", time.Time{})
		}
	})
}
