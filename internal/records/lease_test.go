package records

import "testing"

// TestRefreshedLeases: a host whose lease is refreshed again and again has one
// entry in the queue, and is looked at once.
func TestRefreshedLeases(t *testing.T) {
	var l leases
	for end := range int64(50) {
		l.note(end+10, "a.example.com")
	}
	l.note(5, "a.example.com") // a shorter one
	if len(l.queue) != 2 {
		t.Errorf("%d queue entries for one host", len(l.queue))
	}
	if names := l.due(4, 9); len(names) != 0 {
		t.Errorf("too early: %v", names)
	}
	if names := l.due(100, 9); len(names) != 1 {
		t.Errorf("due: %v", names)
	}
}
