package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"dnsgate/internal/pause"
)

const (
	settleTime = 100 * time.Millisecond // for changes that come together
	lookGap    = 500 * time.Millisecond // between two looks, at least
	pollTime   = 3 * time.Second        // where the kernel does not tell of changes
	filePoll   = time.Second
	clockPoll  = 30 * time.Second // a clock that was set, or a sleep, is noticed
	minRenewal = time.Minute      // however short the fresh time is
	mendTime   = 10 * time.Minute // for a person to mend what does not pass
)

// watch pushes now, whenever the addresses change, and when the gateway's last
// answer is no longer fresh, until ctx ends. No failure ends it: after one that may
// pass it tries again soon, after any other later, or at the next change.
func (p *push) watch(ctx context.Context) error {
	w := &watch{push: p, changes: make(chan struct{}, 1)}
	var followers sync.WaitGroup
	defer followers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	followers.Go(func() { w.followAddresses(ctx) })
	for _, source := range []Source{p.conf.Address, p.conf.Address6} {
		if source.Kind == "file" {
			followers.Go(func() { w.follow(ctx, filePoll, func() string { text, _ := readSource(source.Words[0]); return text }) })
		}
	}
	w.run(ctx)
	return nil
}

// watch is the life of one push --watch.
type watch struct {
	*push
	changes chan struct{} // something may have changed
	picture string        // what was seen last
	looked  time.Time     // when
	due     time.Time     // when to push all the same; by the wall clock
	delay   time.Duration // before the next try; 0: the last push has ended
}

func (w *watch) run(ctx context.Context) {
	w.look(ctx)
	for ctx.Err() == nil {
		if w.delay == 0 {
			if err := w.begin(); err != nil {
				w.scheduleNext(err)
				w.await(ctx)
				continue
			}
		}
		if changed := w.try(ctx); changed {
			w.delay = 0
		} else {
			w.await(ctx)
		}
	}
}

// look returns whether anything is different from what was seen last.
func (w *watch) look(ctx context.Context) bool {
	found, why, err := w.find(ctx)
	picture := fmt.Sprint(found[4], " ", found[6], " ", why, err)
	if found[4] == peerAddress || found[6] == peerAddress {
		picture += machineAddresses()
	}
	changed := picture != w.picture
	w.picture, w.looked = picture, time.Now()
	return changed
}

// machineAddresses lists the addresses that the gateway might see, or that a
// router might translate.
func machineAddresses() string {
	all, err := interfaceAddresses("")
	all = slices.DeleteFunc(all, func(a interfaceAddress) bool { return kindOfAddress(a.addr) == special || isSubnet(a.addr) })
	return fmt.Sprint(all, err)
}

// try makes an attempt, and sets when the next one is due. An attempt that a
// change overtakes is given up: then it returns true.
func (w *watch) try(ctx context.Context) (changed bool) {
	attempt, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.attempt(attempt) }()
	for {
		select {
		case err := <-done:
			w.scheduleNext(err)
			return false
		case <-w.changes:
			if w.pause(ctx); w.look(ctx) {
				cancel()
				<-done
				return true
			}
		}
	}
}

// scheduleNext sets when to push again after an attempt ended with err.
func (w *watch) scheduleNext(err error) {
	var wait time.Duration
	switch {
	case mayPass(err):
		w.delay = min(max(2*w.delay, firstDelay), lastDelay)
		wait = shortened(w.delay)
		w.talk.step("trying again in %s", inWords(wait))
	case err != nil:
		w.talk.Error(err)
		w.delay, wait = 0, mendTime
	default:
		w.delay, wait = 0, max(time.Until(w.stale), time.Second)
		wait += rand.N(wait / 20) // so that not all machines come at once
	}
	w.due = time.Now().Round(0).Add(wait)
}

// await returns when the next push is due, or ctx has ended.
func (w *watch) await(ctx context.Context) {
	for {
		left := time.Until(w.due)
		if left <= 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(left, clockPoll)):
		case <-w.changes:
			if w.pause(ctx); w.look(ctx) {
				w.delay = 0
				return
			}
		}
	}
}

// pause lets changes that come together, and storms of them, be one.
func (w *watch) pause(ctx context.Context) {
	pause.For(ctx, max(settleTime, lookGap-time.Since(w.looked)))
}

func (w *watch) changed() {
	select {
	case w.changes <- struct{}{}:
	default: // a change is noted already
	}
}

// followAddresses tells of changes of this machine's addresses until ctx ends.
func (w *watch) followAddresses(ctx context.Context) {
	err := followAddresses(ctx, w.changed)
	if err == nil {
		return
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		w.talk.outcome("%v; looking every %s", err, inWords(pollTime))
	}
	w.follow(ctx, pollTime, machineAddresses)
}

// follow tells of changes of what look returns until ctx ends.
func (w *watch) follow(ctx context.Context, every time.Duration, look func() string) {
	for before := look(); ctx.Err() == nil; pause.For(ctx, every) {
		if now := look(); now != before {
			before = now
			w.changed()
		}
	}
}
