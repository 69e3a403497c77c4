// Package etcdstore is the store of several gateways: an etcd cluster of the
// operator's. It trusts etcd to be there and to answer, not to hold only what
// dnsgate wrote: every value is checked as one of a file would be, and one that
// is not understood is named, and never used.
package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"
)

// Options say where the store is.
type Options struct {
	Endpoints []string      // URLs
	Prefix    string        // of all keys; ends with a slash
	CA        string        // path of a file with the certificates that prove etcd; "": the system's
	Cert, Key string        // paths of the gateway's own certificate and its key; "": it has none
	Name      string        // of this gateway, unlike all others
	Timeout   time.Duration // of one request
	State     string        // path of the folder that remembers how far this store had come
	Version   string        // of this dnsgate, for the others to see
	Keys      func() string // a digest of this gateway's authorized keys, for the others to compare; nil: none
	Log       *slog.Logger

	now func() time.Time // the clock; nil: time.Now
}

// Store is a records.Store: every host in memory, as etcd's watch tells it, and
// behind it etcd, which alone decides what is so.
type Store struct {
	*memory.Index
	o     Options
	nodes *endpoints
	meta  meta
	lease lease  // that the gateway's own keys in etcd live by
	bits  uint64 // of this process, in the ids of its log entries

	ctx      context.Context // ends with Close
	end      context.CancelFunc
	running  sync.WaitGroup // what runs until ctx ends
	sending  sync.WaitGroup // transactions on their way
	watching uint64         // the etcd revision that the watch goes on from; belongs to the watch

	mu           sync.Mutex
	queue        queue
	lastID       uint64
	ahead        map[records.Name]memory.Entry // known from answers, and newer than what the watch has told
	damaged      map[string]string             // keys whose value is not understood, and why
	reached      uint64                        // the revision that the watch has told
	savedReached uint64                        // as written down
	rewatch      func()                        // has the watch begin again
	moved        chan struct{}                 // closed and replaced when reached grows
	gateways     map[string]Gateway            // all that live
	looked       time.Time                     // when gateways was read
	roles        []*Role                       // that this one stands for
}

var _ records.Store = (*Store)(nil)

// openTimeout is how long to look for an endpoint that answers at start.
const openTimeout = 5 * time.Second

// Open reads the store at o.Prefix, and makes it if nothing is there. What a
// restore left incomplete, or what is older than this gateway has seen, is an
// error. Close ends it.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("etcd %s: %w", o.Prefix, err)
	}
	s.running.Go(s.keepWatching)
	s.running.Go(s.keepHighWater)
	s.running.Go(s.beSeen)
	return s, nil
}

func open(ctx context.Context, o Options) (*Store, error) {
	s, err := prepare(o)
	if err != nil {
		return nil, err
	}
	if err := s.load(ctx); err != nil {
		s.end()
		s.nodes.close()
		return nil, err
	}
	return s, nil
}

// prepare makes a store that has read nothing yet, and looks for nodes that
// answer.
func prepare(o Options) (*Store, error) {
	nodes, err := openEndpoints(o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		Index: memory.NewIndex(0, 0, 0), o: o, nodes: nodes, bits: processBits(o.Name),
		ahead: make(map[records.Name]memory.Entry), damaged: make(map[string]string),
		moved: make(chan struct{}), rewatch: func() {}, gateways: make(map[string]Gateway),
	}
	if o.now == nil {
		s.o.now = time.Now
	}
	s.ctx, s.end = context.WithCancel(context.Background())
	nodes.changed = s.pump
	nodes.start()
	return s, nil
}

// load reads everything, again where a node stops answering meanwhile.
func (s *Store) load(ctx context.Context) error {
	for {
		conn, err := s.firstNode(ctx)
		if err != nil {
			return err
		}
		err = s.loadFrom(ctx, conn)
		if err == nil || conn.ctx.Err() == nil {
			return err
		}
		s.Index = memory.NewIndex(0, 0, 0)
	}
}

func (s *Store) loadFrom(ctx context.Context, conn *connection) (err error) {
	ctx, cancel := conn.with(ctx)
	defer cancel()
	if s.meta, err = openMeta(ctx, conn, s.o.Prefix); err != nil {
		return err
	}
	return s.loadHosts(ctx, conn)
}

// firstNode waits for a node, but not for ever.
func (s *Store) firstNode(ctx context.Context) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	return s.nodes.wait(ctx)
}

// Close ends the store after the transactions that are on their way.
func (s *Store) Close() error {
	s.mu.Lock()
	s.queue.closed = true
	waiting := slices.DeleteFunc(slices.Clone(s.queue.waiting), func(c *commit) bool { return c.sent })
	s.mu.Unlock()
	for _, c := range waiting {
		s.abandon(c, errStopping)
	}
	s.sending.Wait()
	s.end()
	s.running.Wait()
	return errors.Join(s.saveHighWater(), s.nodes.close())
}

var errStopping = errors.New("the gateway is stopping")

// Damaged names the keys in etcd whose values are not understood, with the
// reasons, in order. Their hosts stay as they were known before.
func (s *Store) Damaged() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.damaged)) {
		list = append(list, fmt.Sprintf("%q: %s", key, s.damaged[key]))
	}
	return list
}

// maxDamaged bounds what a hostile writer to etcd can make the gateway keep.
const maxDamaged = 1000

func (s *Store) noteDamage(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.damaged[key]; !known && len(s.damaged) < maxDamaged {
		s.o.Log.Error("value in etcd not understood", "key", key, "error", err)
		s.damaged[key] = err.Error()
	}
}

// newID returns the id of a log entry: the time in microseconds and twelve bits
// of the process. Ids of a process grow; that no other has it, the transaction
// makes sure of.
func (s *Store) newID() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID = max(s.lastID+1<<12, uint64(s.o.now().UnixMicro())<<12|s.bits)
	return s.lastID
}

func processBits(name string) uint64 {
	sum := fnv.New32a()
	fmt.Fprint(sum, name, time.Now())
	return uint64(sum.Sum32() & (1<<12 - 1))
}
