package screen

import "strings"

// Terminal is what a screen is drawn on.
type Terminal struct {
	Type    string // as TERM has it
	NoColor bool   // as NO_COLOR asks: https://no-color.org
	Size    Size
	Resized <-chan Size // nil: it stays, unless it says so itself; see decoder
}

// Size is that of a terminal, in characters.
type Size struct{ Width, Height int }

// MaxSize is the largest that is drawn; of a larger terminal its upper left corner
// is used. The largest takes 4.4 MiB.
var MaxSize = Size{240, 80}

// Clamp makes what a client says its size is one that may be allocated for.
func Clamp(width, height uint32) Size {
	s := Size{80, 24}
	if width > 0 && height > 0 {
		s = Size{int(min(width, uint32(MaxSize.Width))), int(min(height, uint32(MaxSize.Height)))}
	}
	return s
}

// maxType is the length of the longest TERM, as terminfo has it.
const maxType = 64

// CleanType is what a client says its TERM is, or "dumb" if that is no word.
func CleanType(name string) string {
	if name == "" || len(name) > maxType || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "dumb"
	}
	return name
}

// Draws reports whether the cursor of the terminal can be moved.
func (t Terminal) Draws() bool { return t.Type != "dumb" && t.Type != "" }
