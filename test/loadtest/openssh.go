package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os/exec"
)

// openssh runs one command with OpenSSH's client, as host 0. With an input it
// returns nothing before the last line is answered, and each as good.
func (s *server) openssh(command string, input io.Reader) error {
	host, port, _ := net.SplitHostPort(s.address)
	cmd := exec.Command("ssh", "-F", "none", "-i", s.scene.keyFile(0), "-p", port, "-l", "root", "-T",
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", host, command)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return s.failed(fmt.Sprintf("ssh %s: %v: %.500s %s", command, err, stdout.Bytes(), stderr.Bytes()))
	}
	for line := range bytes.Lines(stdout.Bytes()) {
		if !bytes.HasPrefix(line, []byte("good")) {
			return fmt.Errorf("ssh %s: answered %q", command, line)
		}
	}
	return nil
}
