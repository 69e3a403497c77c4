package gate

import (
	"dnsgate/internal/screen"

	gossh "golang.org/x/crypto/ssh"
)

// terminal is the client's terminal, if it asked for one and may have one (RFC 4254
// section 6.2). Nothing is allocated for it here; its size is clamped at once.
type terminal struct {
	given bool
	is    screen.Terminal
	sizes chan screen.Size // the last one that the screen has not seen yet
}

// give takes a pty-req.
func (t *terminal) give(payload []byte) bool {
	var asked struct {
		Type                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if t.given || gossh.Unmarshal(payload, &asked) != nil {
		return false
	}
	t.given = true
	t.sizes = make(chan screen.Size, 1)
	t.is.Type, t.is.Size, t.is.Resized = screen.CleanType(asked.Type), screen.Clamp(asked.Columns, asked.Rows), t.sizes
	return true
}

// setEnv takes the one variable that matters.
func (t *terminal) setEnv(payload []byte) bool {
	var env struct{ Name, Value string }
	if gossh.Unmarshal(payload, &env) != nil || env.Name != "NO_COLOR" {
		return false
	}
	t.is.NoColor = env.Value != ""
	return true
}

// resize takes a window-change. Of several unseen ones, the last counts.
func (t *terminal) resize(payload []byte) bool {
	var asked struct{ Columns, Rows, Width, Height uint32 }
	if !t.given || gossh.Unmarshal(payload, &asked) != nil {
		return false
	}
	select {
	case <-t.sizes:
	default:
	}
	t.sizes <- screen.Clamp(asked.Columns, asked.Rows) // the only sender
	return true
}

// screen is the terminal for a command, or nil.
func (t *terminal) screen() *screen.Terminal {
	if !t.given {
		return nil
	}
	return &t.is
}
