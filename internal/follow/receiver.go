package follow

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"
	"time"

	"dnsgate/internal/records"
)

// group is the changes between two "# at" lines, or a piece of a whole.
type group struct {
	store    string
	revision uint64 // of the gateway
	at       time.Time
	whole    bool // everything there is; otherwise changes
	first    bool // of the whole's pieces
	more     bool // pieces are to come; the last one has the revision
	size     int  // bytes of text, of a piece
	hosts    []records.Host
	causes   []records.Cause
	place    map[records.Name]int
}

// receiver reads a gateway's stream, and rejects every line that is malformed or out of
// order. It belongs to one goroutine.
type receiver struct {
	in      *bufio.Reader
	names   Names
	most    int    // hosts in a group
	mark    string // "STORE REVISION" that was asked for
	begun   bool   // the first line has come
	store   string
	reached uint64 // by the last group
	fresh   bool   // no whole of this store has come yet
	group   *group
	highest uint64 // revision in group
}

// gatewaysWord begins a reply that is no stream.
var gatewaysWord = regexp.MustCompile(`^(911|nohost|abuse|badcmd|dnserr) `)

// maxPiece is how many hosts a piece of a whole has at most. A piece with more than
// maxPieceSize bytes of text ends earlier, because several pieces wait to be stored.
const (
	maxPiece     = 4096
	maxPieceSize = 1 << 20
)

// next returns the next group or piece, or nil once the first line has come. It calls alive
// at each line.
func (r *receiver) next(alive func()) (*group, error) {
	for {
		line, err := readLine(r.in)
		if err != nil {
			return nil, err
		}
		alive()
		text := string(line)
		switch {
		case gatewaysWord.MatchString(text) && !isChange(text):
			return nil, fmt.Errorf("the gateway says: %s", short(text))
		case !r.begun:
			return nil, r.begin(text)
		case text == wholeLine:
			r.start()
			r.group.whole, r.group.first = true, true
		case strings.HasPrefix(text, atLine):
			return r.end(text[len(atLine):])
		default:
			if err := r.add(text); err != nil {
				return nil, err
			}
			if g := r.group; g.whole && (len(g.hosts) == maxPiece || g.size > maxPieceSize) {
				g.more = true
				r.group = &group{store: r.store, whole: true}
				return g, nil
			}
		}
	}
}

func isChange(text string) bool { return strings.Count(text, " ") == 7 }

// begin reads the first line.
func (r *receiver) begin(text string) error {
	rest, ok := strings.CutPrefix(text, firstLine)
	words := strings.Split(rest, " ")
	switch {
	case !ok:
		return fmt.Errorf("%q is not how a gateway begins", short(text))
	case words[0] != format:
		return fmt.Errorf("the gateway speaks format %q of follow, and this dnsgate only %s; update it", short(words[0]), format)
	case len(words) != 2 || words[1] == "" || len(words[1]) > 256 || strings.Trim(words[1], storeBytes) != "":
		return fmt.Errorf("%q names no store", short(text))
	}
	r.store, r.begun, r.fresh = words[1], true, true
	if store, revision, ok := strings.Cut(r.mark, " "); ok && store == r.store {
		r.fresh = false
		fmt.Sscan(revision, &r.reached)
	}
	return nil
}

const storeBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"

func (r *receiver) start() {
	r.group = &group{store: r.store, place: make(map[records.Name]int)}
	r.highest = 0
}

// add takes a change line.
func (r *receiver) add(text string) error {
	if r.group == nil {
		r.start()
	}
	g := r.group
	c, err := records.ParseChange(text)
	if err == nil {
		err = c.Check()
	}
	switch {
	case err != nil:
		return fmt.Errorf("a line of the gateway: %w", err)
	case r.fresh && !g.whole:
		return fmt.Errorf("a change, and the whole of the store has not come yet")
	case !r.names.Has(c.Name):
		return fmt.Errorf("the gateway sends %s, which is not among names; narrow the line of this key there, or widen names", c.Name)
	case !g.whole && c.Revision <= r.reached:
		return fmt.Errorf("revision %d of %s after %d: the gateway goes back", c.Revision, c.Name, r.reached)
	}
	r.highest = max(r.highest, c.Revision)
	session := max(c.Time.UnixMicro(), 0)
	h := records.Host{Name: c.Name, Revision: c.Revision, Session: session, TTL: c.TTL, Records: c.New}
	records.Sort(h.Records)
	if g.whole { // if a host comes again, the later line counts
		g.hosts, g.size = append(g.hosts, h), g.size+len(text)
		return nil
	}
	cause := records.Cause{Time: c.Time, Session: session, Key: c.Key, Source: c.Source}
	if i, again := g.place[c.Name]; again {
		if c.Revision < g.hosts[i].Revision {
			return fmt.Errorf("revision %d of %s after %d: the gateway goes back", c.Revision, c.Name, g.hosts[i].Revision)
		}
		g.hosts[i], g.causes[i] = h, cause
		return nil
	}
	g.place[c.Name] = len(g.hosts)
	g.hosts, g.causes = append(g.hosts, h), append(g.causes, cause)
	return room(len(g.hosts), r.most)
}

// room refuses more hosts than allowed.
func room(hosts, most int) error {
	if hosts > most {
		return fmt.Errorf("the gateway sends more than %d hosts; max_hosts in [limits] is how many may come", most)
	}
	return nil
}

// end reads the words after "# at".
func (r *receiver) end(text string) (*group, error) {
	revision, at, err := parseAt(text)
	if err != nil {
		return nil, fmt.Errorf("a line of the gateway: %w", err)
	}
	if r.group == nil {
		r.start()
	}
	g := r.group
	switch {
	case r.fresh && !g.whole && revision != 0:
		return nil, fmt.Errorf("revision %d, and the whole of the store has not come yet", revision)
	case !g.whole && revision < r.reached:
		return nil, fmt.Errorf("revision %d after %d: the gateway goes back", revision, r.reached)
	case r.highest > revision:
		return nil, fmt.Errorf("a change of revision %d in a group that ends at %d", r.highest, revision)
	}
	g.revision, g.at = revision, at
	r.reached, r.group, r.highest = revision, nil, 0
	r.fresh = r.fresh && !g.whole
	return g, nil
}
