package follow

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"dnsgate/internal/authkeys"
)

// TestPlaces: a key has four followers, the oldest of which gives way to a fifth, and
// there are 256 in all.
func TestPlaces(t *testing.T) {
	s := NewServer(nil, "id", slog.New(slog.DiscardHandler))
	ended := make(map[string]error)
	enter := func(name, key string) error {
		return s.enter(&member{grant: authkeys.Grant{Fingerprint: key}, end: func(why error) { ended[name] = why }})
	}
	for i := range maxKeyFollowers + 1 {
		if err := enter(fmt.Sprint(i), "one"); err != nil {
			t.Fatal(err)
		}
	}
	if len(ended) != 1 || ended["0"] != ErrReplaced || len(s.members) != maxKeyFollowers {
		t.Errorf("%d are there, and %v were ended", len(s.members), ended)
	}
	for i := range maxFollowers - maxKeyFollowers {
		if err := enter("", fmt.Sprint("key ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := enter("", "one more"); !errors.Is(err, ErrRoom) {
		t.Errorf("one more than there may be: %v", err)
	}
	if err := enter("", "one"); err != nil || len(s.members) != maxFollowers {
		t.Errorf("one in the place of its own oldest: %v, %d are there", err, len(s.members))
	}
}

// TestGoneForADay: a follower that was there is shown for a day, until it comes back.
func TestGoneForADay(t *testing.T) {
	s := NewServer(nil, "id", slog.New(slog.DiscardHandler))
	m := &member{grant: authkeys.Grant{Fingerprint: "key", Comment: "ns2"}, source: "192.0.2.2", since: time.Now(), end: func(error) {}}
	if err := s.enter(m); err != nil {
		t.Fatal(err)
	}
	s.leave(m, nil)
	if all := s.Followers(); len(all) != 1 || all[0].Gone.IsZero() || all[0].Comment != "ns2" || all[0].Source != "192.0.2.2" {
		t.Errorf("gone: %+v", all)
	}
	s.gone[0].Gone = s.gone[0].Gone.Add(time.Minute - shownFor)
	if all := s.Followers(); len(all) != 1 {
		t.Errorf("after a day less a minute: %+v", all)
	}
	s.gone[0].Gone = s.gone[0].Gone.Add(-2 * time.Minute)
	if all := s.Followers(); len(all) != 0 {
		t.Errorf("after more than a day: %+v", all)
	}
	s.leave(m, nil) // which is not there
	if err := s.enter(m); err != nil {
		t.Fatal(err)
	}
	s.leave(m, nil)
	if err := s.enter(m); err != nil {
		t.Fatal(err)
	}
	if all := s.Followers(); len(all) != 1 || !all[0].Gone.IsZero() {
		t.Errorf("back: %+v", all)
	}
}
