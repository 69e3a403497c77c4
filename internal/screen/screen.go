// Package screen is "top": it draws what a gateway does on a terminal that it is
// handed, and tells the gateway what the person at it asks for. It knows neither
// SSH nor the store: a Source is all that it sees, and an io.Reader and an
// io.Writer are the terminal.
//
// It trusts nobody. Whatever it shows is made printable first, at most MaxSize is
// allocated for, and what is typed is read into a bounded buffer by a decoder of
// its own: the library's keeps a paste whole.
package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// refresh is how often a screen looks, and so draws while nobody types.
const refresh = time.Second

// framesPerSecond is how often it draws at most.
const framesPerSecond = 10

// ErrIdle ends a screen that nobody has touched for long.
var ErrIdle = errors.New("nobody touched the screen for long")

// Options are what a screen is made of.
type Options struct {
	Terminal Terminal
	In       io.Reader // what is typed; its end ends the screen
	Out      io.Writer // a CRLF, if nobody else ends lines so
	Source   Source
	Idle     time.Duration // without a key, after which ErrIdle ends it

	// Check says once a second whether the screen may go on.
	Check func() error
}

// Run shows the screen until the person leaves it, which is no error, or until
// ctx or what Check allowed ends; then the error is theirs. It returns before its
// last Read of In does.
func Run(ctx context.Context, o Options) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	m := newModel(ctx, o.Source, o.Terminal)
	now, err := o.Source.Now(ctx)
	if err != nil {
		return err
	}
	m.take(now)
	size := m.size
	p := tea.NewProgram(m,
		tea.WithContext(ctx),
		tea.WithInput(nil), // see keyboard
		tea.WithOutput(o.Out),
		tea.WithEnvironment([]string{"TERM=" + o.Terminal.Type}),
		tea.WithColorProfile(o.Terminal.colors()),
		tea.WithWindowSize(size.Width, size.Height),
		tea.WithFPS(framesPerSecond),
		tea.WithoutSignalHandler(),
	)
	var touched atomic.Int64
	touched.Store(time.Now().UnixNano())
	guard := func(f func()) { // a bug ends the screen, not the gateway
		defer func() {
			if v := recover(); v != nil {
				end(Bug{v, string(debug.Stack())})
			}
		}()
		f()
	}
	go guard(func() { keyboard(o.In, p, &touched, end) })
	var beside sync.WaitGroup
	beside.Go(func() { guard(func() { followSize(ctx, o.Terminal.Resized, p) }) })
	beside.Go(func() {
		guard(func() {
			watch(ctx, o, p, func() bool { return time.Since(time.Unix(0, touched.Load())) >= o.Idle }, end)
		})
	})
	_, err = p.Run()
	cause := context.Cause(ctx)
	end(nil)
	beside.Wait()
	switch {
	case errors.Is(cause, errLeft):
		return nil
	case cause != nil:
		return cause
	}
	return err
}

// errLeft ends a screen whose person has gone.
var errLeft = errors.New("the terminal is gone")

// keyboard hands on what is typed until it ends.
func keyboard(in io.Reader, p *tea.Program, touched *atomic.Int64, end func(error)) {
	var d decoder
	b := make([]byte, 4096)
	for {
		n, err := in.Read(b)
		if n > 0 {
			touched.Store(time.Now().UnixNano())
			keys, size := d.decode(b[:n])
			if size != nil {
				resize(p, *size)
			}
			if len(keys) > 0 {
				p.Send(keys)
			}
		}
		if err != nil {
			end(errLeft)
			return
		}
	}
}

// followSize tells the program of each new size, but of a flood of them only some.
func followSize(ctx context.Context, sizes <-chan Size, p *tea.Program) {
	for {
		select {
		case size := <-sizes:
			resize(p, size)
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(time.Second / framesPerSecond):
		case <-ctx.Done():
		}
	}
}

func resize(p *tea.Program, size Size) {
	p.Send(tea.WindowSizeMsg{Width: size.Width, Height: size.Height})
}

// watch looks once in a while, and ends the screen when it may not go on.
func watch(ctx context.Context, o Options, p *tea.Program, idle func() bool, end func(error)) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := o.Check(); err != nil {
			end(err)
			return
		}
		if idle() {
			end(ErrIdle)
			return
		}
		now, err := o.Source.Now(ctx)
		if err != nil {
			end(err)
			return
		}
		go p.Send(now) // not waited for: Check goes on while the terminal takes nothing
	}
}

// colors are those of the terminal's TERM.
func (t Terminal) colors() colorprofile.Profile {
	env := []string{"TERM=" + t.Type}
	if t.NoColor {
		env = append(env, "NO_COLOR=1")
	}
	return colorprofile.Env(env)
}

// Bug is a panic that ended a screen.
type Bug struct {
	Panic any
	Stack string
}

func (b Bug) Error() string { return fmt.Sprintf("panic: %v", b.Panic) }

// lines writes to a terminal that nobody told to end lines by CR LF.
type lines struct {
	to io.Writer
	cr bool // the last byte was one
}

func (l *lines) Write(b []byte) (int, error) {
	out := make([]byte, 0, len(b)+len(b)/16)
	for _, c := range b {
		if c == '\n' && !l.cr {
			out = append(out, '\r')
		}
		out = append(out, c)
		l.cr = c == '\r'
	}
	if _, err := l.to.Write(out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// CRLF is w for what is written in lines: each ends by CR LF, as a terminal in raw
// mode wants.
func CRLF(w io.Writer) io.Writer { return &lines{to: w} }
