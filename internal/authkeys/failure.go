package authkeys

import "time"

// failure is why a file that is followed cannot be read, and since when; the zero
// value: it can.
type failure struct {
	why   string
	since time.Time
}

// note takes the error of another attempt, and reports whether it is news.
func (f *failure) note(err error) (news bool) {
	if f.why == "" {
		f.since = time.Now()
	}
	news = err.Error() != f.why
	f.why = err.Error()
	return news
}
