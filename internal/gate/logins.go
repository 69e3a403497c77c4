package gate

import (
	"errors"
	"slices"
	"sync"

	gossh "golang.org/x/crypto/ssh"
)

// logins are the proven connections, by their key. One key can neither take all places
// nor keep another key's update out.
type logins struct {
	mu  sync.Mutex
	all int
	by  map[string][]*conn // by the key's wire format; oldest first, none empty
}

// errTooManyLogins is told to the client before its login fails.
var errTooManyLogins = &gossh.BannerError{
	Err:     errors.New("too many connections"),
	Message: "dnsgate: too many connections are open, and all of them are busy; try again in a minute\r\n",
}

// add gives c, whose key is proven, a place. If the key has as many as allowed, its
// longest idle connection goes; if all places are taken, that of the key with the most.
// If no connection is idle, add is an error. evicted is the connection that had to go,
// or nil.
func (l *logins) add(key string, c *conn, inAll, byKey int) (evicted *conn, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.by[key]) >= byKey:
		evicted = evictIdle(l.by[key])
	case l.all >= inAll:
		evicted = l.evictFromLargest()
	default:
		l.insert(key, c)
		return nil, nil
	}
	if evicted == nil {
		return nil, errTooManyLogins
	}
	l.remove(evicted)
	l.insert(key, c)
	return evicted, nil
}

func (l *logins) insert(key string, c *conn) {
	if l.by == nil {
		l.by = make(map[string][]*conn)
	}
	c.login = key
	l.by[key] = append(l.by[key], c)
	l.all++
}

// end gives c's place back, if it still has one.
func (l *logins) end(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

func (l *logins) remove(c *conn) {
	conns := l.by[c.login]
	i := slices.Index(conns, c)
	if i < 0 {
		return
	}
	l.all--
	if l.by[c.login] = slices.Delete(conns, i, i+1); len(conns) == 1 {
		delete(l.by, c.login)
	}
}

// evictFromLargest ends an idle connection of the key that has the most. Keys
// whose connections are all busy are passed over.
func (l *logins) evictFromLargest() *conn {
	busy := make(map[string]bool)
	for len(busy) < len(l.by) {
		largest, most := "", 0
		for key, conns := range l.by {
			if len(conns) > most && !busy[key] {
				largest, most = key, len(conns)
			}
		}
		if c := evictIdle(l.by[largest]); c != nil {
			return c
		}
		busy[largest] = true
	}
	return nil
}

// evictIdle ends the connection of conns that has been idle for longest, and returns
// it.
func evictIdle(conns []*conn) *conn {
	for {
		var longest *conn
		for _, c := range conns {
			if idle := c.idleSince(); !idle.IsZero() && (longest == nil || idle.Before(longest.idleSince())) {
				longest = c
			}
		}
		if longest == nil || longest.closeIdle() {
			return longest
		}
	}
}
