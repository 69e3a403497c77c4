package datafile

import (
	"os"

	"dnsgate/internal/durable"
)

// edition is a version of an operator's file that dnsgate wrote.
type edition struct {
	version
	file  *os.File // for reading
	opens *opens
	watch int32 // of opens, since it was written
}

// newEdition makes one of the file at path, which nobody else knows yet and which holds
// content.
func newEdition(path string, content []byte, by *opens) (*edition, error) {
	file, info, err := openVersion(path)
	if err != nil {
		return nil, err
	}
	return &edition{version{content, durable.StampOf(info)}, file, by, by.begin(path)}, nil
}

// exchanged is the stamp of e in its place: the exchange changes ctime. If somebody has
// written to e already, it is the stamp of no file.
func (e *edition) exchanged() durable.Stamp {
	info, err := e.file.Stat()
	if err != nil || !durable.StampOf(info).SameWrite(e.stamp) {
		return durable.Stamp{}
	}
	return durable.StampOf(info)
}

// opened reports whether somebody is known to have opened it.
func (e *edition) opened() bool { return e.opens.seen(e.watch) }

// untouched reports whether certainly nobody has written to it, or still can.
func (e *edition) untouched() bool {
	return openForWriting(e.file) == closed && e.opens.none(e.watch)
}

func (e *edition) close() {
	if e != nil {
		e.file.Close()
		e.opens.end(e.watch)
	}
}

// spare is the edition before the present one, kept beside it to become the next one.
type spare struct {
	*edition
	file  *durable.Spare
	lacks extent // where the present one differs
}

// reuse begins the next version of path with the spare's content. known reports whether
// that content is certain. It returns no file if the spare cannot be had.
func (s *spare) reuse(path string) (f *durable.File, known bool) {
	known = s.untouched()
	s.edition.close() // the kernel asks that nobody has it open
	if f = s.file.Reuse(path, 0o644); f == nil {
		s.file.Remove()
	}
	return f, known
}

// memory hands over, once, where the content of the spare was kept. Making the next version
// of a large file there takes a fifth less time than in new memory, which Go has to clear
// and collect.
func (s *spare) memory() []byte {
	if s == nil {
		return nil
	}
	memory := s.content[:0]
	s.content = nil
	return memory
}

func (s *spare) close() {
	if s != nil {
		s.edition.close()
		s.file.Remove()
	}
}
