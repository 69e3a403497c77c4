// Command performance measures package tinydns against djb's programs and cp,
// and prints tables for docs/performance.md. It trusts its caller: run it with
// scripts/tinydns-performance, in an empty folder on the disk to measure.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"dnsgate/internal/tinydns"
)

func main() {
	log.SetFlags(0)
	runs := flag.Int("runs", 7, "runs of each program, in turn")
	dnsgate := flag.String("dnsgate", "", "the dnsgate to measure, instead of its compiler alone")
	large := flag.Bool("large", true, "measure with 5 million lines, too")
	flag.Parse()
	if *runs < 1 {
		log.Fatal("performance: -runs must be at least 1")
	}
	var err error
	switch args := flag.Args(); {
	case len(args) == 4 && args[0] == "generate":
		err = generate(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "compile":
		err = tinydns.Compile(args[1])
	case len(args) == 2 && args[0] == "compilers":
		err = compareCompilers(args[1], *runs, *large, *dnsgate)
	case len(args) == 3 && args[0] == "changes":
		var names int
		if names, err = strconv.Atoi(args[2]); err == nil {
			err = compareChanges(args[1], *runs, names)
		}
	default:
		log.Fatal("usage: performance [flags] compilers DIR | changes DIR NAMES | generate KIND LINES FILE | compile DIR")
	}
	if err != nil {
		log.Fatalf("performance: %v", err)
	}
}

// generate writes a data file of lines of a kind: plus or mixed.
func generate(kind, lines, path string) error {
	n, err := strconv.Atoi(lines)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range n {
		writeLine(w, kind, i)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// writeLine writes line i. Of ten mixed lines four are addresses, and one is
// of each other common kind.
func writeLine(w *bufio.Writer, kind string, i int) {
	name := fmt.Sprintf("host%d.dyn%d.example.com", i, i%1000)
	ip := fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
	if kind == "plus" {
		fmt.Fprintf(w, "+%s:%s:300\n", name, ip)
		return
	}
	switch i % 10 {
	case 0:
		fmt.Fprintf(w, "=%s:%s:300\n", name, ip)
	case 1:
		fmt.Fprintf(w, "@%s:%s:mx:10:3600\n", name, ip)
	case 2:
		fmt.Fprintf(w, "C%s:www.example.net:3600\n", name)
	case 3:
		fmt.Fprintf(w, "'%s:v=spf1 ip4\\072%s -all:3600\n", name, ip)
	case 4:
		fmt.Fprintf(w, ":%s:28:\\040\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\001\\002:300\n", name)
	case 5:
		fmt.Fprintf(w, "&%s::ns%d.example.net:259200\n", name, i%7)
	default:
		fmt.Fprintf(w, "+%s:%s:300\n", name, ip)
	}
}

// cost is what one run took.
type cost struct {
	wall, cpu time.Duration
	rss       int64 // the most, in KiB; 0 if not known
}

// median takes the middle of each figure by itself.
func median(costs []cost) cost {
	var walls, cpus, sizes []int64
	for _, c := range costs {
		walls, cpus, sizes = append(walls, int64(c.wall)), append(cpus, int64(c.cpu)), append(sizes, c.rss)
	}
	for _, s := range [][]int64{walls, cpus, sizes} {
		slices.Sort(s)
	}
	middle := len(costs) / 2
	return cost{time.Duration(walls[middle]), time.Duration(cpus[middle]), sizes[middle]}
}

// measure runs a program to its end.
func measure(dir string, command ...string) (cost, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	c := cost{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	c.rss = peak(cmd)
	return c, nil
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f", float64(d)/1e6)
	}
	return fmt.Sprintf("%.0f", float64(d)/1e6)
}

func mebibytes(kib int64) string { return fmt.Sprintf("%.0f", float64(kib)/1024) }

// self is the command that runs this program.
func self() (string, error) { return os.Executable() }

func same(a, b string) error {
	if out, err := exec.Command("cmp", a, b).CombinedOutput(); err != nil {
		return fmt.Errorf("%s and %s differ: %s", filepath.Base(a), filepath.Base(b), out)
	}
	return nil
}
