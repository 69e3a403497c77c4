package datafile

import "dnsgate/internal/durable"

// draft is the next version of a file, whole, and still to be committed. All files of an
// update are drafts first, so that they share their syncs.
type draft struct {
	*durable.File
	text []byte // what it holds, if it is a source
}

// commit makes drafts durable under their names, in their order.
func commit(drafts []*draft) error {
	files := make([]*durable.File, len(drafts))
	for i, d := range drafts {
		files[i] = d.File
	}
	return durable.Commit(files...)
}
