package etcdstore

import (
	"bytes"
	"context"
	"sync"
	"time"

	"dnsgate/internal/pause"
	"dnsgate/internal/records"
	"dnsgate/internal/records/memory"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// maxLog is how many changes the log keeps, maxLogBytes how much room they
// take, and pruneEvery how often the keeper looks.
const (
	maxLog      = 1 << 18
	maxLogBytes = 256 << 20
	pruneEvery  = time.Minute
)

const roleKeeper = "keeper"

// Keep does what one gateway does for all, while it is this one, until ctx
// ends: it ends leases, and takes old changes out of the log.
func (s *Store) Keep(ctx context.Context) {
	s.Stand(roleKeeper).Run(ctx, func(ctx context.Context) {
		var pruning sync.WaitGroup
		pruning.Go(func() { s.keepPruning(ctx) })
		records.EndLeases(ctx, s)
		pruning.Wait()
	})
}

func (s *Store) keepPruning(ctx context.Context) {
	var l logSize
	for ctx.Err() == nil {
		if err := s.prune(ctx, &l, maxLog); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("taking old changes out of the log failed", "error", err)
		}
		pause.For(ctx, pruneEvery)
	}
}

// logSize is what the keeper has seen of the log, so that it reads only what is
// new.
type logSize struct {
	entries      []entrySize // in order of their keys, which is that of time
	lines, bytes int
}

type entrySize struct {
	key          string
	lines, bytes int
}

func (l *logSize) add(kv *mvccpb.KeyValue) {
	text := kv.Value[min(memory.SealSize, len(kv.Value)):]
	e := entrySize{string(kv.Key), bytes.Count(text, []byte("\n")) + 1, len(kv.Key) + len(kv.Value)}
	l.entries = append(l.entries, e)
	l.lines, l.bytes = l.lines+e.lines, l.bytes+e.bytes
}

func (l *logSize) removeFirst() {
	l.lines, l.bytes = l.lines-l.entries[0].lines, l.bytes-l.entries[0].bytes
	l.entries = l.entries[1:]
}

// prune takes the oldest entries out of the log, in one range, until no more
// than most changes are in it.
func (s *Store) prune(ctx context.Context, l *logSize, most int) error {
	conn, err := s.nodes.wait(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := conn.with(ctx)
	defer cancel()
	prefix := s.o.Prefix + keyLog
	low, high := prefix, clientv3.GetPrefixRangeEnd(prefix)
	if n := len(l.entries); n > 0 {
		low = l.entries[n-1].key + "\x00"
	}
	now, err := conn.client.Get(ctx, low, clientv3.WithRange(high), clientv3.WithCountOnly())
	if err != nil || now.Count == 0 {
		return err
	}
	news := scanner{ctx, conn, now.Header.Revision, func(kv *mvccpb.KeyValue) error { l.add(kv); return nil }}
	if err := news.read(prefix, low, high); err != nil {
		*l = logSize{} // begin again: it may have been read in part
		return err
	}
	full := len(l.entries)
	for l.lines > most || l.bytes > maxLogBytes {
		l.removeFirst()
	}
	if len(l.entries) == full {
		return nil
	}
	if len(l.entries) > 0 {
		high = l.entries[0].key
	}
	_, err = conn.client.Delete(ctx, prefix, clientv3.WithRange(high))
	return err
}
