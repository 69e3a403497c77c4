package datafile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// zoneLines are the first bytes of lines that operators write and dnsgate never does.
const zoneLines = ".&Z=@C^S%"

// checkOwned refuses a file that holds an operator's zone: the write mode file
// would replace all of it.
func checkOwned(path string) error {
	f, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for n, rest := 1, false; ; {
		line, more, err := lines.ReadLine()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !rest && len(line) > 0 && strings.IndexByte(zoneLines, line[0]) >= 0 {
			return fmt.Errorf("%s:%d: dnsgate never writes a %q line, and the write mode file would replace this file: give path the name of one that is dnsgate's alone, or write section or rewrite", path, n, line[:1])
		}
		if rest = more; !more {
			n++
		}
	}
}
