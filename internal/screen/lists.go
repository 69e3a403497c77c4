package screen

import (
	"cmp"
	"strconv"
	"strings"
	"time"
)

func byText[T any](of func(*T) string) func(a, b *T) int {
	return func(a, b *T) int { return strings.Compare(of(a), of(b)) }
}

// byTime puts the newest first.
func byTime[T any](of func(*T) time.Time) func(a, b *T) int {
	return func(a, b *T) int { return of(b).Compare(of(a)) }
}

// text is a column of text.
func text[T any](title string, width, grows int, of func(*T) string) column[T] {
	return column[T]{title, width, grows, false, func(row *T, _ time.Time) string { return of(row) }, byText(of)}
}

// age is a column of times, as how long ago they were.
func age[T any](title string, of func(*T) time.Time) column[T] {
	return column[T]{title, 8, 0, true, func(row *T, now time.Time) string { return ago(of(row), now) }, byTime(of)}
}

// number is a column of numbers, the largest first.
func number[T any](title string, width int, of func(*T) uint64) column[T] {
	return column[T]{title, width, 0, true,
		func(row *T, _ time.Time) string { return strconv.FormatUint(of(row), 10) },
		func(a, b *T) int { return cmp.Compare(of(b), of(a)) }}
}

func hostList() *list[Host] {
	return &list[Host]{
		name: func(h *Host) string { return h.Name },
		text: func(h *Host) string { return h.Name },
		columns: []column[Host]{
			text("host", 18, 3, func(h *Host) string { return h.Name }),
			text("addresses", 15, 2, func(h *Host) string { return h.Addresses }),
			age("changed", func(h *Host) time.Time { return h.Changed }),
			age("heard", func(h *Host) time.Time { return h.Seen }),
			text("key", 9, 1, func(h *Host) string { return h.Who }),
			text("from", 15, 1, func(h *Host) string { return h.From }),
		},
	}
}

func publisherList() *list[Publisher] {
	return &list[Publisher]{
		sort: -1,
		name: func(p *Publisher) string { return p.Name },
		text: func(p *Publisher) string { return p.Name + " " + p.Error },
		columns: []column[Publisher]{
			text("publisher", 20, 1, func(p *Publisher) string { return p.Name }),
			number("revision", 10, func(p *Publisher) uint64 { return p.Revision }),
			number("behind", 7, func(p *Publisher) uint64 { return p.Behind }),
			number("pending", 8, func(p *Publisher) uint64 { return uint64(p.Pending) }),
			{"lag", 5, 0, true, lagText, func(a, b *Publisher) int { return cmp.Compare(b.Lag, a.Lag) }},
			text("last error", 20, 2, func(p *Publisher) string { return p.Error }),
		},
	}
}

func lagText(p *Publisher, _ time.Time) string {
	if p.Lag < 0 {
		return "-"
	}
	return span(p.Lag)
}

func keyList() *list[Key] {
	return &list[Key]{
		sort: -1,
		name: func(k *Key) string { return k.Fingerprint },
		text: func(k *Key) string { return strings.ToLower(k.Comment + " " + k.May + " " + k.Fingerprint) },
		columns: []column[Key]{
			text("key", 16, 2, func(k *Key) string { return cmp.Or(k.Comment, k.Fingerprint) }),
			text("may", 20, 3, func(k *Key) string { return k.May }),
			age("used", func(k *Key) time.Time { return k.Used }),
			number("commands", 9, func(k *Key) uint64 { return k.Count }),
			text("fingerprint", 18, 2, func(k *Key) string { return k.Fingerprint }),
		},
	}
}

func commandList() *list[Command] {
	return &list[Command]{
		sort: -1,
		name: func(c *Command) string { return c.Time.Format(time.RFC3339Nano) + c.Source + c.Hosts },
		text: func(c *Command) string {
			return strings.ToLower(strings.Join([]string{c.Name, c.Code, c.Hosts, c.Who, c.Source}, " "))
		},
		columns: []column[Command]{
			{"time", 8, 0, false, func(c *Command, _ time.Time) string { return c.Time.UTC().Format(time.TimeOnly) },
				byTime(func(c *Command) time.Time { return c.Time })},
			text("command", 8, 0, func(c *Command) string { return c.Name }),
			text("code", 7, 0, func(c *Command) string { return c.Code }),
			text("hosts", 16, 3, func(c *Command) string { return c.Hosts }),
			text("key", 10, 1, func(c *Command) string { return c.Who }),
			text("from", 13, 1, func(c *Command) string { return c.Source }),
			{"took", 6, 0, true, func(c *Command, _ time.Time) string { return short(c.Took) },
				func(a, b *Command) int { return cmp.Compare(b.Took, a.Took) }},
		},
	}
}

func penaltyList() *list[Penalty] {
	return &list[Penalty]{
		sort: -1,
		name: func(p *Penalty) string { return p.Source },
		text: func(p *Penalty) string { return p.Source + " " + p.Why },
		columns: []column[Penalty]{
			text("source", 24, 1, func(p *Penalty) string { return p.Source }),
			{"for", 6, 0, true, func(p *Penalty, now time.Time) string { return span(p.Until.Sub(now)) },
				func(a, b *Penalty) int { return b.Until.Compare(a.Until) }},
			text("why", 30, 2, func(p *Penalty) string { return p.Why }),
		},
	}
}
