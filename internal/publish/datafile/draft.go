package datafile

import (
	"errors"

	"dnsgate/internal/durable"
)

// draft is the next version of a file, whole, and still to be committed. All files of an
// update are drafts first, so that they share their syncs.
type draft struct {
	*durable.File
	text []byte        // what it holds, if it is a source
	base durable.Stamp // then, of the version that it was made of

	// sync is set in place of File for files that have their names already: it makes the
	// names durable.
	sync func() error
}

// pending is the part of a writer that keeps the draft it began last.
type pending struct{ next *draft }

// begun hands the draft over, once.
func (p *pending) begun() (drafts []*draft) {
	if p.next != nil {
		drafts, p.next = []*draft{p.next}, nil
	}
	return drafts
}

// commit makes drafts durable under their names, in their order.
func commit(drafts []*draft) error {
	var files []*durable.File
	for _, d := range drafts {
		if d.File != nil {
			files = append(files, d.File)
		}
	}
	err := durable.Commit(files...)
	for _, d := range drafts {
		if d.sync != nil {
			err = errors.Join(err, d.sync())
		}
	}
	return err
}
