package gate_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dnsgate/test/rig"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// TestMain is the naive server when it is asked to be.
func TestMain(m *testing.M) {
	if os.Getenv("DNSGATE_NAIVE") != "" {
		naive()
	}
	os.Exit(m.Run())
}

// naive serves until its standard input ends: what one writes with
// gliderlabs/ssh after reading its README. Each attack is tried on it first,
// so that the test is known to be an attack. Asked by a line of input, it
// collects garbage and says how many goroutines it has.
func naive() {
	hosts := map[string]string{
		string(fixedKey(1).PublicKey().Marshal()): "mine.example.com",
		string(fixedKey(2).PublicKey().Marshal()): "other.example.com",
	}
	server := &ssh.Server{
		PublicKeyHandler: func(ctx ssh.Context, key ssh.PublicKey) bool {
			if cert, ok := key.(*gossh.Certificate); ok {
				key = cert.Key
			}
			host, ok := hosts[string(key.Marshal())]
			if ok {
				extensions := ctx.Permissions().Extensions
				if extensions == nil {
					extensions = map[string]string{}
				}
				extensions[host] = ""
				ctx.Permissions().Extensions = extensions
			}
			return ok
		},
		Handler: func(s ssh.Session) {
			s.Command()
			var may []string
			for host := range s.Permissions().Extensions {
				may = append(may, host)
			}
			slices.Sort(may)
			fmt.Fprintln(s, s.Context().User(), "may update", strings.Join(may, " "))
		},
	}
	server.AddHostKey(fixedKey(9))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	go server.Serve(listener)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		runtime.GC()
		fmt.Println(runtime.NumGoroutine())
	}
	os.Exit(0)
}

func fixedKey(n byte) gossh.Signer {
	signer, err := gossh.NewSignerFromKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)))
	if err != nil {
		panic(err)
	}
	return signer
}

// naiveServer is a running one.
type naiveServer struct {
	testing.TB
	addr   string
	pid    int
	stdin  io.Writer
	stdout *bufio.Reader
	done   chan struct{} // closed when it has ended
}

func startNaive(t testing.TB) *naiveServer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "DNSGATE_NAIVE=1", "GOTRACEBACK=none")
	stdin, stdout := startPiped(t, cmd)
	lines := bufio.NewReader(stdout)
	addr, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	n := &naiveServer{t, strings.TrimSpace(addr), cmd.Process.Pid, stdin, lines, make(chan struct{})}
	go func() { cmd.Wait(); close(n.done) }()
	t.Cleanup(func() { stdin.Close(); <-n.done })
	return n
}

// startPiped starts a program that talks to the test by its standard input and output.
func startPiped(t testing.TB, cmd *exec.Cmd) (stdin io.WriteCloser, stdout io.Reader) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	rig.Must(t, err)
	stdout, err = cmd.StdoutPipe()
	rig.Must(t, err)
	rig.Must(t, cmd.Start())
	return stdin, stdout
}

func (n *naiveServer) dial() *gossh.Client {
	n.Helper()
	client, err := gossh.Dial("tcp", n.addr, &gossh.ClientConfig{
		User: "root", Auth: []gossh.AuthMethod{gossh.PublicKeys(fixedKey(1))}, HostKeyCallback: gossh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		n.Fatal(err)
	}
	n.Cleanup(func() { client.Close() })
	return client
}

// rss is the memory, in MiB, that it holds after collecting garbage.
func (n *naiveServer) rss() int {
	n.goroutines()
	return residentKiB(n, n.pid) >> 10
}

func (n *naiveServer) goroutines() int {
	fmt.Fprintln(n.stdin)
	line, err := n.stdout.ReadString('\n')
	if err != nil {
		n.Fatal(err)
	}
	count, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		n.Fatal(err)
	}
	return count
}

// dies waits for it to end.
func (n *naiveServer) dies() bool {
	select {
	case <-n.done:
		return true
	case <-time.After(5 * time.Second):
		return false
	}
}
