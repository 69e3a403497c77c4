package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// stream is a follower that acknowledges what it receives, and stores nothing.
type stream struct {
	client *ssh.Client
	ended  chan struct{}

	mu       sync.Mutex
	store    string
	revision uint64
	began    bool // the first group has come
	read     int64
	came     map[string]time.Time // when an address came first, of those that are looked for
}

// begin starts a command at a gateway, with a key that may be so new that the gateway
// does not know it yet.
func begin(g *daemon, key ssh.Signer, command string) (client *ssh.Client, in io.WriteCloser, out io.Reader) {
	config := &ssh.ClientConfig{User: "x", Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	client, err := ssh.Dial("tcp", g.address, config)
	for err != nil {
		time.Sleep(50 * time.Millisecond)
		client, err = ssh.Dial("tcp", g.address, config)
	}
	session, err := client.NewSession()
	check(err)
	in, err = session.StdinPipe()
	check(err)
	out, err = session.StdoutPipe()
	check(err)
	check(session.Start(command))
	return client, in, out
}

// listen begins a stream.
func listen(g *daemon, key ssh.Signer, command string) *stream {
	client, in, out := begin(g, key, command)
	s := &stream{client: client, ended: make(chan struct{}), came: make(map[string]time.Time)}
	go func() {
		defer close(s.ended)
		s.receive(bufio.NewReaderSize(out, 1<<16), in)
	}()
	return s
}

func (s *stream) receive(out *bufio.Reader, in io.Writer) {
	for {
		line, err := out.ReadString('\n')
		if err != nil {
			return
		}
		s.mu.Lock()
		s.read += int64(len(line))
		switch f := strings.Fields(line); {
		case strings.HasPrefix(line, "# dnsgate follow "):
			s.store = f[4]
		case strings.HasPrefix(line, "# at "):
			fmt.Sscan(f[2], &s.revision)
			s.began = true
			fmt.Fprintf(in, "at %d\n", s.revision)
		case len(f) == 8 && s.began:
			if _, looked := s.came[f[4]]; !looked {
				s.came[f[4]] = time.Now()
			}
		}
		s.mu.Unlock()
	}
}

// awaitEnd waits for the end of a group that goes on behind a revision.
func (s *stream) awaitEnd(behind uint64) {
	for {
		s.mu.Lock()
		there := s.began && s.revision > behind
		s.mu.Unlock()
		if there {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *stream) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read
}

// close returns how far it came.
func (s *stream) close() (store string, revision uint64) {
	s.client.Close()
	<-s.ended
	return s.store, s.revision
}
