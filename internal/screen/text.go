package screen

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// clean replaces whatever a terminal would obey, or would not draw from left to right and
// one column wide, by the way Go writes it.
func clean(s string) string {
	if !strings.ContainsFunc(s, odd) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		_, length := utf8.DecodeRuneInString(s[i:])
		switch {
		case !odd(r):
			b.WriteRune(r)
		case r == utf8.RuneError && length == 1: // a byte that is not UTF-8
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == utf8.RuneError: // what was there is replaced already
			b.WriteByte('?')
		default:
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// odd reports whether r is anything but a printable character of Latin, Greek or
// Cyrillic.
func odd(r rune) bool {
	return r >= 0x0530 || !unicode.IsPrint(r) || unicode.Is(unicode.Mn, r)
}

// fit is the clean s in exactly width columns.
func fit(s string, width int) string {
	s = clean(s)
	n := 0
	for i := range s {
		if n == width-1 && len([]rune(s[i:])) > 1 {
			return s[:i] + "~"
		}
		if n == width {
			return s[:i]
		}
		n++
	}
	return s + strings.Repeat(" ", width-n)
}

// fitRight is fit, but a short s stands at the right.
func fitRight(s string, width int) string {
	s = strings.TrimRight(fit(s, width), " ")
	return strings.Repeat(" ", width-len([]rune(s))) + s
}

// ago is how long before now t was; "-" if t is zero.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return span(now.Sub(t))
}

// span is a duration in at most five columns.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 100*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 100*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// short is the duration of a command.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%dus", d/time.Microsecond)
	case d < 10*time.Second:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	}
	return span(d)
}

const (
	blocks = " ▁▂▃▄▅▆▇█"
	ascii  = " .:-=+*#@"
)

// sparkline draws counts by the second in at most width columns. Each column stands for
// the same number of seconds; the newest is at the right.
func sparkline(values []int, width int, ramp string) string {
	if width <= 0 || len(values) == 0 {
		return ""
	}
	per := max((len(values)+width-1)/width, 1)
	sums, most := make([]int, width), 1
	for i := range width {
		last := len(values) - (width-1-i)*per
		for _, v := range values[max(last-per, 0):max(last, 0)] {
			sums[i] += v
		}
		most = max(most, sums[i])
	}
	levels := []rune(ramp)
	var b strings.Builder
	for _, s := range sums {
		b.WriteRune(levels[(s*(len(levels)-1)+most-1)/most])
	}
	return b.String()
}

// rate is the mean of the last ten seconds.
func rate(values []int) float64 {
	last := values[max(len(values)-10, 0):]
	sum := 0
	for _, v := range last {
		sum += v
	}
	return float64(sum) / float64(max(len(last), 1))
}
