package screen

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/charmbracelet/x/term"
)

// Local is this process's own terminal, in raw mode.
type Local struct {
	Terminal
	In io.Reader // the keys, and each new size: see decoder

	restore func()
}

// OpenLocal puts the terminal of in and out into raw mode. It returns nil if they are not
// a terminal that can draw. Close must be called.
func OpenLocal(in io.Reader, out io.Writer) (*Local, error) {
	from, ok := in.(*os.File)
	to, also := out.(*os.File)
	if !ok || !also || !term.IsTerminal(from.Fd()) || !term.IsTerminal(to.Fd()) {
		return nil, nil
	}
	l := &Local{Terminal: Terminal{Type: CleanType(os.Getenv("TERM")), NoColor: os.Getenv("NO_COLOR") != ""}}
	if !l.Draws() {
		return nil, nil
	}
	l.Size = sizeOf(to)
	before, err := term.MakeRaw(from.Fd())
	if err != nil {
		return nil, fmt.Errorf("the terminal: %w", err)
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	r, w := io.Pipe()
	l.In = r
	go func() { // it ends with its input, or the process
		io.Copy(w, from)
		w.Close()
	}()
	go func() {
		for range changed {
			size := sizeOf(to)
			fmt.Fprintf(w, "\x1b[8;%d;%dt", size.Height, size.Width)
		}
	}()
	l.restore = func() {
		signal.Stop(changed)
		term.Restore(from.Fd(), before)
	}
	return l, nil
}

// Close gives the terminal the mode that it had.
func (l *Local) Close() { l.restore() }

func sizeOf(f *os.File) Size {
	width, height, err := term.GetSize(f.Fd())
	if err != nil {
		return Size{}
	}
	return Size{width, height}
}
