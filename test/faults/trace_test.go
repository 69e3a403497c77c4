package faults

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// strace is the words in front of a command that record, in file, all that it
// does to files.
func strace(file string, more ...string) []string {
	words := []string{"strace", "-D", "-f", "-ttt", "-xx", "-y", "-s", "1000000", "-o", file,
		"-e", "trace=openat,write,pwrite64,pwritev,pwritev2,writev,copy_file_range,sendfile,ftruncate,fallocate," +
			"fsync,fdatasync,renameat,renameat2,unlinkat,mkdirat,linkat,symlinkat"}
	return append(words, more...)
}

// call is a system call that returned.
type call struct {
	at     time.Time // when it was seen to return, or to begin if nothing came between
	name   string
	fd     string   // the path behind its first argument, a descriptor
	texts  []string // its string arguments; of a name in an open folder, the path
	args   string
	result int64
}

var (
	traceLine = regexp.MustCompile(`^(\d+) +(\d+)\.(\d{6}) (.*)$`)
	resumed   = regexp.MustCompile(`^<\.\.\. \w+ resumed>(.*)$`)
	traceCall = regexp.MustCompile(`^(\w+)\((.*)\) += (-?\d+)(?:<|$| )`)
	atCall    = regexp.MustCompile(`at2?$`)
	firstFD   = regexp.MustCompile(`^\d+<((?:\\x[0-9a-f]{2})*)>`)
	quoted    = regexp.MustCompile(`(?:\w+<((?:\\x[0-9a-f]{2})*)>, )?"((?:\\x[0-9a-f]{2})*)"`)
)

// readTrace waits for the traced process's end, then reads its calls in order.
func readTrace(t *testing.T, file string) []call {
	t.Helper()
	var calls []call
	begun := make(map[string]string)
	for line := range strings.Lines(string(readEnded(t, file))) {
		m := traceLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil {
			continue
		}
		pid, text := m[1], m[4]
		if head, ok := strings.CutSuffix(text, " <unfinished ...>"); ok {
			begun[pid] = head
			continue
		}
		if r := resumed.FindStringSubmatch(text); r != nil {
			text = begun[pid] + r[1]
		}
		f := traceCall.FindStringSubmatch(text)
		if f == nil {
			continue
		}
		seconds, _ := strconv.ParseInt(m[2], 10, 64)
		micros, _ := strconv.ParseInt(m[3], 10, 64)
		c := call{at: time.Unix(seconds, micros*1000), name: f[1], args: f[2]}
		c.result, _ = strconv.ParseInt(f[3], 10, 64)
		if fd := firstFD.FindStringSubmatch(c.args); fd != nil {
			c.fd = unhex(fd[1])
		}
		for _, q := range quoted.FindAllStringSubmatch(c.args, -1) {
			text := unhex(q[2])
			if atCall.MatchString(c.name) && q[1] != "" && !filepath.IsAbs(text) { // openat and the like
				text = filepath.Join(unhex(q[1]), text)
			}
			c.texts = append(c.texts, text)
		}
		calls = append(calls, c)
	}
	return calls
}

func readEnded(t *testing.T, file string) []byte {
	t.Helper()
	ended := regexp.MustCompile(`\+\+\+ (exited|killed).*\n$`)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		content, err := os.ReadFile(file)
		if err == nil && ended.Match(content) {
			time.Sleep(50 * time.Millisecond)
			if again, _ := os.ReadFile(file); len(again) == len(content) {
				return content
			}
		}
	}
	t.Fatalf("%s: strace does not end", file)
	return nil
}

func unhex(s string) string {
	b, _ := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	return string(b)
}

// number is the argument at i from the end.
func (c call) number(i int) int64 {
	args := strings.Split(c.args, ", ")
	n, _ := strconv.ParseInt(args[len(args)-i], 10, 64)
	return n
}

// do brings c about on d. It reports whether c was about d at all.
func (d *disk) do(t *testing.T, c call) bool {
	t.Helper()
	switch c.name {
	case "openat":
		path := c.texts[0]
		if !strings.HasPrefix(path, d.base) || c.result < 0 {
			return false
		}
		n := d.at(path)
		if n != nil && !n.isDir && !strings.Contains(c.args, "O_RDONLY") {
			n.position = 0
			if strings.Contains(c.args, "O_APPEND") {
				n.position = n.size.now()
			}
		}
		if !strings.Contains(c.args, "O_CREAT") {
			return false
		}
		if n == nil {
			d.link(path, newFile())
		} else if strings.Contains(c.args, "O_TRUNC") {
			n.size.set(0)
			for _, s := range n.sectors {
				s.set(make([]byte, sector))
			}
		}
		return true
	case "mkdirat":
		if c.result == 0 && strings.HasPrefix(c.texts[0], d.base) {
			d.link(c.texts[0], newFolder())
			return true
		}
		return false
	case "unlinkat":
		if c.result == 0 && strings.HasPrefix(c.texts[0], d.base) {
			d.link(c.texts[0], nil)
			return true
		}
		return false
	case "renameat", "renameat2":
		if c.result == 0 && strings.HasPrefix(c.texts[0], d.base) {
			n, was := d.at(c.texts[0]), d.at(c.texts[1])
			d.link(c.texts[1], n)
			if !strings.Contains(c.args, "RENAME_EXCHANGE") {
				was = nil
			}
			d.link(c.texts[0], was)
			return true
		}
		return false
	}
	if !strings.HasPrefix(c.fd, d.base+string(filepath.Separator)) && c.fd != d.base {
		return false
	}
	n := d.at(c.fd)
	if n == nil {
		return false // deleted since
	}
	switch {
	case (c.name == "fsync" || c.name == "fdatasync") && c.result == 0:
		n.sync()
	case c.name == "fsync" || c.name == "fdatasync":
		n.failSync()
	case c.result < 0 || strings.Contains(c.name, "write") && len(c.texts) == 0:
		return false // or killed before strace could see what was written
	case c.name == "pwrite64":
		n.write(c.number(1), []byte(c.texts[0])[:c.result])
	case c.name == "write": // each file has only one writer at a time
		n.write(n.position, []byte(c.texts[0])[:c.result])
		n.position += c.result
	case c.name == "ftruncate":
		n.size.set(c.number(1))
	default:
		t.Fatalf("%s of %s: the model does not know it", c.name, c.fd)
	}
	return true
}
