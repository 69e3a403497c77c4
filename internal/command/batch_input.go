package command

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"time"
)

// inputLine is a line of the input, or the reason why it cannot be read.
type inputLine struct {
	text string
	err  error
}

// input reads lines until the input ends or stop is closed. Its goroutine may stay in a
// Read for longer than that; the door ends that Read after Run.
func (b *batch) input(stop <-chan struct{}) <-chan inputLine {
	lines := make(chan inputLine, 16)
	go func() {
		in := bufio.NewReaderSize(b.run.std.In, maxLine+2)
		for {
			text, err := readLine(in)
			select {
			case lines <- inputLine{text, err}:
			case <-stop:
				return
			}
			var f *Refusal
			if err != nil && !errors.As(err, &f) {
				return
			}
		}
	}()
	return lines
}

// next waits for a line, with a limit.
func (b *batch) next(lines <-chan inputLine) (inputLine, error) {
	select {
	case <-b.place.evicted:
		return inputLine{}, errEvicted
	default:
	}
	select {
	case l := <-lines:
		return l, nil
	default:
	}
	all := &b.run.interp.batches
	all.waits(b.place, time.Now())
	defer all.waits(b.place, time.Time{})
	var late <-chan time.Time
	idle := time.Duration(0)
	if b.run.interp.IdleTimeout != nil {
		idle = b.run.interp.IdleTimeout()
		late = time.After(idle)
	}
	select {
	case l := <-lines:
		return l, nil
	case <-late:
		return inputLine{}, refusal(Abuse, "no line came for %s, so the batch ends", idle)
	case <-b.place.evicted:
		return inputLine{}, errEvicted
	case <-b.run.ctx.Done():
		return inputLine{}, refusal(Outage, "the session ended before the batch did")
	}
}

// readLine returns a line without its end. It skips a line that is too long and returns
// a Refusal.
func readLine(r *bufio.Reader) (string, error) {
	text, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		for err == bufio.ErrBufferFull {
			_, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return "", err
		}
		return "", refusal(BadCommand, "longer than %d bytes", maxLine)
	}
	if err == io.EOF && len(text) > 0 {
		err = nil
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), err
}
