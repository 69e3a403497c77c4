package durable

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
)

// A file's new version waits beside it, under the name .NAME.RANDOM.tmp.
const (
	tempSuffix   = ".tmp"
	randomLength = 10
	base32       = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // rand.Text's

	// maxBase leaves room for the rest within the 255 bytes of a file's name, and for
	// a caller's suffix in the place of .tmp.
	maxBase = 255 - len("..") - randomLength - 20
)

// tempName is a new temporary name for the file name.
func tempName(name string) string {
	return "." + tempBase(name) + "." + rand.Text()[:randomLength] + tempSuffix
}

func tempBase(path string) string {
	base := filepath.Base(path)
	return base[:min(len(base), maxBase)]
}

// Sweep removes the temporary files that a killed process left beside path. The
// caller makes sure that nobody else replaces that file meanwhile.
func Sweep(path string) {
	for _, temp := range Leftovers(path, tempSuffix) {
		os.Remove(temp)
	}
}

// SweepFolder is Sweep for all files in folder whose names ours wants.
func SweepFolder(folder string, ours func(base string) bool) {
	for _, temp := range leftovers(folder, tempSuffix, ours) {
		os.Remove(temp)
	}
}

// Leftovers finds the files beside path that have a temporary name of it and
// this suffix.
func Leftovers(path, suffix string) []string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	return leftovers(filepath.Dir(path), suffix, func(base string) bool { return base == tempBase(path) })
}

func leftovers(folder, suffix string, ours func(base string) bool) (found []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil // the next write will report it
	}
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
