// Package screen is "top": it draws what a gateway does on a terminal, and passes on
// what the person there asks for. It knows neither SSH nor the store: it sees the gateway
// through a Source, and the terminal as an io.Reader and an io.Writer.
//
// It trusts nobody. All text is made printable before it is drawn. A terminal is never
// larger than MaxSize, whatever it claims. Keys are read into a bounded buffer by a
// decoder of this package, because the library's decoder holds a whole paste.
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

const (
	refresh         = time.Second // between two looks at the Source, and so between two frames while nobody types
	framesPerSecond = 10          // at most
	checkInterval   = refresh / 10
)

// ErrIdle ends a screen that nobody has touched for long.
var ErrIdle = errors.New("nobody touched the screen for long")

// Options make a screen.
type Options struct {
	Terminal Terminal
	In       io.Reader // the keys; its end ends the screen
	Out      io.Writer // a CRLF, unless the terminal adds CR itself
	Source   Source
	Idle     time.Duration // without a key; then ErrIdle ends the screen

	// Check is called several times a second. Its error ends the screen.
	Check func() error
}

// Run shows the screen until the person leaves it, which is no error, or until ctx ends,
// Check fails or nobody touched it for Idle. It may return while a Read of In is still
// running.
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
	guard := func(f func()) { // a panic ends the screen, not the gateway
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

// errLeft ends a screen whose input has ended.
var errLeft = errors.New("the terminal is gone")

// keyboard passes on the keys until in ends.
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

// followSize passes on new sizes, but only some of a flood.
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

// watch looks at the Source every refresh, and ends the screen when it may not go on.
func watch(ctx context.Context, o Options, p *tea.Program, idle func() bool, end func(error)) {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	for n := 1; ; n++ {
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
		if n%int(refresh/checkInterval) != 0 {
			continue
		}
		now, err := o.Source.Now(ctx)
		if err != nil {
			end(err)
			return
		}
		go p.Send(now) // the checks go on while the terminal takes no output
	}
}

// colors are those that TERM promises.
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

// lines is a CRLF.
type lines struct {
	to io.Writer
	cr bool // the last byte was CR
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

// CRLF writes to w, and ends each line by CR LF, which a terminal in raw mode needs.
func CRLF(w io.Writer) io.Writer { return &lines{to: w} }
