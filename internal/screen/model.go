package screen

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// model is the state of a screen. bubbletea calls its methods one at a time.
type model struct {
	ctx    context.Context
	source Source
	size   Size
	ramp   string // of sparklines
	now    Now

	refused, accepted []int // connections by the second, since the screen was opened

	hosts      *list[Host]
	publishers *list[Publisher]
	keys       *list[Key]
	commands   *list[Command]
	penalties  *list[Penalty]
	tab        int
	loading    bool              // rows are being read, or wait in news
	loadAgain  map[int]time.Time // by tab: not before
	news       *loaded

	typing  bool    // the filter
	confirm string  // the host that a "yes" takes offline
	opened  *Detail // the host that is shown; nil: a list is
	scroll  int     // lines of it that are above the screen
	help    bool
	message string // the result of the last request
}

// tabs are the names of the lists.
var tabs = []string{"hosts", "publishers", "keys", "commands", "penalties"}

const (
	tabHosts = iota
	tabPublishers
	tabKeys
	tabCommands
	tabPenalties
)

func newModel(ctx context.Context, source Source, t Terminal) *model {
	m := &model{
		ctx: ctx, source: source, size: Clamp(uint32(t.Size.Width), uint32(t.Size.Height)), ramp: blocks,
		hosts: hostList(), publishers: publisherList(), keys: keyList(), commands: commandList(), penalties: penaltyList(),
		loadAgain: make(map[int]time.Time),
	}
	if strings.HasPrefix(t.Type, "vt") || t.Type == "ansi" {
		m.ramp = ascii // older than UTF-8
	}
	return m
}

func (m *model) pane() pane {
	return []pane{m.hosts, m.publishers, m.keys, m.commands, m.penalties}[m.tab]
}

// Messages with the results of commands.
type (
	loaded struct {
		tab  int
		took time.Duration
		show func() // puts the rows into their list
		err  error
	}
	opened struct {
		detail Detail
		err    error
	}
	done struct {
		what string
		err  error
	}
)

func (m *model) Init() tea.Cmd { return m.load() }

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.size = Clamp(uint32(max(msg.Width, 0)), uint32(max(msg.Height, 0)))
	case keys:
		return m, m.typed(msg)
	case Now:
		m.take(msg)
		return m, m.load()
	case loaded:
		if m.news = &msg; m.loadAgain[msg.tab].IsZero() {
			m.showNews()
		}
		return m, m.load() // another tab may wait
	case opened:
		if m.message = ""; msg.err != nil {
			m.message = msg.err.Error()
			break
		}
		m.opened, m.scroll = &msg.detail, 0
	case done:
		if m.message = msg.what; msg.err != nil {
			m.message = msg.err.Error()
		}
		clear(m.loadAgain)
		return m, m.load()
	}
	return m, nil
}

// sparkSeconds is how long a sparkline looks back.
const sparkSeconds = 300

// take shows a newer state of the gateway.
func (m *model) take(now Now) {
	if now.Time.Before(m.now.Time) {
		return // a newer one came first
	}
	if !m.now.Time.IsZero() {
		m.accepted = latest(append(m.accepted, int(now.Accepted-m.now.Accepted)))
		m.refused = latest(append(m.refused, int(now.Refused-m.now.Refused)))
	}
	m.now = now
	m.publishers.set(now.Publishers)
	m.commands.set(now.Commands)
	m.penalties.set(now.Penalties)
	m.showNews()
}

func latest(values []int) []int { return values[max(len(values)-sparkSeconds, 0):] }

// The rows of a list are read every two seconds. If that takes long, they are read less
// often, so that it costs at most a fiftieth of the time.
const (
	loadInterval = 2 * time.Second
	loadShare    = 50
)

// showNews shows the rows that were read. The first rows of a list are shown at once.
// Later ones wait for a key or the next second, so that a screen that nobody touches is
// drawn once a second.
func (m *model) showNews() {
	l := m.news
	if l == nil {
		return
	}
	began := time.Now()
	if l.err == nil {
		l.show()
	} else {
		m.message = l.err.Error()
	}
	m.loadAgain[l.tab] = m.now.Time.Add(max(loadInterval, loadShare*(l.took+time.Since(began))))
	m.loading, m.news = false, nil
}

// load reads the rows of the tab, if it is time.
func (m *model) load() tea.Cmd {
	if m.loading || m.now.Time.Before(m.loadAgain[m.tab]) {
		return nil
	}
	switch m.tab {
	case tabHosts:
		return reading(m, m.hosts, m.source.Hosts)
	case tabKeys:
		return reading(m, m.keys, m.source.Keys)
	}
	return nil
}

// reading reads the rows of the tab's list l.
func reading[T any](m *model, l *list[T], read func(context.Context) ([]T, error)) tea.Cmd {
	m.loading = true
	tab := m.tab
	return func() tea.Msg {
		began := time.Now()
		rows, err := read(m.ctx)
		return loaded{tab, time.Since(began), func() { l.set(rows) }, err}
	}
}

// open reads the details of a host.
func (m *model) open(name string) tea.Cmd {
	if m.tab != tabHosts || name == "" {
		return nil
	}
	return func() tea.Msg {
		d, err := m.source.Host(m.ctx, name)
		return opened{d, err}
	}
}

func (m *model) offline(name string) tea.Cmd {
	m.message = "taking " + name + " offline..."
	return func() tea.Msg {
		return done{name + " is offline", m.source.Offline(m.ctx, name)}
	}
}

func (m *model) rebuild() tea.Cmd {
	if !m.source.MayChange() {
		m.message = "this key may look, and no more"
		return nil
	}
	m.message = "publishing everything again..."
	return func() tea.Msg { return done{"rebuilt", m.source.Rebuild(m.ctx)} }
}
