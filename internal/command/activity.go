package command

import (
	"sync"
	"time"

	"dnsgate/internal/authkeys"
	"dnsgate/internal/records"
)

// How much is remembered of the commands that have ended, for `top`. It costs a command
// less than a microsecond, and about 100 KB in all.
const (
	lastCommands  = 256
	lastSeconds   = 300
	maxRemembered = 100_000 // keys
)

// activity remembers the last commands, their number each second, and when each key was
// last used. The zero value is empty.
type activity struct {
	mu      sync.Mutex
	last    [lastCommands]ended
	next    int // in last
	seconds [lastSeconds + 1]second
	uses    map[string]keyUse // by the fingerprint of the line's key
}

// ended is a command, or a line of a batch, that has ended.
type ended struct {
	at      time.Time
	verb    string
	code    Code
	hosts   string // the first ones: see firstHosts
	comment string // of the key
	key     string // its fingerprint
	source  string
	took    time.Duration
}

// firstHosts lists some of the names, and the number of the others. The entry of a
// command must stay short even if the command is long.
func firstHosts(names []records.Name) string { return records.First(names, 3, ",") }

// second counts what ended in one.
type second struct {
	unix              int64
	updates, failures int
}

type keyUse struct {
	last  time.Time
	count uint64
}

// note adds a command that has ended. The end of a batch is not counted: its lines
// were.
func (a *activity) note(e ended, grant authkeys.Grant, update bool) {
	key := grant.Fingerprint
	if grant.Certificate != nil {
		key = grant.Certificate.CA
	}
	e.comment, e.key = grant.Comment, grant.Fingerprint
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last[a.next] = e
	a.next = (a.next + 1) % lastCommands
	s := &a.seconds[e.at.Unix()%int64(len(a.seconds))]
	if s.unix != e.at.Unix() {
		*s = second{unix: e.at.Unix()}
	}
	switch {
	case e.code.Exit() != 0:
		s.failures++
	case update:
		s.updates++
	}
	if key == "" {
		return
	}
	if a.uses == nil {
		a.uses = make(map[string]keyUse)
	}
	u, remembered := a.uses[key]
	if !remembered && len(a.uses) >= maxRemembered {
		for old := range a.uses { // an account of sshd's may invent keys
			delete(a.uses, old)
			break
		}
	}
	a.uses[key] = keyUse{e.at, u.count + 1}
}

// commands are the last ones, the newest first.
func (a *activity) commands() []ended {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]ended, 0, lastCommands)
	for i := range lastCommands {
		e := a.last[(a.next-1-i+2*lastCommands)%lastCommands]
		if e.at.IsZero() {
			break
		}
		list = append(list, e)
	}
	return list
}

// rates are the whole seconds before now, the newest last.
func (a *activity) rates(now time.Time) (updates, failures []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	updates, failures = make([]int, lastSeconds), make([]int, lastSeconds)
	for i := range lastSeconds {
		unix := now.Unix() - int64(lastSeconds-i)
		if s := a.seconds[unix%int64(len(a.seconds))]; s.unix == unix {
			updates[i], failures[i] = s.updates, s.failures
		}
	}
	return updates, failures
}

// used is when the key of a line was last used, and how often.
func (a *activity) used(fingerprint string) keyUse {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.uses[fingerprint]
}
