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

// exchanged is the stamp of e in its place: the exchange changes ctime. If somebody may
// have written to e already, it is the stamp of no file.
func (e *edition) exchanged() durable.Stamp {
	info, err := e.file.Stat()
	if err != nil || !durable.StampOf(info).SameWrite(e.stamp) || !e.untouched() {
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
