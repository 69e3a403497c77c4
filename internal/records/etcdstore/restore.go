package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Restore makes a store at o.Prefix, where nothing may be, from a backup.
// Errors of the backup's text are *records.BackupError; they are found before
// anything is written. After another error the prefix may have to be cleared: a
// store that was restored in part is not opened.
func Restore(ctx context.Context, o Options, backup io.Reader) error {
	r := restorer{hosts: memory.NewIndex(0, 0, 0), last: make(map[records.Name]logged), now: time.Now()}
	var err error
	if r.revision, err = records.ReadBackup(backup, r.add); err != nil {
		return err
	}
	r.sealEntry()
	nodes, err := openEndpoints(o)
	if err != nil {
		return err
	}
	nodes.changed = func() {}
	nodes.start()
	defer nodes.close()
	wait, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	conn, err := nodes.wait(wait)
	if err != nil {
		return err
	}
	ctx, stop := conn.with(ctx)
	defer stop()
	if err := r.write(ctx, conn, o.Prefix); err != nil {
		return fmt.Errorf("etcd %s: %w", o.Prefix, err)
	}
	return nil
}

// restorer holds a whole backup in memory before it writes any of it.
type restorer struct {
	hosts    *memory.Index
	last     map[records.Name]logged
	entries  []string // sealed; the id of each is its number from 1
	open     []byte   // lines of the entry that is not sealed yet
	at       uint64   // its revision
	revision uint64
	now      time.Time // no session can be later: it would win against all that come
}

// logged is where the last line of a host stands.
type logged struct{ id, revision uint64 }

func (r *restorer) add(c records.Change) error {
	was := r.hosts.Entry(c.Name)
	e := memory.Entry{Host: records.Host{Name: c.Name, Revision: c.Revision, Session: min(c.Time.UnixMicro(), r.now.UnixMicro()), TTL: c.TTL, Records: c.New}, Logged: was.Logged}
	e.Had = (was.Had | records.HadUnknown).With(c.Old).With(c.New) // the log may not reach back to its beginning
	if !c.IsState() {
		last := r.last[c.Name]
		if last.revision >= c.Revision {
			return fmt.Errorf("revision %d of %s does not come after %d", c.Revision, c.Name, last.revision)
		}
		if c.Revision != r.at || len(r.open) > maxBytes/4 {
			r.sealEntry()
		}
		r.at = c.Revision
		r.open = appendLine(r.open, last.id, c)
		e.Logged = uint64(len(r.entries) + 1)
		r.last[c.Name] = logged{e.Logged, c.Revision}
	}
	r.hosts.Load(e)
	return nil
}

// sealEntry ends the entry that lines are added to.
func (r *restorer) sealEntry() {
	if len(r.open) > 0 {
		r.entries = append(r.entries, seal(logName(uint64(len(r.entries)+1)), r.open))
		r.open = nil
	}
}

// write fills the prefix. It begins with a note that only its end removes.
func (r *restorer) write(ctx context.Context, conn *connection, prefix string) error {
	there, err := conn.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	if there.Count > 0 {
		return fmt.Errorf("not empty: it has %q; restore fills an empty prefix only", there.Kvs[0].Key)
	}
	begun, err := conn.client.Txn(ctx).If(absent(prefix+keyMeta), absent(prefix+keyRestore)).
		Then(clientv3.OpPut(prefix+keyRestore, "")).Commit()
	if err == nil && !begun.Succeeded {
		err = errors.New("not empty: another dnsgate is at work here")
	}
	if err != nil {
		return err
	}
	if err := r.fill(ctx, conn, prefix); err != nil {
		return fmt.Errorf("%w; clear it before the next try: etcdctl del --prefix %s", err, prefix)
	}
	return nil
}

func (r *restorer) fill(ctx context.Context, conn *connection, prefix string) error {
	b := batch{ctx: ctx, conn: conn}
	for i, entry := range r.entries {
		b.put(prefix+logName(uint64(i+1)), entry)
	}
	names, err := r.hosts.Find(ctx, records.All)
	if err != nil {
		return err
	}
	for _, name := range names {
		b.put(prefix+keyHost+string(name), string(memory.SealHost(r.hosts.Entry(name))))
	}
	if b.flush(); b.err != nil {
		return b.err
	}
	m := meta{restored: r.revision}
	if r.revision > uint64(b.revision) {
		m.base = r.revision - uint64(b.revision)
	}
	_, err = conn.client.Txn(ctx).Then(clientv3.OpDelete(prefix+keyRestore), clientv3.OpPut(prefix+keyMeta, m.seal())).Commit()
	return err
}

// batch puts many keys, a hundred at a time.
type batch struct {
	ctx      context.Context
	conn     *connection
	ops      []clientv3.Op
	size     int
	revision int64
	err      error // the first
}

func (b *batch) put(key, value string) {
	const most = 100
	if len(b.ops) == most || b.size+len(key)+len(value) > maxBytes {
		b.flush()
	}
	b.ops, b.size = append(b.ops, clientv3.OpPut(key, value)), b.size+len(key)+len(value)
}

func (b *batch) flush() {
	if len(b.ops) > 0 && b.err == nil {
		var r *clientv3.TxnResponse
		if r, b.err = b.conn.client.Txn(b.ctx).Then(slices.Clone(b.ops)...).Commit(); b.err == nil {
			b.revision = r.Header.Revision
		}
	}
	b.ops, b.size = nil, 0
}
