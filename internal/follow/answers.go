package follow

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"dnsgate/internal/records"
)

// readAcks reads acknowledgements until the follower hangs up or sends something else,
// and then ends the stream.
func (st *stream) readAcks(end func(why error)) {
	in := bufio.NewReaderSize(st.In, maxLine)
	for {
		line, err := readLine(in)
		if err != nil {
			if errors.Is(err, errLongLine) {
				err = fmt.Errorf("%w: %w", ErrWords, err)
			} else {
				err = fmt.Errorf("%w: %w", errHungUp, err)
			}
			end(err)
			return
		}
		if err := st.readAck(string(line)); err != nil {
			end(err)
			return
		}
	}
}

// readAck reads "at REVISION [HOST...]".
func (st *stream) readAck(line string) error {
	words := strings.Split(strings.TrimSuffix(line, "\r"), " ")
	if len(words) < 2 || words[0] != "at" {
		return fmt.Errorf("%w: %q", ErrWords, short(line))
	}
	revision, err := parseRevision(words[1])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWords, err)
	}
	var refused []records.Name
	for _, word := range words[2:] {
		name, err := records.ParseStored(word)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrWords, err)
		}
		refused = append(refused, records.Name(strings.Clone(string(name))))
	}
	return st.server.ack(st.member, revision, refused)
}
