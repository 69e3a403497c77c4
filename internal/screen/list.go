package screen

import (
	"slices"
	"strings"
	"time"
)

// column is one of a list.
type column[T any] struct {
	title   string
	width   int // at least
	grows   int // its share of the columns that are left over
	right   bool
	cell    func(row *T, now time.Time) string
	compare func(a, b *T) int
}

// list is rows in columns, which can be sorted, filtered and walked through. Beside the
// rows, which screens share, it holds their order: 800 kB for 100,000 rows.
type list[T any] struct {
	columns []column[T]
	name    func(row *T) string // the same after a reload
	text    func(row *T) string // that the filter searches

	rows    []T
	order   []int32 // all rows, sorted
	shown   []int32 // those that pass the filter
	sort    int     // by this column; -1: as they come
	reverse bool
	filter  string
	at, top int // indexes in shown: the chosen row, and the first on the screen
}

// pane is a list of rows of any type.
type pane interface {
	draw(size Size, now time.Time, style styles) []string
	move(by int)
	sortBy(next int)
	turn()
	setFilter(text string)
	filtered() string
	chosen() string
	count() (shown, all int)
}

// set gives the list new rows. The chosen row stays chosen if it is still there.
func (l *list[T]) set(rows []T) {
	if len(rows) > 0 && len(rows) == len(l.rows) && &rows[0] == &l.rows[0] {
		return // the same rows
	}
	chosen := l.chosen()
	l.rows = rows
	l.arrange()
	if chosen == "" || l.at < len(l.shown) && l.chosen() == chosen || l.at == 0 {
		return
	}
	for i, row := range l.shown {
		if l.name(&l.rows[row]) == chosen {
			l.top += i - l.at
			l.at = i
			break
		}
	}
}

// arrange sorts all rows. The order before is a good start after a reload.
func (l *list[T]) arrange() {
	if l.sort < 0 || len(l.order) != len(l.rows) {
		l.order = slices.Grow(l.order[:0], len(l.rows))
		for i := range l.rows {
			l.order = append(l.order, int32(i))
		}
	}
	if l.sort >= 0 {
		compare := l.columns[l.sort].compare
		slices.SortFunc(l.order, func(a, b int32) int { // faster than SortStableFunc
			if n := compare(&l.rows[a], &l.rows[b]); n != 0 {
				return n
			}
			return int(a - b)
		})
	}
	if l.reverse {
		slices.Reverse(l.order)
	}
	l.choose()
}

// choose selects the rows that pass the filter.
func (l *list[T]) choose() {
	l.shown = l.shown[:0]
	if l.filter == "" {
		l.shown = append(l.shown, l.order...)
	} else {
		for _, i := range l.order {
			if strings.Contains(l.text(&l.rows[i]), l.filter) {
				l.shown = append(l.shown, i)
			}
		}
	}
	l.at = max(min(l.at, len(l.shown)-1), 0)
}

func (l *list[T]) move(by int) {
	l.at = max(min(l.at+by, len(l.shown)-1), 0)
}

// sortBy sorts by the next column, or the one before.
func (l *list[T]) sortBy(next int) {
	n := len(l.columns)
	l.sort = (l.sort + next + n) % n
	l.reverse = false
	l.at = 0
	l.arrange()
}

func (l *list[T]) turn() {
	l.reverse = !l.reverse
	l.at = 0
	l.arrange()
}

func (l *list[T]) setFilter(text string) {
	l.filter = text
	l.at = 0
	l.choose()
}

func (l *list[T]) filtered() string { return l.filter }

// chosen is the name of the chosen row; "": there is none.
func (l *list[T]) chosen() string {
	if l.at >= len(l.shown) || int(l.shown[l.at]) >= len(l.rows) {
		return ""
	}
	return l.name(&l.rows[l.shown[l.at]])
}

func (l *list[T]) count() (shown, all int) { return len(l.shown), len(l.rows) }

// draw returns the titles, and as many rows as there is room for.
func (l *list[T]) draw(size Size, now time.Time, style styles) []string {
	widths := l.widths(size.Width - 2)
	lines := []string{style.title(fit("  "+l.titles(widths), size.Width))}
	room := size.Height - 1
	l.top = max(min(l.top, l.at, len(l.shown)-room), l.at-room+1, 0)
	for i := l.top; i < len(l.shown) && i < l.top+room; i++ {
		row := &l.rows[l.shown[i]]
		var b strings.Builder
		for c, w := range widths {
			if c > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(l.align(c)(l.columns[c].cell(row, now), w))
		}
		if i == l.at {
			lines = append(lines, style.chosen(fit("> "+b.String(), size.Width)))
		} else {
			lines = append(lines, fit("  "+b.String(), size.Width))
		}
	}
	return lines
}

func (l *list[T]) titles(widths []int) string {
	var b strings.Builder
	for c, w := range widths {
		title := strings.ToUpper(l.columns[c].title)
		if c == l.sort {
			title += map[bool]string{false: "+", true: "-"}[l.reverse]
		}
		if c > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(l.align(c)(title, w))
	}
	return b.String()
}

func (l *list[T]) align(c int) func(string, int) string {
	if l.columns[c].right {
		return fitRight
	}
	return fit
}

// widths are those of the columns that fit into width. The last columns may not.
func (l *list[T]) widths(width int) []int {
	var widths []int
	left, grows := width, 0
	for i, c := range l.columns {
		if i > 0 {
			left--
		}
		if left -= c.width; left < 0 && i > 0 {
			left += c.width + 1
			break
		}
		widths = append(widths, max(min(c.width, width), 1))
		grows += c.grows
	}
	for i := range widths {
		if c := l.columns[i]; c.grows > 0 && left > 0 {
			more := left * c.grows / grows
			widths[i] += more
			left, grows = left-more, grows-c.grows
		}
	}
	return widths
}
