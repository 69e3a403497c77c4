//go:build linux && !client

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/sysexits"
	"dnsgate/internal/tinydns"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"
)

const (
	quickHost    = "home.example.test"
	quickAddress = "203.0.113.7"
	quickNext    = "203.0.113.8"
	quickData    = `# The lines of tinydns-data that you write; dnsgate never changes this file.
.example.test:127.0.0.1:a
`
)

func quickstartCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quickstart [DIR]",
		Short: "Set up a gateway on loopback, send it one real update, and serve",
		Args:  arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "dnsgate-quickstart"
			if len(args) == 1 {
				dir = args[0]
			}
			dir, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			q := &quickstart{dir: dir, out: c.OutOrStdout(), log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))}
			return q.run(ctx)
		},
	}
}

// quickstart is a gateway on loopback, with a client to try it.
type quickstart struct {
	dir string
	out io.Writer
	log *slog.Logger
}

func (q *quickstart) path(name string) string { return filepath.Join(q.dir, name) }

func (q *quickstart) say(format string, args ...any) { fmt.Fprintf(q.out, format+"\n", args...) }

func (q *quickstart) run(ctx context.Context) error {
	client, err := q.prepare()
	if err != nil {
		return err
	}
	cfg, err := loadConfig(q.path(configName))
	if err != nil {
		return err
	}
	listeners, err := openListeners(cfg.Listen)
	if err != nil {
		return cannotListen(err, q.path(configName))
	}
	defer closeAll(listeners)
	d, err := newDaemon(q.path(configName), cfg, q.log)
	if err != nil {
		return err
	}
	defer d.Close()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- d.serve(ctx, listeners) }()
	if err := q.try(listeners[0].Addr().String(), client); err != nil {
		stop()
		return errors.Join(err, <-served)
	}
	return <-served
}

// prepare makes what is missing in the folder and returns the client's key.
func (q *quickstart) prepare() (gossh.Signer, error) {
	q.say("Setting up a gateway in %s", q.dir)
	s := newSetup(q.dir)
	s.data = []byte(quickData)
	if _, err := os.Stat(q.path(configName)); errors.Is(err, os.ErrNotExist) {
		port, err := freePort()
		if err != nil {
			return nil, &exit{sysexits.Unavailable, err}
		}
		listen := fmt.Sprintf(`listen = ["127.0.0.1:%d"]`, port)
		s.config = bytes.Replace(s.config, []byte(`listen = ["[::]:2222"]`), []byte(listen), 1)
	}
	if err := s.make(q.out); err != nil {
		return nil, &exit{sysexits.IO, err}
	}
	client, err := q.clientKey()
	if err != nil {
		return nil, err
	}
	host, err := loadHostKey(q.path(hostKeyName))
	if err != nil {
		return nil, &exit{sysexits.Config, err}
	}
	cfg, err := loadConfig(q.path(configName))
	if err != nil {
		return nil, err
	}
	known := knownHostsLine("127.0.0.1", portOf(cfg.Listen), host.PublicKey()) + "\n"
	if err := os.WriteFile(q.path("known_hosts"), []byte(known), 0o644); err != nil {
		return nil, &exit{sysexits.IO, err}
	}
	return client, nil
}

// freePort is 2222, or a port that is free now where that is taken.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:2222")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// clientKey makes the client's key, unless it exists, and authorizes it.
func (q *quickstart) clientKey() (gossh.Signer, error) {
	path := q.path("client_key")
	private, err := newPrivateKey("quickstart")
	if err != nil {
		return nil, err
	}
	made, err := makeFile(path, private, 0o600)
	if err != nil {
		return nil, &exit{sysexits.IO, err}
	}
	signer, err := readHostKey(path)
	if err != nil {
		return nil, &exit{sysexits.Config, fmt.Errorf("%s: %w", path, err)}
	}
	if !made {
		return signer, nil
	}
	q.say("made %s", path)
	grant, err := authkeys.ParseAllow([]string{quickHost})
	if err != nil {
		return nil, err
	}
	grant.Comment = "quickstart"
	if _, err := authkeys.Add(q.path(keysName), authkeys.NewLine{Text: authkeys.FormatLine(grant, signer.PublicKey()), At: path}); err != nil {
		return nil, &exit{sysexits.Config, err}
	}
	return signer, nil
}

// try sends one update through SSH and reads the answer from data.cdb.
func (q *quickstart) try(address string, client gossh.Signer) error {
	reply, err := q.update(address, client)
	q.say("\nSent through SSH:  update %s\nThe gateway said:  %s", quickAddress, strings.TrimSpace(reply))
	if err != nil {
		return &exit{sysexits.Unavailable, fmt.Errorf("the update failed: %w", err)}
	}
	var answer bytes.Buffer
	if err := tinydns.Get(&answer, q.path("root"), []string{"a", quickHost}, time.Now()); err != nil {
		return &exit{sysexits.IO, fmt.Errorf("reading data.cdb: %w", err)}
	}
	for line := range strings.Lines(answer.String()) {
		if strings.HasPrefix(line, "answer:") {
			q.say("data.cdb answers:  %s", strings.TrimSpace(strings.TrimPrefix(line, "answer:")))
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	q.say("\nNow you, in another terminal:\n\n  ssh -F none -i %s -o IdentitiesOnly=yes -o %s -o StrictHostKeyChecking=yes -p %s %s update %s\n",
		shellQuote(sshEscape(q.path("client_key"))), shellQuote("UserKnownHostsFile="+sshQuote(q.path("known_hosts"))), port, host, quickNext)
	q.say("Then look at %s, %s and %s.\nServing until you press Ctrl-C; run the same command to start again.\n",
		q.path(keysName), q.path("root/dnsgate"), q.path(configName))
	return nil
}

// update is a client of its own, for a machine without ssh.
func (q *quickstart) update(address string, key gossh.Signer) (string, error) {
	host, err := loadHostKey(q.path(hostKeyName))
	if err != nil {
		return "", err
	}
	conn, err := gossh.Dial("tcp", address, &gossh.ClientConfig{
		User:            "quickstart",
		Auth:            []gossh.AuthMethod{gossh.PublicKeys(key)},
		HostKeyCallback: gossh.FixedHostKey(host.PublicKey()),
		Timeout:         10 * time.Second,
	})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, err := session.Output("update " + quickAddress)
	return string(out), err
}
