package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dnsgate/internal/pause"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Gateway is what a gateway tells the others of itself, once a second.
type Gateway struct {
	Name     string    `json:"name"`
	Time     time.Time `json:"time"`     // by its clock, when it told so
	Revision uint64    `json:"revision"` // that its watch has told
	Keys     string    `json:"keys"`     // digest of its authorized keys
	Version  string    `json:"version"`

	Roles []string      `json:"-"` // that it has
	Clock time.Duration `json:"-"` // how far its clock is ahead of this machine's, to about a second
	Here  bool          `json:"-"` // this gateway
}

// Node is the URL of the node that is used, "" if none answers.
func (s *Store) Node() string {
	if conn, _ := s.nodes.get(); conn != nil {
		return conn.url
	}
	return ""
}

// Gateways are all that live, by name.
func (s *Store) Gateways() (list []Gateway) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.gateways {
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b Gateway) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// beSeen keeps this gateway among those that live, renews its terms, and looks
// at the others, until the store closes.
func (s *Store) beSeen() {
	failed := ""
	for s.ctx.Err() == nil {
		if conn, _ := s.nodes.get(); conn != nil {
			ctx, cancel := conn.with(s.ctx)
			err := s.seen(ctx, conn)
			cancel()
			if err != nil && s.ctx.Err() == nil && conn.ctx.Err() == nil && err.Error() != failed {
				s.o.Log.Warn("telling the other gateways failed", "error", err)
			}
			failed = fmt.Sprint(err)
		}
		pause.For(s.ctx, renewEvery)
	}
	s.leave()
}

func (s *Store) seen(ctx context.Context, c *connection) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	if err := s.lease.renew(ctx, c); err != nil {
		return err
	}
	if err := s.tell(ctx, c); err != nil {
		return err
	}
	s.mu.Lock()
	roles := slices.Clone(s.roles)
	s.mu.Unlock()
	for _, r := range roles {
		if err := s.campaign(ctx, c, r); err != nil {
			return err
		}
	}
	return s.look(ctx, c)
}

// tell writes this gateway's own key, unless another gateway has the name.
func (s *Store) tell(ctx context.Context, c *connection) error {
	g := Gateway{Name: s.o.Name, Time: s.o.now(), Revision: s.Revision(), Version: s.o.Version}
	if s.o.Keys != nil {
		g.Keys = s.o.Keys()
	}
	text, err := json.Marshal(g)
	if err != nil {
		return err
	}
	key := s.o.Prefix + keyGateway + s.o.Name
	put := clientv3.OpPut(key, string(text), clientv3.WithLease(s.lease.id))
	mine := clientv3.Compare(clientv3.LeaseValue(key), "=", s.lease.id)
	r, err := c.client.Txn(ctx).If(absent(key)).Then(put).Else(clientv3.OpTxn([]clientv3.Cmp{mine}, []clientv3.Op{put}, nil)).Commit()
	if err != nil {
		return err
	}
	if !r.Succeeded && !r.Responses[0].GetResponseTxn().Succeeded {
		return fmt.Errorf("another gateway is called %q too; give each a name of its own in [etcd]", s.o.Name)
	}
	return nil
}

// maxGateways bounds what a hostile writer to etcd can make this one keep.
const maxGateways = 1000

// look reads what the others tell.
func (s *Store) look(ctx context.Context, c *connection) error {
	r, err := c.client.Txn(ctx).Then(
		clientv3.OpGet(s.o.Prefix+keyGateway, clientv3.WithPrefix(), clientv3.WithLimit(maxGateways)),
		clientv3.OpGet(s.o.Prefix+keyRole, clientv3.WithPrefix(), clientv3.WithLimit(maxGateways)),
	).Commit()
	if err != nil {
		return err
	}
	now := s.o.now()
	roles := make(map[string][]string)
	for _, kv := range r.Responses[1].GetResponseRange().Kvs {
		role := strings.TrimPrefix(string(kv.Key), s.o.Prefix+keyRole)
		roles[string(kv.Value)] = append(roles[string(kv.Value)], role)
	}
	all := make(map[string]Gateway)
	for _, kv := range r.Responses[0].GetResponseRange().Kvs {
		g := Gateway{}
		name := strings.TrimPrefix(string(kv.Key), s.o.Prefix+keyGateway)
		if err := json.Unmarshal(kv.Value, &g); err != nil || g.Name != name || !plain(g.Name, g.Keys, g.Version) || !plain(roles[name]...) {
			s.noteDamage(string(kv.Key), errors.New("not what a gateway tells"))
			continue
		}
		g.Roles, g.Here = roles[name], name == s.o.Name
		all[name] = g
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, g := range all {
		old, known := s.gateways[name]
		g.Clock = old.Clock
		if known && !g.Time.Equal(old.Time) {
			g.Clock = clockOf(g, now, now.Sub(s.looked))
		}
		if !g.Here && old.Clock.Abs() <= maxClock && g.Clock.Abs() > maxClock {
			s.o.Log.Warn("the clock of another gateway differs", "gateway", name, "by", g.Clock.Round(time.Millisecond))
		}
		all[name] = g
	}
	s.gateways, s.looked = all, now
	return nil
}

// plain reports whether texts may be shown on a terminal.
func plain(texts ...string) bool {
	for _, text := range texts {
		if len(text) > 300 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
			return false
		}
	}
	return true
}

// maxClock is by how much clocks may differ without a warning.
const maxClock = time.Second

// clockOf tells how far g's clock is ahead. What it told is new since the last
// look, and so up to that old: a clock that lags by less seems right.
func clockOf(g Gateway, now time.Time, since time.Duration) time.Duration {
	ahead := g.Time.Sub(now)
	if ahead < 0 {
		ahead = min(0, ahead+since)
	}
	return ahead
}

// leave lets this gateway's keys go, so that others take its roles at once.
func (s *Store) leave() {
	conn, _ := s.nodes.get()
	if conn == nil || s.lease.id == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
	defer cancel()
	conn.client.Revoke(ctx, s.lease.id)
}
