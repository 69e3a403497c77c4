package datafile

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
	return leftoversIn(filepath.Dir(path), suffix, func(base string) bool { return base == filepath.Base(path) })
}

// leftoversIn finds those of all files in a folder that ours wants.
func leftoversIn(folder, suffix string, ours func(base string) bool) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // the write that follows will tell
	}
	var found []string
	for _, e := range entries {
		middle, ok := strings.CutSuffix(e.Name(), suffix)
		dot := len(middle) - randomLength - 1
		if !ok || dot < 2 || middle[0] != '.' || middle[dot] != '.' || !e.Type().IsRegular() {
			continue
		}
		if strings.Trim(middle[dot+1:], base32) == "" && ours(middle[1:dot]) {
			found = append(found, filepath.Join(folder, e.Name()))
		}
	}
	return found
}

// What durable's random names are made of.
const (
	randomLength = 10
	base32       = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// sweepTemps removes the temporary files that replacements of path left.
func sweepTemps(path string) {
	for _, temp := range leftovers(path, tempSuffix) {
		os.Remove(temp)
	}
}

// sweepFolder removes those of all files in a folder that ours wants.
func sweepFolder(folder string, ours func(base string) bool) {
	for _, temp := range leftoversIn(folder, tempSuffix, ours) {
		os.Remove(temp)
	}
}
