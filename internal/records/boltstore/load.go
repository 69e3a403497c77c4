package boltstore

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"

	"dnsgate/internal/records/memory"

	"go.etcd.io/bbolt"
)

// load reads and checks the whole file into memory.
func (s *Store) load() error {
	return s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketHosts, bucketLog, bucketMeta} {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("no bucket %q: not dnsgate's, or damaged", name)
			}
		}
		st, err := getState(tx)
		if err != nil {
			return err
		}
		if tx.Bucket(bucketMeta).Get(keyJournal) != nil {
			return errJournalMissing
		}
		forgotten, err := getForgotten(tx, st)
		if err != nil {
			return err
		}
		s.Index = memory.NewIndex(int(st.hosts), st.revision, forgotten)
		if err := s.loadHosts(tx.Bucket(bucketHosts)); err != nil {
			return err
		}
		if err := tx.Bucket(bucketLog).ForEach(s.loadLine); err != nil {
			return err
		}
		if uint64(s.Names()) != st.hosts || s.logged.lines != st.logged {
			return fmt.Errorf("the file is damaged: %d hosts and %d log lines where %d and %d belong",
				s.Names(), s.logged.lines, st.hosts, st.logged)
		}
		return nil
	})
}

// hostBatch is some hosts of the file, and what they are once done is closed.
type hostBatch struct {
	keys, sealed [][]byte
	slots        []memory.Slot
	err          error
	done         chan struct{}
}

const hostBatchSize = 4096

// loadHosts reads the hosts in order; all processors check them.
func (s *Store) loadHosts(hosts *bbolt.Bucket) (err error) {
	toOpen, inOrder := make(chan *hostBatch, 8), make(chan *hostBatch, 8)
	var helpers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		helpers.Go(func() {
			for b := range toOpen {
				b.open()
				close(b.done)
			}
		})
	}
	var putErr error
	helpers.Go(func() {
		var last []byte
		for b := range inOrder {
			if <-b.done; putErr == nil {
				last, putErr = s.loadBatch(b, last)
			}
		}
	})
	defer func() {
		close(toOpen)
		close(inOrder)
		if helpers.Wait(); err == nil {
			err = putErr
		}
	}()
	b := &hostBatch{done: make(chan struct{})}
	send := func() {
		toOpen <- b
		inOrder <- b
		b = &hostBatch{done: make(chan struct{})}
	}
	err = hosts.ForEach(func(k, v []byte) error {
		b.keys, b.sealed = append(b.keys, k), append(b.sealed, v)
		if len(b.keys) == hostBatchSize {
			send()
		}
		return nil
	})
	send()
	return err
}

func (b *hostBatch) open() {
	defer trapDamage(&b.err)()
	b.slots = make([]memory.Slot, len(b.keys))
	for i, k := range b.keys {
		if b.slots[i], b.err = memory.OpenSlot(k, b.sealed[i]); b.err != nil {
			return
		}
	}
}

// loadBatch puts hosts into memory. Their keys come after last, each after the one
// before: none twice.
func (s *Store) loadBatch(b *hostBatch, last []byte) (_ []byte, err error) {
	defer trapDamage(&err)()
	if b.err != nil {
		return nil, b.err
	}
	for i, slot := range b.slots {
		if bytes.Compare(b.keys[i], last) <= 0 {
			return nil, fmt.Errorf("host %q: not behind %q: the file is damaged", b.keys[i], last)
		}
		if slot.Revision() > s.Revision() {
			return nil, fmt.Errorf("host %q: revision %d is later than the store's %d", b.keys[i], slot.Revision(), s.Revision())
		}
		last = b.keys[i]
	}
	s.LoadSlots(b.slots)
	return last, nil
}

func (s *Store) loadLine(k, v []byte) error {
	if _, err := memory.Unseal(k, v); err != nil {
		return fmt.Errorf("log line %x: %w", k, err)
	}
	s.logged.add(k, v)
	return nil
}
