package etcdstore

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// etcd counts all that follows in a range, whatever the limit: pages of 1,000
// among 500,000 keys cost 31 ms each. So large ranges are divided by the next
// character of their keys, until each holds few enough to be read whole.
const maxRange = 8192

// dividers are where names are divided: the characters of hostnames, and what
// ends the last of them.
const dividers = "*-.0123456789_abcdefghijklmnopqrstuvwxyz{"

// scan calls each for all keys that begin with prefix, in order, as they were
// at revision; 0 is now. It returns the revision that it read at.
func scan(ctx context.Context, c *connection, prefix string, revision int64, each func(*mvccpb.KeyValue) error) (int64, error) {
	if revision == 0 {
		now, err := c.client.Get(ctx, prefix, clientv3.WithCountOnly())
		if err != nil {
			return 0, err
		}
		revision = now.Header.Revision
	}
	s := scanner{ctx, c, revision, each}
	return revision, s.read(prefix, prefix, clientv3.GetPrefixRangeEnd(prefix))
}

type scanner struct {
	ctx      context.Context
	conn     *connection
	revision int64
	each     func(*mvccpb.KeyValue) error
}

// read reads from low to below high; all keys that are many there begin with
// prefix.
func (s *scanner) read(prefix, low, high string) error {
	n, err := s.get(low, high, clientv3.WithCountOnly())
	if err != nil || n.Count == 0 {
		return err
	}
	if n.Count > maxRange && len(prefix) < 300 {
		return s.divide(prefix, low, high)
	}
	all, err := s.get(low, high)
	if err != nil {
		return err
	}
	for _, kv := range all.Kvs {
		if err := s.each(kv); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) divide(prefix, low, high string) error {
	longer := prefix
	for i := range dividers {
		next := prefix + dividers[i:i+1]
		if next <= low {
			longer = next
			continue
		}
		if err := s.read(longer, low, next); err != nil {
			return err
		}
		low, longer = next, next
	}
	return s.read(longer, low, high)
}

// get needs no majority: the node had the revision when scan began.
func (s *scanner) get(low, high string, with ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	return s.conn.client.Get(s.ctx, low, append(with, clientv3.WithRange(high), clientv3.WithRev(s.revision), clientv3.WithSerializable())...)
}
