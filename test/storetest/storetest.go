// Package storetest says what a records.Store is: a suite of tests that every
// store passes, and what tests of a store need.
package storetest

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"dnsgate/internal/records"
)

// Store is one that can be closed.
type Store interface {
	records.Store
	Close() error
}

// Place is where a store is kept. There is nothing at first.
type Place struct {
	Open    func(t testing.TB) Store     // what is there; one at a time
	Restore func(backup io.Reader) error // where nothing is
}

// Test runs the suite, each test in a place of its own.
func Test(t *testing.T, newPlace func(t *testing.T) Place) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, p Place)
	}{
		{"CommitIsThereAfterOpeningAgain", commitIsThereAfterOpeningAgain},
		{"ConflictAppliesNothing", conflictAppliesNothing},
		{"ConcurrentWritersLoseNothing", concurrentWritersLoseNothing},
		{"Unchanged", unchanged},
		{"CommitWhileClosing", commitWhileClosing},
		{"CommitOfOneWhoHasGone", commitOfOneWhoHasGone},
		{"ChangesMadeElsewhere", changesMadeElsewhere},
		{"Find", find},
		{"Forget", forget},
		{"History", history},
		{"FollowerReachesTheSameState", followerReachesTheSameState},
		{"FollowerGetsPieces", followerGetsPieces},
		{"FollowerFarBehind", followerFarBehind},
		{"FollowerGoesOnAfterARestart", followerGoesOnAfterARestart},
		{"FollowerOfAForgottenHost", followerOfAForgottenHost},
		{"FollowerMeetsForget", followerMeetsForget},
		{"LeaseEnds", leaseEnds},
		{"RefreshedLeaseStays", refreshedLeaseStays},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newPlace(t)) })
	}
	t.Run("BackupRestores", func(t *testing.T) { backupRestores(t, newPlace) })
	t.Run("Had", func(t *testing.T) { had(t, newPlace) })
}

// Addresses are the A and AAAA records of these.
func Addresses(values ...string) (recs []records.Record) {
	for _, v := range values {
		recs = append(recs, records.Record{Addr: netip.MustParseAddr(v)})
	}
	records.Sort(recs)
	return recs
}

// Txn is a transaction of a session that began now.
func Txn(hosts ...records.Host) records.Txn {
	now := time.Now()
	return records.Txn{Cause: records.Cause{Time: now, Session: now.UnixMicro(), Key: "SHA256:test", Source: "192.0.2.9"}, Hosts: hosts}
}

// Commit stores hosts in one transaction.
func Commit(t testing.TB, s records.Store, hosts ...records.Host) uint64 {
	t.Helper()
	rev, err := s.Commit(t.Context(), Txn(hosts...))
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// Read reads one host.
func Read(t testing.TB, s records.Store, name records.Name) records.Host {
	t.Helper()
	hosts, err := s.Hosts(t.Context(), []records.Name{name})
	if err != nil {
		t.Fatal(err)
	}
	return hosts[0]
}

// Change stores records of a host, whatever it had.
func Change(t testing.TB, s records.Store, name records.Name, recs []records.Record) uint64 {
	t.Helper()
	h := Read(t, s, name)
	h.TTL, h.Records = 300, recs
	return Commit(t, s, h)
}

// History is all changes that are selected, newest first.
func History(t testing.TB, s records.Store, of records.Selection) []records.Change {
	t.Helper()
	changes, err := s.History(t.Context(), of, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

// State is all that matters of a store's hosts, for comparing two. A restored
// one does not know what its hosts had.
func State(t testing.TB, s records.Store) map[records.Name]records.Host {
	t.Helper()
	names, err := s.Find(t.Context(), records.All)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := s.Hosts(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	state := make(map[records.Name]records.Host)
	learn(state, records.Update{Whole: true, Hosts: hosts})
	return state
}

// learn brings a follower's state to u.
func learn(state map[records.Name]records.Host, u records.Update) {
	if u.Whole {
		clear(state)
	}
	for _, h := range u.Hosts {
		h.Session, h.Had = 0, 0
		state[h.Name] = h
	}
}
