// Package follow keeps name servers on other machines up to the gateway. Server is the
// gateway's end of a stream of changes; Follower is the end of the machine with the
// name server. Contract section 11 describes the stream.
//
// Server trusts a Grant, which it looks up again each round. It accepts no
// acknowledgement of a revision that it has not sent. Follower trusts the pinned host
// key for the identity of the gateway, and checks every line that the gateway sends: one
// that is malformed, out of order or about other names ends the connection, and the
// name server keeps serving what it has.
package follow

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/plain"
)

const (
	format    = "1"
	firstLine = "# dnsgate follow " // and format and STORE
	wholeLine = "# whole"
	atLine    = "# at "

	heartbeat = time.Second
	maxLine   = 64 << 10 // bytes, of either end
)

// word identifies the store and the names for a follower, which gives it back to go on.
// With another store or other names, the follower gets the whole.
func word(id string, patterns []string) string {
	patterns = slices.Sorted(slices.Values(patterns))
	sum := sha256.Sum256([]byte(id + "\n" + strings.Join(patterns, "\n")))
	return hex.EncodeToString(sum[:16])
}

var errLongLine = fmt.Errorf("a line is longer than %d bytes", maxLine)

// readLine returns a line without its end; it is valid until the next call. A line
// without an end is an error: the stream was cut.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errLongLine
	case errors.Is(err, io.EOF) && len(line) > 0:
		return nil, io.ErrUnexpectedEOF
	}
	return nil, err
}

// parseAt reads the words behind "# at".
func parseAt(text string) (revision uint64, when time.Time, err error) {
	number, stamp, _ := strings.Cut(text, " ")
	if revision, err = parseRevision(number); err != nil {
		return 0, when, err
	}
	if when, err = time.Parse(time.RFC3339, stamp); err != nil {
		return 0, when, fmt.Errorf("%q is not a time", short(stamp))
	}
	return revision, when, nil
}

func parseRevision(text string) (uint64, error) {
	revision, err := strconv.ParseUint(text, 10, 64)
	if err != nil || strconv.FormatUint(revision, 10) != text {
		return 0, fmt.Errorf("%q is not a revision", short(text))
	}
	return revision, nil
}

func short(text string) string { return plain.Short(text, 60) }

// Upstream is the gateway that a Follower follows.
type Upstream struct {
	Address   string // connected to now, or last
	Connected bool
	Since     time.Time // of Connected, or of its end
	Revision  uint64    // of the gateway, as last received
	LastError string    // why there is no connection; "" while there is one
}
