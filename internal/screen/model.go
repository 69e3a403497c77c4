package screen

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// model is a screen's state; bubbletea calls its methods one at a time.
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
	loading    bool
	loadAgain  map[int]time.Time // by tab; the first time is zero

	typing  bool    // the filter
	confirm string  // the host that is to go offline, if the answer is yes
	opened  *Detail // that is shown; nil: none
	scroll  int     // of it
	help    bool
	message string // what became of the last request
}

// tabs are what the lists show.
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

// What commands of the screen bring back.
type (
	hostsLoaded struct {
		hosts []Host
		took  time.Duration
		err   error
	}
	keysLoaded struct {
		keys []Key
		took time.Duration
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
	case hostsLoaded:
		m.loaded(tabHosts, msg.took, msg.err)
		if msg.err == nil {
			m.hosts.set(msg.hosts)
		}
		return m, m.load() // of another tab, perhaps
	case keysLoaded:
		m.loaded(tabKeys, msg.took, msg.err)
		if msg.err == nil {
			m.keys.set(msg.keys)
		}
		return m, m.load()
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

// take shows what is now.
func (m *model) take(now Now) {
	if now.Time.Before(m.now.Time) {
		return // it was overtaken
	}
	if !m.now.Time.IsZero() {
		m.accepted = latest(append(m.accepted, int(now.Accepted-m.now.Accepted)))
		m.refused = latest(append(m.refused, int(now.Refused-m.now.Refused)))
	}
	m.now = now
	m.publishers.set(now.Publishers)
	m.commands.set(now.Commands)
	m.penalties.set(now.Penalties)
}

func latest(values []int) []int { return values[max(len(values)-sparkSeconds, 0):] }

// A list that is long to load is loaded again so seldom that it costs a fiftieth
// of the time.
const (
	loadSeldom = 50
	loadOften  = 2 * time.Second
)

// load has the rows of the tab read, if it is time.
func (m *model) load() tea.Cmd {
	if m.loading || m.now.Time.Before(m.loadAgain[m.tab]) {
		return nil
	}
	switch m.tab {
	case tabHosts:
		m.loading = true
		return func() tea.Msg {
			began := time.Now()
			hosts, err := m.source.Hosts(m.ctx)
			return hostsLoaded{hosts, time.Since(began), err}
		}
	case tabKeys:
		m.loading = true
		return func() tea.Msg {
			began := time.Now()
			keys, err := m.source.Keys(m.ctx)
			return keysLoaded{keys, time.Since(began), err}
		}
	}
	return nil
}

func (m *model) loaded(tab int, took time.Duration, err error) {
	m.loading = false
	m.loadAgain[tab] = m.now.Time.Add(max(loadOften, loadSeldom*took))
	if err != nil {
		m.message = err.Error()
	}
}

// open has a host's details read.
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
	m.message = "publishing everything anew..."
	return func() tea.Msg { return done{"rebuilt", m.source.Rebuild(m.ctx)} }
}
