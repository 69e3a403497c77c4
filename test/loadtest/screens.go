package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

const (
	screens     = 4  // as many as a gateway draws at once
	screenTurns = 24 // of a quarter of each, with and without
)

// screens: what a gateway loses to people who look at `top`, in many short turns with
// and without them.
func (b *bench) screens() error {
	s, err := b.scene(0, 0)
	if err != nil {
		return err
	}
	s.wide = true
	var folder string
	servers, stop, err := b.startAll(s, starter{"dnsgate", "", func(s *scene, in string) (*server, error) {
		folder = in
		return b.startGateway(s, in)
	}})
	if err != nil {
		return err
	}
	defer stop()
	srv := servers[0]
	key, err := allowToLook(filepath.Join(folder, "authorized_keys"))
	if err != nil {
		return err
	}
	short := *b
	short.each, short.rounds = b.each/4, 1
	durable := func(session, _ int) string {
		return fmt.Sprintf("update %s %s", hostName(session), s.nextAddress())
	}
	rates, cpus := make(map[bool][]float64), make(map[bool][]time.Duration)
	for turn := range 2 * screenTurns {
		looked := turn%4 == 1 || turn%4 == 2 // each as often before the other as behind it
		closeAll := func() {}
		if looked {
			if closeAll, err = openScreens(srv.address, key); err != nil {
				return err
			}
		}
		rate, cpu, err := short.holdOnce(srv, 8, durable)
		closeAll()
		if err != nil {
			return err
		}
		rates[looked], cpus[looked] = append(rates[looked], rate), append(cpus[looked], cpu)
	}
	t := newTable(fmt.Sprintf("%d screens of the commands as they happen, %d turns", screens, screenTurns), "", "updates/s", "server CPU ms each", "part of the rate")
	alone := median(rates[false])
	t.add("no screen", count(alone), ms(median(cpus[false])), "")
	t.add(fmt.Sprintf("%d screens", screens), count(median(rates[true])), ms(median(cpus[true])), fmt.Sprintf("%.3f", median(rates[true])/alone))
	t.print()
	return nil
}

// allowToLook adds a key for `top` to a gateway that runs.
func allowToLook(authorizedKeys string) (gossh.Signer, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(authorizedKeys, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "command=\"dnsgate monitor\" %s", gossh.MarshalAuthorizedKey(signer.PublicKey()))
	time.Sleep(2 * time.Second) // a changed file counts within one
	return signer, errors.Join(err, f.Close())
}

// openScreens opens all of them, at the list of commands, and reads what they draw.
func openScreens(address string, key gossh.Signer) (closeAll func(), err error) {
	var conns []*gossh.Client
	closeAll = func() {
		for _, c := range conns {
			c.Close()
		}
		time.Sleep(100 * time.Millisecond) // their places are free then
	}
	for range screens {
		c, err := gossh.Dial("tcp", address, &gossh.ClientConfig{
			User: "look", Auth: []gossh.AuthMethod{gossh.PublicKeys(key)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(), // of this process
		})
		if err != nil {
			closeAll()
			return nil, err
		}
		conns = append(conns, c)
		if err := look(c); err != nil {
			closeAll()
			return nil, err
		}
	}
	return closeAll, nil
}

func look(c *gossh.Client) error {
	session, err := c.NewSession()
	if err != nil {
		return err
	}
	session.Stdout = io.Discard
	in, err := session.StdinPipe()
	if err != nil {
		return err
	}
	if err := session.RequestPty("xterm", 50, 160, nil); err != nil {
		return err
	}
	if err := session.Start("top"); err != nil {
		return err
	}
	_, err = io.WriteString(in, "4")
	return err
}
