package etcdstore

import "fmt"

// liveTries is how often a node is asked before it counts as away: the first may
// take as long as connecting does.
const liveTries = 3

// Live asks each endpoint by itself for what only a majority can answer, and
// returns an error for each that does not. Nothing is changed by that. Check is
// content with one that works.
func Live(o Options) (faults []error) {
	nodes, err := openEndpoints(o)
	if err != nil {
		return []error{err}
	}
	defer nodes.close()
	for _, n := range nodes.nodes {
		for range liveTries {
			if err = nodes.probe(n.conn); err == nil {
				break
			}
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("endpoint %s: %w", n.conn.url, err))
		}
	}
	return faults
}
