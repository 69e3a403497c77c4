package authkeys

import "time"

// failure is the reason why a followed file cannot be read, and since when. The zero
// value means that it can.
type failure struct {
	why   string
	since time.Time
}

// note takes the error of a new attempt, and reports whether it is news.
func (f *failure) note(err error) (news bool) {
	if f.why == "" {
		f.since = time.Now()
	}
	news = err.Error() != f.why
	f.why = err.Error()
	return news
}
