package screen

import (
	"bytes"
	"io"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	for _, test := range []struct {
		done, size int64
		width      int
		want       string
	}{
		{0, 100e6, 50, "[-------------------------]   0%  0.0 MB/s  ? left"},
		{25e6, 100e6, 50, "[#####------------------]  25%  12.5 MB/s  6s left"},
		{200e6, 100e6, 40, "[############] 100%  100.0 MB/s  0s left"},
		{5e6, 0, 20, "5 MB  2.5 MB/s      "},
		{50e6, 100e6, 10, "[]  50%  ~"},
	} {
		if got := progressLine(test.done, test.size, 2*time.Second, test.width); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestNoProgressWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	work, end := Progress(&out, 100)
	io.WriteString(work, "x")
	time.Sleep(progressWait + progressEvery)
	if end(); out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
}
