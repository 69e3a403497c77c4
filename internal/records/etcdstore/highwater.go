package etcdstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dnsgate/internal/durable"
	"dnsgate/internal/pause"
)

// The state folder remembers the prefix and the revision that this gateway has
// seen. An etcd that was put back from a snapshot has an older one: revisions
// would be given out a second time, and what came after the snapshot is lost.
const highWaterFile = "etcd-revision"

const highWaterEvery = 5 * time.Second

func (s *Store) highWaterPath() string { return filepath.Join(s.o.State, highWaterFile) }

// checkHighWater refuses an etcd that is older than this gateway has seen.
func (s *Store) checkHighWater(revision uint64) error {
	text, err := os.ReadFile(s.highWaterPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var seen uint64
	var prefix string
	if _, err := fmt.Sscanf(string(text), "%d %q\n", &seen, &prefix); err != nil {
		return fmt.Errorf("%s: not a revision and a prefix", s.highWaterPath())
	}
	if prefix != s.o.Prefix || revision >= seen {
		return nil
	}
	return fmt.Errorf("it is at revision %d, and this gateway has seen %d: it was put back from an old snapshot; do so with "+
		"etcdutl snapshot restore --bump-revision %d --mark-compacted ..., and remove %s",
		revision, seen, seen-revision+1_000_000, s.highWaterPath())
}

// keepHighWater writes the revision down from time to time.
func (s *Store) keepHighWater() {
	for s.ctx.Err() == nil {
		pause.For(s.ctx, highWaterEvery)
		if err := s.saveHighWater(); err != nil {
			s.o.Log.Error("writing down etcd's revision failed", "error", err)
		}
	}
}

func (s *Store) saveHighWater() error {
	s.mu.Lock()
	reached, saved := s.reached, s.savedReached
	s.mu.Unlock()
	if reached == saved {
		return nil
	}
	if err := durable.WriteFile(s.highWaterPath(), fmt.Appendf(nil, "%d %q\n", reached, s.o.Prefix), 0o600); err != nil {
		return err
	}
	s.mu.Lock()
	s.savedReached = reached
	s.mu.Unlock()
	return nil
}
