package tinydns

import (
	"bytes"
	"fmt"
	"io"
)

// MaxLine is the length, in bytes, of the longest line that Encode takes. One
// line can hold no more than a name and 64 KiB of data; a longer one would only
// take memory.
const MaxLine = 1 << 20

// LimitLines returns a reader of text, which errors call file. It fails with a
// *LineError at a line longer than MaxLine.
func LimitLines(file string, text io.Reader) io.Reader {
	return &limitedLines{file: file, text: text, line: 1}
}

type limitedLines struct {
	file   string
	text   io.Reader
	line   int // that is being read
	length int // of what was read of it
}

func (l *limitedLines) Read(b []byte) (int, error) {
	n, err := l.text.Read(b[:min(len(b), MaxLine)]) // so only the first line in it can be too long
	b = b[:n]
	first, last := bytes.IndexByte(b, '\n'), bytes.LastIndexByte(b, '\n')
	if first < 0 {
		l.length += n
	} else {
		l.length += first
	}
	if l.length > MaxLine {
		return 0, &LineError{l.file, l.line, fmt.Sprintf("longer than %d bytes", MaxLine)}
	}
	if last >= 0 {
		l.line += bytes.Count(b, newline)
		l.length = n - last - 1
	}
	return n, err
}

var newline = []byte{'\n'}
