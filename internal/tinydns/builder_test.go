package tinydns

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBuilderFirst(t *testing.T) {
	p, err := Encode("data", strings.NewReader(".example.com::a\n+x.example.com:1.2.3.4:300\n"), Stock)
	if err != nil {
		t.Fatal(err)
	}
	var b Builder
	b.SetSources([]*Part{p}, nil)
	if err := b.Apply([]Owner{{"h", []byte("+h.example.com:1.2.3.5:300\n")}}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.WriteDatabase(f, 7); err != nil {
		t.Fatal(err)
	}
	var w bytes.Buffer
	b.WriteLines(&w)
	t.Log(w.String())
}
