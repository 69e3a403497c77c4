package push

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/sysexits"
)

const (
	maxAddresses   = 16
	maxSource      = 4096      // bytes read of a file
	maxOutput      = 64 * 1024 // bytes read of a program, or of the gateway
	commandTimeout = 30 * time.Second
)

// find returns the addresses to send. If it finds no address, why tells the
// reason. The error is a *Failure.
func (j *job) find(ctx context.Context) (found addresses, why string, err error) {
	if found, why, err = j.collect(ctx, j.conf.Address); err != nil || j.conf.Address6.Kind == "" {
		return found, why, err
	}
	delete(found, 6)
	if !slices.Contains(j.families, 6) {
		return found, why, nil
	}
	found6, why, err := j.collect(ctx, j.conf.Address6)
	if found6[6] != "" {
		found[6] = found6[6]
	}
	return found, why, err
}

func (j *job) collect(ctx context.Context, s Source) (found addresses, why string, err error) {
	switch s.Kind {
	case "peer":
		return addresses{4: peerAddress, 6: peerAddress}, "", nil
	case "argument":
		found, err = j.argument()
		return found, "no address was given", err
	case "file":
		text, why := readSource(s.Words[0])
		found, err = j.accept(text)
		return found, why, err
	case "command":
		return j.command(ctx, s.Words)
	default:
		return j.ofInterface(s.Words[0]), fmt.Sprintf("interface %s has no address to publish", s.Words[0]), nil
	}
}

func (j *job) argument() (addresses, error) {
	if len(j.given) == 1 && j.given[0] == peerAddress {
		return addresses{4: peerAddress, 6: peerAddress}, nil
	}
	return j.acceptWords(j.given)
}

// accept reads addresses between blanks or line ends.
func (j *job) accept(text string) (addresses, error) {
	return j.acceptWords(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' }))
}

func (j *job) acceptWords(words []string) (addresses, error) {
	if len(words) > maxAddresses {
		return nil, failure(sysexits.Data, "more than %d addresses", maxAddresses)
	}
	found := addresses{}
	for _, word := range words {
		if err := found.accept(word, j.conf.Private); err != nil {
			return nil, &Failure{sysexits.Data, err}
		}
	}
	return found, nil
}

// readSource returns what a file holds, and what to say if that is nothing.
func readSource(path string) (text, why string) {
	why = fmt.Sprintf("%s is not there or cannot be read", path)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", why // opening a pipe would wait for its writer
	}
	f, err := os.Open(path)
	if err != nil {
		return "", why
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSource))
	if err != nil {
		return "", why
	}
	return string(b), fmt.Sprintf("%s has no address", path)
}

// command asks a program for the addresses. Its words are passed as they are.
func (j *job) command(ctx context.Context, words []string) (addresses, string, error) {
	program := words[0]
	if _, err := exec.LookPath(program); err != nil {
		return nil, "", failure(sysexits.Config, "%s: not a program", program)
	}
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	out := &bounded{full: cancel}
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	cmd.Stdout = out
	cmd.WaitDelay = 2 * time.Second // a child of the program may keep its output open
	if err := cmd.Run(); err != nil {
		why := fmt.Sprintf("%s failed: %v", program, err)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() > 0 {
			why = fmt.Sprintf("%s failed with status %d", program, exit.ExitCode())
		}
		return nil, why, nil
	}
	found, err := j.accept(out.String())
	return found, fmt.Sprintf("%s printed no address", program), err
}

// bounded keeps what is written to it, and refuses more than maxOutput bytes:
// then it calls full. The buffer is not embedded: its ReadFrom knows no bound.
type bounded struct {
	buf  bytes.Buffer
	full func()
}

var errTooLong = errors.New("it said too much")

func (b *bounded) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > maxOutput {
		b.full()
		return 0, errTooLong
	}
	return b.buf.Write(p)
}

func (b *bounded) String() string { return b.buf.String() }
