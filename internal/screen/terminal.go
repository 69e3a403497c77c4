package screen

import "strings"

// Terminal describes where a screen is drawn.
type Terminal struct {
	Type    string // TERM
	NoColor bool   // NO_COLOR is set: https://no-color.org
	Size    Size
	Resized <-chan Size // new sizes; nil: those come with the keys, see decoder
}

// Size is the size of a terminal, in characters.
type Size struct{ Width, Height int }

// MaxSize is the largest screen; it takes 4.4 MiB. In a larger terminal the upper left
// corner is used.
var MaxSize = Size{240, 80}

// Clamp bounds the size that a client claims by MaxSize. Without one it is 80x24.
func Clamp(width, height uint32) Size {
	s := Size{80, 24}
	if width > 0 && height > 0 {
		s = Size{int(min(width, uint32(MaxSize.Width))), int(min(height, uint32(MaxSize.Height)))}
	}
	return s
}

// maxType is the length of the longest TERM.
const maxType = 64

// CleanType is the TERM that a client claims, or "dumb" if that is not a word.
func CleanType(name string) string {
	if name == "" || len(name) > maxType || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "dumb"
	}
	return name
}

// Draws reports whether the cursor of the terminal can be moved.
func (t Terminal) Draws() bool { return t.Type != "dumb" && t.Type != "" }
