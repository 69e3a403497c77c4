package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// heldSessions is how many commands one held connection runs at once, at most.
const heldSessions = 128

// held: many commands on one connection, and a batch.
func (b *bench) held() error {
	s, err := b.scene(0, 0)
	if err != nil {
		return err
	}
	s.wide = true
	servers, stop, err := b.startAll(s, starter{"dnsgate", "", b.startGateway})
	if err != nil {
		return err
	}
	defer stop()
	t := newTable("one held connection", "commands", "per second", "server CPU ms each")
	durable := func(session, _ int) string {
		return fmt.Sprintf("update %s %s", hostName(session), s.nextAddress())
	}
	for _, c := range []struct {
		name    string
		command func(session, i int) string
		at      int // once
	}{
		{"update, durable", durable, 1},
		{"update, durable", durable, 10}, // which is max_sessions where nothing is said
		{"update, durable", durable, 32},
		{"update, durable", durable, heldSessions},
		{"update, unchanged", func(int, int) string { return "update 192.0.2.1" }, 10},
		{"whoami", func(int, int) string { return "whoami" }, 10},
	} {
		rate, cpu, err := b.hold(servers[0], c.at, c.command)
		if err != nil {
			return err
		}
		t.add(fmt.Sprintf("%s, %d at once", c.name, c.at), count(rate), ms(cpu))
	}
	for range 2 {
		if err := b.batch(servers[0], t); err != nil {
			return err
		}
	}
	t.print()
	return nil
}

// hold runs commands on one connection for a while, in so many sessions.
func (b *bench) hold(srv *server, sessions int, command func(session, i int) string) (rate float64, cpu time.Duration, err error) {
	var rates []float64
	var cpus []time.Duration
	for range b.rounds {
		rate, cpu, err := b.holdOnce(srv, sessions, command)
		if err != nil {
			return 0, 0, err
		}
		rates, cpus = append(rates, rate), append(cpus, cpu)
	}
	return median(rates), median(cpus), nil
}

func (b *bench) holdOnce(srv *server, sessions int, command func(session, i int) string) (rate float64, cpu time.Duration, err error) {
	c, err := srv.dial(0, 0)
	if err != nil {
		return 0, 0, err
	}
	defer c.Close()
	before, err := srv.cpu()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	counts, errs := make([]int, sessions), make([]error, sessions)
	var running sync.WaitGroup
	for session := range sessions {
		running.Go(func() {
			for time.Since(began) < b.each && errs[session] == nil {
				errs[session] = runCommand(c, command(session, counts[session]))
				counts[session]++
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	after, err := srv.cpu()
	n := 0
	for _, one := range counts {
		n += one
	}
	return float64(n) / took.Seconds(), (after - before) / time.Duration(n), errors.Join(append(errs, err)...)
}

// runCommand runs a command as cheaply as a client can: the library's Session
// has three goroutines for each, and here the server is measured.
func runCommand(c *gossh.Client, command string) error {
	ch, requests, err := c.OpenChannel("session", nil)
	if err != nil {
		return err
	}
	defer ch.Close()
	exec := gossh.Marshal(struct{ Command string }{command}) // RFC 4254 section 6.5
	if ok, err := ch.SendRequest("exec", true, exec); err != nil || !ok {
		return fmt.Errorf("%s: refused, %v", command, err)
	}
	out, err := io.ReadAll(ch)
	if err != nil {
		return err
	}
	for r := range requests {
		if r.Type == "exit-status" && bytes.Equal(r.Payload, make([]byte, 4)) {
			return nil
		}
	}
	return fmt.Errorf("%s: %q", command, out)
}

// batch sends "update -" with many lines through OpenSSH's client.
func (b *bench) batch(srv *server, t *table) error {
	var lines bytes.Buffer
	for i := range b.many {
		fmt.Fprintf(&lines, "%s %s\n", hostName(i), srv.scene.nextAddress())
	}
	before, err := srv.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := srv.openssh("update -", io.Reader(&lines)); err != nil {
		return err
	}
	took := time.Since(began)
	after, err := srv.cpu()
	if err != nil {
		return err
	}
	t.add(fmt.Sprintf("lines of one `update -`, %s of them, all hosts different", count(float64(b.many))),
		count(float64(b.many)/took.Seconds()), ms((after-before)/time.Duration(b.many)))
	return nil
}
