package screen

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// styles set off parts of a screen. They take text that is fit already. Without colours
// the text says the same.
type styles struct{ title, chosen, tab, bad, dim func(...string) string }

var style = styles{
	title:  lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Cyan).Render,
	chosen: lipgloss.NewStyle().Reverse(true).Render,
	tab:    lipgloss.NewStyle().Bold(true).Reverse(true).Render,
	bad:    lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Red).Render,
	dim:    lipgloss.NewStyle().Foreground(lipgloss.Green).Render,
}

// headLines and footLines stand above and below a list.
const (
	headLines = 5
	footLines = 1
)

// room is how many rows a list has room for.
func (m *model) room() int { return max(m.size.Height-headLines-footLines-1, 1) }

// View draws the screen. Each line is as wide as the screen.
func (m *model) View() tea.View {
	lines := m.head()
	body := Size{m.size.Width, m.room() + 1}
	switch {
	case m.help:
		lines = append(lines, m.page(helpText, 0)...)
	case m.opened != nil:
		lines = append(lines, m.page(m.detail(), m.scroll)...)
	default:
		lines = append(lines, m.pane().draw(body, m.now.Time, style)...)
	}
	for len(lines) < headLines+body.Height {
		lines = append(lines, strings.Repeat(" ", m.size.Width))
	}
	lines = append(lines[:headLines+body.Height], m.foot())
	v := tea.NewView(strings.Join(lines[max(len(lines)-m.size.Height, 0):], "\n"))
	v.AltScreen = true
	return v
}

func (m *model) head() []string {
	n, w := m.now, m.size.Width
	first := fmt.Sprintf("dnsgate %s  up %s  %d hosts  %d keys  revision %d", n.Version, ago(n.Started, n.Time), n.Hosts, n.Keys, n.Revision)
	if clock := n.Time.UTC().Format("15:04:05 UTC"); len([]rune(first))+2+len(clock) <= w {
		first = fit(first, w-len(clock)) + clock
	}
	half := max(w/2, 1)
	return []string{
		style.title(fit(first, w)),
		style.dim(m.spark(fmt.Sprintf("updates %7.1f/s", rate(n.Updates)), n.Updates, half) +
			m.spark(fmt.Sprintf("failed %7.1f/s", rate(n.Failures)), n.Failures, w-half)),
		style.dim(m.spark(fmt.Sprintf("accepted %6.1f/s", rate(m.accepted)), m.accepted, half) +
			m.spark(fmt.Sprintf("refused %6.1f/s", rate(m.refused)), m.refused, w-half)),
		fit(fmt.Sprintf("%d connections, %d logging in, %d sessions, %d refused, %d sources slowed",
			n.Connections, n.LoggingIn, n.Sessions, n.Refused, n.Penalized), w),
		m.tabLine(),
	}
}

// spark is a label and a sparkline in width columns.
func (m *model) spark(label string, values []int, width int) string {
	room := width - len(label) - 3
	if room < 1 {
		return fit(label, width)
	}
	drawn := sparkline(values, room, m.ramp)
	return label + "  " + strings.Repeat(" ", room-len([]rune(drawn))) + drawn + " "
}

func (m *model) tabLine() string {
	var b strings.Builder
	left := m.size.Width
	for i, name := range tabs {
		text := fmt.Sprintf(" %d %s ", i+1, name)
		if i == m.tab {
			text = fmt.Sprintf("[%d %s]", i+1, name)
		}
		if text = fit(text, min(len(text), left)); text == "" {
			break
		}
		left -= len(text)
		if i == m.tab {
			text = style.tab(text)
		}
		b.WriteString(text)
	}
	shown, all := m.pane().count()
	count := fmt.Sprintf("%d", all)
	if m.tab == tabHosts && all == MaxHosts && all < m.now.Hosts && shown == all {
		count = fmt.Sprintf("the first %d", all)
	}
	if shown != all {
		count = fmt.Sprintf("%d of %d", shown, all)
	}
	return b.String() + fitRight(count, left)
}

// foot is the line at the bottom: a question, the result of a request, or the keys.
func (m *model) foot() string {
	w := m.size.Width
	switch filter := m.pane().filtered(); {
	case m.confirm != "":
		return style.bad(fit("Take "+m.confirm+" offline? Its addresses leave the name servers. y/n", w))
	case m.typing:
		return style.title(fit("/"+filter+"_", w))
	case m.message != "":
		return style.bad(fit(m.message, w))
	case filter != "":
		return style.title(fit("/"+filter+"  (esc: all)", w))
	}
	return style.dim(fit("? keys  / filter  s sort  S reverse  enter open  o offline  r rebuild  q quit", w))
}

// page is the lines of text that there is room for, the first of them from.
func (m *model) page(text []string, from int) []string {
	var lines []string
	for i := from; i < len(text) && len(lines) <= m.room(); i++ {
		line := fit(text[i], m.size.Width)
		if !strings.HasPrefix(text[i], " ") {
			line = style.title(line)
		}
		lines = append(lines, line)
	}
	return lines
}

// detail is the text about the opened host.
func (m *model) detail() []string {
	d := m.opened
	text := []string{d.Name}
	section := func(title string, lines []string) {
		text = append(text, "", title)
		if len(lines) == 0 {
			text = append(text, "  none")
		}
		for _, l := range lines {
			text = append(text, "  "+l)
		}
	}
	section("Records", d.Records)
	section("Keys that may update it", d.Keys)
	section("History, the newest first", d.History)
	return text
}

var helpText = []string{
	"Keys",
	"  1-5, tab, left, right  another list",
	"  up, down, j, k         another line; a page: pgup, pgdn; the ends: home, end",
	"  /                      show only what has the text; enter: keep it, esc: all",
	"  s, S                   sort by the next column; turn the order round",
	"  enter                  a host's records, keys and history; esc: the list again",
	"  o                      take the host offline, if you say yes (admin keys)",
	"  r                      publish everything again (admin keys)",
	"  ^L                     draw the screen again",
	"  q, ^C                  leave",
	"",
	"Columns",
	"  changed, heard         since the records changed, since the host was heard of",
	"  behind, pending, lag   revisions and hosts to publish, age of the oldest",
	"  used, commands         since the gateway started",
}

// Snapshot is n as plain text, for callers without a terminal that can draw.
func (n Now) Snapshot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "dnsgate %s, up %s, %s\n", clean(n.Version), ago(n.Started, n.Time), n.Time.UTC().Format(time.RFC3339))
	fmt.Fprintf(&b, "%d hosts, %d keys, revision %d\n", n.Hosts, n.Keys, n.Revision)
	fmt.Fprintf(&b, "updates %.1f/s, failed %.1f/s\n", rate(n.Updates), rate(n.Failures))
	fmt.Fprintf(&b, "%d connections, %d logging in, %d sessions, %d accepted, %d refused, %d sources slowed\n",
		n.Connections, n.LoggingIn, n.Sessions, n.Accepted, n.Refused, n.Penalized)
	plainList(&b, publisherList(), n.Publishers, n.Time)
	plainList(&b, penaltyList(), n.Penalties, n.Time)
	plainList(&b, commandList(), n.Commands[:min(len(n.Commands), 20)], n.Time)
	return b.String()
}

// plainWidth is the width of a snapshot.
const plainWidth = 120

func plainList[T any](b *strings.Builder, l *list[T], rows []T, now time.Time) {
	if len(rows) == 0 {
		return
	}
	plain := func(s ...string) string { return s[0] }
	l.set(rows)
	l.at = -1 // no row is chosen
	b.WriteByte('\n')
	for _, line := range l.draw(Size{plainWidth, len(rows) + 1}, now, styles{title: plain}) {
		b.WriteString(strings.TrimRight(line[2:], " ") + "\n")
	}
}
