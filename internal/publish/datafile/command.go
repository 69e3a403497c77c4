package datafile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// command is a command of the operator's. It runs without a shell, in the root, with a
// small fixed environment; its output is logged.
type command struct {
	what    string // the option that names it, for errors
	root    string
	argv    []string
	timeout time.Duration
	log     *slog.Logger
}

// environment is the whole environment of the command.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/",
	"LC_ALL=C",
}

// run runs the command once. If it takes too long, its process group is
// killed.
func (c command) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	if !strings.Contains(c.argv[0], "/") {
		path, err := findProgram(c.argv[0])
		if err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		cmd.Path, cmd.Err = path, nil
	}
	cmd.Dir, cmd.Env = c.root, environment
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out := &lineLog{log: c.log, what: c.what, command: filepath.Base(c.argv[0])}
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.end()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it left a process behind that holds our pipe
	}
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("killed after %v", c.timeout)
	}
	if len(out.last) > 0 {
		return fmt.Errorf("%s: %s: %w: %s", c.what, c.argv[0], err, strings.Join(out.last, "; "))
	}
	return fmt.Errorf("%s: %s: %w", c.what, c.argv[0], err)
}

// findProgram looks where the command's own PATH does.
func findProgram(name string) (string, error) {
	path := strings.TrimPrefix(environment[0], "PATH=")
	for _, dir := range filepath.SplitList(path) {
		found := filepath.Join(dir, name)
		if info, err := os.Stat(found); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is in none of the folders %s", name, path)
}
