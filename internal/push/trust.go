package push

import (
	"io"
	"io/fs"
	"os"

	"dnsgate/internal/sysexits"
)

// readTrusted returns a file's bytes, of a huge one only the first. The file
// must belong to root or to us, and nobody else may be able to write it.
func readTrusted(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, failure(sysexits.Config, "%s: is not there, or its folder cannot be read", path)
	}
	if err := trust(path, info, info.Mode().IsRegular()); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, failure(sysexits.Config, "%s: may not be read by this user", path)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return nil, failure(sysexits.Config, "%s: cannot be read: %w", path, err)
	}
	return text, nil
}

func trustFolder(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return failure(sysexits.Config, "%s: is not there, or its folder cannot be read", path)
	}
	return trust(path, info, info.IsDir())
}

func trust(path string, info fs.FileInfo, rightType bool) error {
	switch {
	case !rightType:
		return failure(sysexits.Config, "%s: not a file, or not a folder, as it should be", path)
	case othersMay(info, 0o022):
		return failure(sysexits.Config, "%s: others may write it; chmod go-w %s", path, path)
	case belongsToOthers(info):
		return failure(sysexits.Config, "%s: belongs to another user", path)
	}
	return nil
}
