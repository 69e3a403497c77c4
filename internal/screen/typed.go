package screen

import (
	"strings"

	tea "charm.land/bubbletea/v2"
)

// maxFilter is the length of the longest filter.
const maxFilter = 100

// maxCommands is how many commands of keys that are typed at once are run. Each is a
// goroutine until the screen has its result.
const maxCommands = 16

// typed does what keys ask for. Several redraws at once are one.
func (m *model) typed(ks keys) tea.Cmd {
	m.showNews()
	var cmds []tea.Cmd
	redraw := false
	filter := m.pane().filtered()
	for _, k := range ks {
		if m.typing { // the list is searched once, for all of them
			filter = m.typeFilter(k, filter)
			continue
		}
		if k.pasted {
			continue
		}
		switch {
		case k.is("quit"):
			return tea.Quit
		case k.is("redraw"):
			redraw = true
			continue
		}
		if cmd := m.press(k); cmd != nil && len(cmds) < maxCommands {
			cmds = append(cmds, cmd)
		}
		filter = m.pane().filtered()
	}
	if filter != m.pane().filtered() {
		m.pane().setFilter(filter)
	}
	if redraw {
		cmds = append(cmds, tea.ClearScreen)
	}
	return tea.Batch(cmds...)
}

// typeFilter is the filter after one more key.
func (m *model) typeFilter(k key, filter string) string {
	switch {
	case k.is("enter", "tab", "up", "down"):
		m.typing = false
	case k.is("esc", "quit"):
		m.typing = false
		return ""
	case k.is("backspace"):
		return filter[:max(len(filter)-1, 0)]
	case k.char != 0 && len(filter) < maxFilter:
		return filter + strings.ToLower(string(rune(k.char)))
	}
	return filter
}

// press does what one key asks for.
func (m *model) press(k key) tea.Cmd {
	switch {
	case m.confirm != "":
		name := m.confirm
		m.confirm, m.message = "", ""
		if k.is("y", "Y") {
			return m.offline(name)
		}
		return nil
	case m.help:
		m.help = false
		return nil
	case k.is("?"):
		m.help = true
		return nil
	case m.opened != nil:
		return m.pressOpened(k)
	}
	return m.pressList(k)
}

func (m *model) pressOpened(k key) tea.Cmd {
	switch {
	case k.is("esc", "q", "enter", "left", "backspace"):
		m.opened = nil
	case k.is("o"):
		m.ask(m.opened.Name)
	case k.is("r"):
		return m.rebuild()
	default:
		m.scroll = max(min(m.scroll+steps(k, m.room()), len(m.detail())-m.room()), 0)
	}
	return nil
}

func (m *model) pressList(k key) tea.Cmd {
	p := m.pane()
	switch {
	case k.is("q"):
		return tea.Quit
	case k.is("tab", "right", "l"):
		return m.show((m.tab + 1) % len(tabs))
	case k.is("back", "left", "h"):
		return m.show((m.tab + len(tabs) - 1) % len(tabs))
	case k.char >= '1' && int(k.char-'1') < len(tabs):
		return m.show(int(k.char - '1'))
	case k.is("/"):
		m.typing = true
	case k.is("esc"):
		p.setFilter("")
		m.message = ""
	case k.is("s"):
		p.sortBy(1)
	case k.is("S"):
		p.turn()
	case k.is("enter"):
		return m.open(p.chosen())
	case k.is("o"):
		if m.tab == tabHosts {
			m.ask(p.chosen())
		}
	case k.is("r"):
		return m.rebuild()
	default:
		p.move(steps(k, m.room()))
	}
	return nil
}

func (m *model) show(tab int) tea.Cmd {
	m.tab, m.message = tab, ""
	return m.load()
}

// ask asks whether to take a host offline.
func (m *model) ask(name string) {
	switch {
	case name == "":
	case !m.source.MayChange():
		m.message = "this key may look, and no more"
	default:
		m.confirm = name
	}
}

// far is further than any list goes.
const far = 1 << 30

// steps is how many lines a key goes down. A page has room lines.
func steps(k key, room int) int {
	switch {
	case k.is("down", "j"):
		return 1
	case k.is("up", "k"):
		return -1
	case k.is("pgdn", " "):
		return max(room-1, 1)
	case k.is("pgup", "b"):
		return -max(room-1, 1)
	case k.is("home", "g"):
		return -far
	case k.is("end", "G"):
		return far
	}
	return 0
}
