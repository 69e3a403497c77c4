package publish

import (
	"os"
	"path/filepath"
	"strings"
)

// tempSuffix ends the names of durable's temporary files.
const tempSuffix = ".tmp"

// leftovers finds the temporary files beside path, .NAME.XXXXXXXXXX and a
// suffix, that a killed run left there. Only the holder of the root's lock may
// take them for leftovers.
func leftovers(path, suffix string) []string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	folder, prefix := filepath.Dir(path), "."+filepath.Base(path)+"."
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // the write that follows will tell
	}
	var found []string
	for _, e := range entries {
		middle, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !e.Type().IsRegular() {
			continue
		}
		middle, ok = strings.CutSuffix(middle, suffix)
		if ok && len(middle) == 10 && strings.Trim(middle, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == "" {
			found = append(found, filepath.Join(folder, e.Name()))
		}
	}
	return found
}

// sweepTemps removes the temporary files that replacements of path left.
func sweepTemps(path string) {
	for _, temp := range leftovers(path, tempSuffix) {
		os.Remove(temp)
	}
}
