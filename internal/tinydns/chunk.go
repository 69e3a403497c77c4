package tinydns

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
)

// chunkSize is how much text is encoded at once, in bytes: enough to make the
// handing over cheap, little enough to stay in a processor's cache.
const chunkSize = 128 << 10

// chunk is a piece of a data file: whole lines, and what they become.
type chunk struct {
	text []byte
	encoder
	lines int   // how many there are, or up to the wrong one
	err   error // what is wrong with the last of lines
	done  chan struct{}
}

// encode encodes text up to the first line that is wrong.
func (c *chunk) encode() {
	c.reset()
	c.lines, c.err = 0, nil
	for text := c.text; len(text) > 0 && c.err == nil; {
		c.lines++
		if n := c.fastHost(text); n > 0 {
			text = text[n:]
			continue
		}
		line, rest := cutLine(text)
		text = rest
		c.err = c.line(line)
	}
}

// cutLine splits text after the first line, and takes newline and trailing
// blanks off that.
func cutLine(text []byte) (line, rest []byte) {
	line = text
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		line, rest = text[:i], text[i+1:]
	}
	return bytes.TrimRight(line, " \t\n"), rest
}

// lineError is a line that does not compile.
type lineError struct {
	line int // from 1
	err  error
}

func (f *lineError) Error() string { return f.err.Error() }
func (f *lineError) Unwrap() error { return f.err }

// readError is an error of the reader, not of what it read.
type readError struct{ error }

func (f readError) Unwrap() error { return f.error }

// encodeText encodes all of text, in parallel, and calls take with one chunk
// after the other in their order. A chunk is reused once take returns. It
// returns the first error in that order: a *lineError, a readError, or what
// take returned.
func encodeText(text io.Reader, dialect Dialect, serial uint32, take func(*chunk) error) error {
	workers := runtime.GOMAXPROCS(0)
	chunks := workers + 2
	work := make(chan *chunk, chunks)
	order := make(chan *chunk, chunks)
	free := make(chan *chunk, chunks)
	for range chunks {
		c := &chunk{done: make(chan struct{}, 1)}
		c.dialect, c.serial = dialect, serial
		free <- c
	}

	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for c := range work {
				c.encode()
				c.done <- struct{}{}
			}
		})
	}
	stop := make(chan struct{})
	var readErr error
	running.Go(func() {
		defer close(order)
		defer close(work)
		readErr = readChunks(text, free, stop, func(c *chunk) {
			order <- c
			work <- c
		})
	})

	err := takeChunks(order, free, take)
	close(stop)
	for range order { // what was read on after an error
	}
	running.Wait()
	if err == nil && readErr != nil {
		err = readError{readErr}
	}
	return err
}

// takeChunks calls take with each chunk once it is encoded, up to the first
// error.
func takeChunks(order <-chan *chunk, free chan<- *chunk, take func(*chunk) error) error {
	line := 0
	for c := range order {
		<-c.done
		if err := take(c); err != nil {
			return err
		}
		if c.err != nil {
			return &lineError{line + c.lines, c.err}
		}
		line += c.lines
		free <- c
	}
	return nil
}

// readChunks reads text in pieces that end after a newline, or at the end.
func readChunks(text io.Reader, free <-chan *chunk, stop <-chan struct{}, give func(*chunk)) error {
	var rest []byte
	for {
		var c *chunk
		select {
		case c = <-free:
		case <-stop:
			return nil
		}
		if cap(c.text) == 0 {
			c.text = make([]byte, 0, chunkSize)
		}
		c.text = append(c.text[:0], rest...)
		end, err := fillChunk(text, c)
		rest = append(rest[:0], c.text[end:]...)
		c.text = c.text[:end]
		if end > 0 {
			give(c)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fillChunk reads until c's buffer is full, and longer while there is no
// newline in it. It returns where the last line in it ends.
func fillChunk(text io.Reader, c *chunk) (end int, err error) {
	for empty := 0; ; {
		if len(c.text) == cap(c.text) {
			if end = bytes.LastIndexByte(c.text, '\n') + 1; end > 0 {
				return end, nil
			}
			c.text = append(c.text, make([]byte, len(c.text))...)[:len(c.text)]
		}
		n, err := text.Read(c.text[len(c.text):cap(c.text)])
		c.text = c.text[:len(c.text)+n]
		if errors.Is(err, io.EOF) {
			return len(c.text), err
		}
		if err != nil {
			return bytes.LastIndexByte(c.text, '\n') + 1, err
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty == 100 {
			return 0, io.ErrNoProgress
		}
	}
}
