package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// ErrNotRunning is wrapped by Call's error when nobody serves the socket.
var ErrNotRunning = errors.New("no gateway is running here")

// Streams are the client's own.
type Streams struct {
	In       io.Reader // read only if the command does
	Out, Err io.Writer
}

// Call asks the gateway at the socket path to run a command, and returns its exit
// status. The socket must belong to the user that serves it, or be served by root.
func Call(ctx context.Context, path string, req Request, std Streams) (int, error) {
	conn, err := dial(ctx, path)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	line, err := json.Marshal(req)
	if err != nil {
		return 0, err
	}
	_, failed := conn.Write(append(line, '\n'))
	status, err := answer(conn, std) // after a failure too: a refused client is told why
	if err != nil && failed != nil {
		return 0, fmt.Errorf("speaking to the gateway: %w", failed)
	}
	return status, err
}

// answer passes frames on until the one with the exit status.
func answer(conn *net.UnixConn, std Streams) (int, error) {
	r := bufio.NewReader(conn)
	for {
		kind, content, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return 0, errors.New("the gateway ended before the command did; whether that is done is not known")
		}
		if err != nil {
			return 0, fmt.Errorf("listening to the gateway: %w", err)
		}
		switch kind {
		case wantsInput:
			go send(conn, std.In) // ends with the process, or with its input
		case output:
			_, err = std.Out.Write(content)
		case errorText:
			_, err = std.Err.Write(content)
		case exitStatus:
			if len(content) != 1 {
				return 0, errProtocol
			}
			return int(content[0]), nil
		default:
			return 0, errProtocol
		}
		if err != nil {
			return 0, err
		}
	}
}

func send(conn *net.UnixConn, in io.Reader) {
	io.Copy(conn, in)
	conn.CloseWrite()
}

func dial(ctx context.Context, path string) (*net.UnixConn, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: there is no %s", ErrNotRunning, path)
	case err != nil:
		return nil, err
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is not a socket", path)
	}
	short, done, err := shorten(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", short)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w: nobody serves %s", ErrNotRunning, path)
	}
	if err != nil {
		return nil, err
	}
	c := conn.(*net.UnixConn)
	if err := checkServer(c, path, info); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// checkServer makes sure that the other end is the gateway, and not another program
// that made a socket there: it must run as root, or as the owner of both the socket and
// its folder.
func checkServer(c *net.UnixConn, path string, socket os.FileInfo) error {
	server, err := peerUID(c)
	if err != nil {
		return err
	}
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	owner := folder.Sys().(*syscall.Stat_t).Uid
	if server != 0 && (server != owner || socket.Sys().(*syscall.Stat_t).Uid != owner) {
		return fmt.Errorf("%s is served by user %d, and its folder belongs to user %d: %w", path, server, owner, fs.ErrPermission)
	}
	return nil
}
