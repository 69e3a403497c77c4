package etcdstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Below the prefix stand
//
//	h/NAME     a sealed host. Its revision is 0: that of etcd's ModRevision
//	           counts, plus the store's base; or the one that it had in a backup
//	l/ID       a sealed log entry: the lines of one transaction
//	m/store    what the store is: see meta
//	m/restore  a restore is not complete
//	m/forgot   the latest revision of a host that was forgotten
//	m/mark     the mark
//	g/NAME     a gateway that lives
//	e/ROLE     the gateway that has a role
const (
	keyHost    = "h/"
	keyLog     = "l/"
	keyMeta    = "m/store"
	keyRestore = "m/restore"
	keyForgot  = "m/forgot"
	keyMark    = "m/mark"
	keyGateway = "g/"
	keyRole    = "e/"
)

func (s *Store) hostKey(name records.Name) string { return s.o.Prefix + keyHost + string(name) }

func logName(id uint64) string { return fmt.Sprintf("%s%016x", keyLog, id) }

func (s *Store) logKey(id uint64) string { return s.o.Prefix + logName(id) }

// meta is what is true of the whole store, and never changes.
type meta struct {
	base     uint64 // what is added to etcd's revisions
	restored uint64 // the revision of the backup that the store began with, or 0
}

func (m meta) seal() string {
	v := binary.BigEndian.AppendUint64(nil, m.base)
	return seal(keyMeta, binary.BigEndian.AppendUint64(v, m.restored))
}

func seal(key string, value []byte) string { return string(memory.Seal([]byte(key), value)) }

// sealedNumber is the value of m/forgot.
func sealedNumber(key string, n uint64) string {
	return seal(key, binary.BigEndian.AppendUint64(nil, n))
}

// readMeta reads what the store at prefix is, if it is there.
func readMeta(ctx context.Context, c *connection, prefix string) (m meta, there bool, err error) {
	r, err := c.client.Txn(ctx).Then(
		clientv3.OpGet(prefix+keyMeta),
		clientv3.OpGet(prefix+keyRestore),
		clientv3.OpGet(prefix+keyHost, clientv3.WithPrefix(), clientv3.WithCountOnly()),
	).Commit()
	if err != nil {
		return m, false, err
	}
	store, restore, hosts := r.Responses[0].GetResponseRange(), r.Responses[1].GetResponseRange(), r.Responses[2].GetResponseRange()
	switch {
	case restore.Count > 0:
		return m, false, fmt.Errorf("a restore did not come to its end; remove all keys (etcdctl del --prefix %s), and restore again", prefix)
	case store.Count > 0:
		m, err = parseMeta(store.Kvs[0].Value)
		return m, true, err
	case hosts.Count > 0:
		return m, false, fmt.Errorf("%s is missing, but there are %d hosts; restore a backup below an empty prefix", keyMeta, hosts.Count)
	}
	return m, false, nil
}

// openMeta reads what the store at prefix is, and makes an empty one if nothing
// is there.
func openMeta(ctx context.Context, c *connection, prefix string) (meta, error) {
	for {
		m, there, err := readMeta(ctx, c, prefix)
		if err != nil || there {
			return m, err
		}
		if _, err := c.client.Txn(ctx).If(absent(prefix+keyMeta), absent(prefix+keyRestore)).
			Then(clientv3.OpPut(prefix+keyMeta, meta{}.seal())).Commit(); err != nil {
			return m, err
		}
	}
}

func parseMeta(sealed []byte) (m meta, err error) {
	v, err := memory.Unseal([]byte(keyMeta), sealed)
	if err == nil && len(v) != 16 {
		err = memory.ErrTruncated
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w", keyMeta, err)
	}
	return meta{binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[8:])}, nil
}

func absent(key string) clientv3.Cmp { return clientv3.Compare(clientv3.CreateRevision(key), "=", 0) }

// openHost reads a host, and checks that it may be one.
func (s *Store) openHost(kv *mvccpb.KeyValue) (memory.Entry, error) {
	name, _ := strings.CutPrefix(string(kv.Key), s.o.Prefix+keyHost)
	e, err := memory.OpenHost([]byte(name), kv.Value)
	if err != nil {
		return memory.Entry{}, err
	}
	modified := uint64(kv.ModRevision) + s.meta.base
	switch {
	case e.Revision == 0:
		e.Revision = modified
	case e.Revision > s.meta.restored:
		return memory.Entry{}, fmt.Errorf("host %q: revision %d is later than that of the backup, %d", name, e.Revision, s.meta.restored)
	}
	if err := records.StateLine(e.Host).Check(); err != nil {
		return memory.Entry{}, fmt.Errorf("host %q: %w", name, err)
	}
	if e.TTL > 1<<31-1 {
		return memory.Entry{}, fmt.Errorf("host %q: TTL %d is too large", name, e.TTL)
	}
	e.Session = min(e.Session, s.o.now().UnixMicro()) // a later one would win against all that come
	return e, nil
}

// A log entry's lines each begin with the id of the entry that has the line of
// the host before it, in hexadecimal, or zeros.
const prevDigits = 16

func appendLine(b []byte, prev uint64, c records.Change) []byte {
	if len(b) > 0 {
		b = append(b, '\n')
	}
	b = fmt.Appendf(b, "%0*x ", prevDigits, prev)
	return c.AppendText(b)
}

// line is one line of the log, and the id of the host's entry before it.
type line struct {
	records.Change
	prev uint64
}

// openEntry reads a log entry.
func (s *Store) openEntry(kv *mvccpb.KeyValue) (id uint64, lines []line, err error) {
	name := strings.TrimPrefix(string(kv.Key), s.o.Prefix)
	if _, err := fmt.Sscanf(name, keyLog+"%016x", &id); err != nil || logName(id) != name {
		return 0, nil, fmt.Errorf("%q: not the name of a log entry", name)
	}
	value, err := memory.Unseal([]byte(name), kv.Value)
	if err != nil {
		return 0, nil, fmt.Errorf("%s: %w", name, err)
	}
	for text := range strings.SplitSeq(string(value), "\n") {
		l, err := parseLine(text)
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", name, err)
		}
		if l.Revision == 0 {
			l.Revision = uint64(kv.ModRevision) + s.meta.base
		}
		lines = append(lines, l)
	}
	return id, lines, nil
}

func parseLine(text string) (l line, err error) {
	if len(text) < prevDigits+1 {
		return l, memory.ErrTruncated
	}
	if _, err := fmt.Sscanf(text[:prevDigits], "%016x", &l.prev); err != nil {
		return l, err
	}
	l.Change, err = records.ParseChange(text[prevDigits+1:])
	return l, err
}

// lineTime is when a change was made, as the log has it.
func lineTime(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
