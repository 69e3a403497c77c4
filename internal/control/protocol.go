// Package control is the gateway's door for programs of its own machine, a unix
// socket: for "dnsgate admin" by hand, and for the forced commands of accounts
// whose clients come through OpenSSH's sshd. Both ends are here.
//
// It trusts the kernel, which names the user of each connection (SO_PEERCRED, unix(7)).
// It believes an account the words that its own forced commands could have said: which
// key was proven, from where, and its grant.
//
// A client sends one line of JSON, its Request. Its standard input follows as it is,
// once the server asks for it; the stream ends with it. The server answers in frames of
// a kind, a length and that number of bytes.
package control

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Request is one command.
type Request struct {
	Forced  string `json:"forced"`         // the key's grant: "dnsgate allow HOST...", "dnsgate admin"
	Command string `json:"command"`        // the line that the client sent
	Shell   bool   `json:"shell"`          // it sent none, and wants a shell
	Key     string `json:"key,omitempty"`  // the proven key's fingerprint, "SHA256:..."; empty: no key
	From    string `json:"from,omitempty"` // the client's address; empty: this machine

	// Certificate is that of the proven key, in wire format; Key is then ignored.
	// Forced is the line of its CA.
	Certificate []byte `json:"certificate,omitempty"`

	Terminal *Terminal `json:"terminal,omitempty"` // the terminal of the client's output; nil: none
}

// Terminal is one in raw mode. Its client reports a new size in its input, as a
// terminal does: CSI 8 ; HEIGHT ; WIDTH t.
type Terminal struct {
	Type    string `json:"type"` // TERM
	NoColor bool   `json:"no_color,omitempty"`
	Width   uint32 `json:"width"`
	Height  uint32 `json:"height"`
}

// maxRequest is the length of the longest request, in bytes: a forced command has
// up to 10,000 hosts.
const maxRequest = 4 << 20

// Kinds of frames.
const (
	wantsInput = 'i' // the command reads standard input; nothing follows
	output     = 'o'
	errorText  = 'e'
	exitStatus = 'x' // one byte; the last frame
)

// maxFrame is the length of the longest frame's content, in bytes.
const maxFrame = 32 << 10

var errProtocol = errors.New("not as dnsgate speaks on its control socket")

func readRequest(r *bufio.Reader) (Request, error) {
	var req Request
	line, err := readLine(r)
	if err == nil {
		err = json.Unmarshal(line, &req)
	}
	if err != nil {
		return req, fmt.Errorf("%w: %w", errProtocol, err)
	}
	return req, nil
}

func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxRequest {
			return nil, errors.New("the request is too long")
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func writeFrame(w io.Writer, kind byte, content []byte) error {
	for {
		n := min(len(content), maxFrame)
		frame := binary.BigEndian.AppendUint32([]byte{kind}, uint32(n))
		if _, err := w.Write(append(frame, content[:n]...)); err != nil {
			return err
		}
		if content = content[n:]; len(content) == 0 {
			return nil
		}
	}
}

func readFrame(r io.Reader) (kind byte, content []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, errProtocol
	}
	content = make([]byte, n)
	_, err = io.ReadFull(r, content)
	return head[0], content, err
}
