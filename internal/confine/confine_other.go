//go:build !linux

package confine

import "log/slog"

// Apply confines nothing here.
func Apply(_ Rules, log *slog.Logger) (*Applied, error) {
	log.Warn("not confined to files and ports, which only Linux can")
	return nil, nil
}
