package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// startFloor starts the floor: what any server costs that is made of the same
// library and stores nothing.
func startFloor(s *scene, folder string) (*server, error) {
	key, err := hostKey(folder)
	if err != nil {
		return nil, err
	}
	keys := folder + "/authorized_keys"
	if err := s.authorizedKeys(keys, "floor"); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address := freeAddress()
	p, err := start(folder, self, "floor", address, key, keys)
	if err != nil {
		return nil, err
	}
	return newSSHServer("floor: bare gliderlabs/ssh, one word back", p, s, address)
}

// runFloor is the server's process. It lets in the keys of a file and answers
// each command with one word.
func runFloor(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: loadtest floor ADDRESS HOST-KEY AUTHORIZED-KEYS")
	}
	known, err := knownKeys(args[2])
	if err != nil {
		return err
	}
	server := &ssh.Server{
		Handler:          func(s ssh.Session) { io.WriteString(s, "good\n") },
		PublicKeyHandler: func(_ ssh.Context, key ssh.PublicKey) bool { return known[string(key.Marshal())] },
	}
	if err := server.SetOption(ssh.HostKeyFile(args[1])); err != nil {
		return err
	}
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return server.Serve(l)
}

func knownKeys(path string) (map[string]bool, error) {
	rest, err := os.ReadFile(path)
	known := make(map[string]bool)
	for err == nil && len(rest) > 0 {
		var key gossh.PublicKey
		if key, _, _, rest, err = gossh.ParseAuthorizedKey(rest); err == nil {
			known[string(key.Marshal())] = true
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return known, nil
}
