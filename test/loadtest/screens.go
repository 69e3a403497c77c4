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
	screens        = 4 // as many as a gateway draws at once
	screensSession = 8
	screensHosts   = 10_000
	screensTurns   = 16 // with them and without, for each pace, of half the usual time
)

// screens: what a gateway of many hosts loses to people who look at `top`, in turns with
// and without them; as fast as it goes, and at a steady pace, where CPU time tells more.
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
	key, err := allowToLook(filepath.Join(folder, "authorized_keys"))
	if err != nil {
		return err
	}
	own := *b
	own.many, own.each = screensHosts, b.each/2
	if err := own.batch(servers[0], newTable("")); err != nil {
		return err
	}
	t := newTable(fmt.Sprintf("%d screens, half of hosts, half of commands as they happen; %s hosts, %d turns", screens, count(screensHosts), screensTurns),
		"updates", "screens", "updates/s", "server CPU ms each", "times the rate", "times the CPU")
	for _, pace := range []time.Duration{0, time.Millisecond} {
		if err := own.lookedAt(servers[0], key, pace, t); err != nil {
			return err
		}
	}
	t.print()
	return nil
}

// lookedAt adds to t how many updates come through, one each pace at most, with and
// without screens.
func (b *bench) lookedAt(srv *server, key gossh.Signer, pace time.Duration, t *table) error {
	var rates [2][]float64
	var cpus [2]time.Duration
	for turn := range 2 * screensTurns {
		looked := (turn + 1) / 2 % 2 // each as often before the other as behind it
		closeAll, err := openScreens(srv.address, key, screens*looked)
		if err != nil {
			return err
		}
		began := time.Now()
		rate, cpu, err := b.holdOnce(srv, screensSession, func(session, i int) string {
			time.Sleep(time.Until(began.Add(time.Duration(i*screensSession+session) * pace)))
			return fmt.Sprintf("update %s %s", hostName(session), srv.scene.nextAddress())
		})
		closeAll()
		if err != nil {
			return err
		}
		rates[looked] = append(rates[looked], rate)
		cpus[looked] += cpu / screensTurns
	}
	how := "as fast as they go"
	if pace > 0 {
		how = count(float64(time.Second/pace)) + " a second"
	}
	alone, together := median(rates[0]), median(rates[1])
	t.add(how, "0", count(alone), fmt.Sprintf("%.3f", float64(cpus[0])/1e6), "", "")
	t.add(how, fmt.Sprint(screens), count(together), fmt.Sprintf("%.3f", float64(cpus[1])/1e6),
		fmt.Sprintf("%.3f", together/alone), fmt.Sprintf("%.3f", float64(cpus[1])/float64(cpus[0])))
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

// openScreens opens n screens, and reads what they draw.
func openScreens(address string, key gossh.Signer, n int) (closeAll func(), err error) {
	var conns []*gossh.Client
	closeAll = func() {
		for _, c := range conns {
			c.Close()
		}
		time.Sleep(100 * time.Millisecond) // their places are free then
	}
	for i := range n {
		c, err := gossh.Dial("tcp", address, &gossh.ClientConfig{
			User: "look", Auth: []gossh.AuthMethod{gossh.PublicKeys(key)}, HostKeyCallback: gossh.InsecureIgnoreHostKey(), // of this process
		})
		if err != nil {
			closeAll()
			return nil, err
		}
		conns = append(conns, c)
		if err := look(c, []string{"1", "4"}[i%2]); err != nil {
			closeAll()
			return nil, err
		}
	}
	time.Sleep(500 * time.Millisecond) // they are drawn; the same without them
	return closeAll, nil
}

// look opens a screen, and types there.
func look(c *gossh.Client, types string) error {
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
	_, err = io.WriteString(in, types)
	return err
}
