package screen

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/charmbracelet/x/term"
)

// Progress draws a bar on out, from a second after the call until end, if out is a
// terminal that can draw. Each byte that is written to work counts as done. size is how
// many there will be; 0: not known.
func Progress(out io.Writer, size int64) (work io.Writer, end func()) {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) || !(Terminal{Type: os.Getenv("TERM")}).Draws() {
		return io.Discard, func() {}
	}
	p := &progress{size: size, began: time.Now()}
	stop := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() { p.draw(f, stop) })
	return p, func() {
		close(stop)
		drawing.Wait()
	}
}

type progress struct {
	size  int64
	began time.Time
	done  atomic.Int64
}

func (p *progress) Write(b []byte) (int, error) {
	p.done.Add(int64(len(b)))
	return len(b), nil
}

// Most work ends before anybody could read a bar.
const (
	progressWait  = time.Second
	progressEvery = 200 * time.Millisecond
)

func (p *progress) draw(out *os.File, stop <-chan struct{}) {
	next := time.After(progressWait)
	drawn := false
	for {
		select {
		case <-next:
			width, _, err := term.GetSize(out.Fd())
			if err != nil || width <= 0 {
				width = 80
			}
			fmt.Fprintf(out, "\r%s", progressLine(p.done.Load(), p.size, time.Since(p.began), width-1))
			drawn, next = true, time.After(progressEvery)
		case <-stop:
			if drawn {
				fmt.Fprint(out, "\r\x1b[K")
			}
			return
		}
	}
}

// progressLine is a bar with the rate and the time left.
func progressLine(done, size int64, took time.Duration, width int) string {
	rate := float64(done) / took.Seconds() / 1e6
	if size <= 0 {
		return fit(fmt.Sprintf("%d MB  %.1f MB/s", done/1e6, rate), width)
	}
	done = min(done, size)
	left := "?"
	if done > 0 {
		left = span(time.Duration(float64(took) * float64(size-done) / float64(done)))
	}
	text := fmt.Sprintf(" %3d%%  %.1f MB/s  %s left", 100*done/size, rate, left)
	room := max(width-len(text)-2, 0)
	full := int(int64(room) * done / size)
	return fit("["+strings.Repeat("#", full)+strings.Repeat("-", room-full)+"]"+text, width)
}
