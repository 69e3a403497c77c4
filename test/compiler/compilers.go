package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// peak is the most memory that a program held, in KiB.
func peak(cmd *exec.Cmd) int64 {
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss
	}
	return 0
}

// compareCompilers prints what whole compilations take.
func compareCompilers(dir string, runs int, large bool, dnsgate string) error {
	inputs := []struct {
		kind  string
		lines int
	}{{"plus", 0}, {"plus", 100}, {"plus", 10_000}, {"plus", 100_000}, {"plus", 1_000_000}, {"mixed", 1_000_000}, {"plus", 5_000_000}}
	fmt.Println("| lines | tinydns-data: wall, CPU (ms), peak (MiB) | dnsgate: wall, CPU (ms), peak (MiB) | wall | CPU |")
	fmt.Println("| --- | --- | --- | --- | --- |")
	for _, in := range inputs {
		if in.lines > 1_000_000 && !large {
			continue
		}
		if err := compareCompiler(dir, runs, dnsgate, in.kind, in.lines); err != nil {
			return err
		}
	}
	return nil
}

func compareCompiler(dir string, runs int, dnsgate, kind string, lines int) error {
	me, err := self()
	if err != nil {
		return err
	}
	ours := []string{me, "compile", "."}
	if dnsgate != "" {
		ours = []string{dnsgate, "compile"}
	}
	if _, err := measure(dir, me, "generate", kind, strconv.Itoa(lines), "data"); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(dir, "data"))
	if lines < 100_000 {
		runs = max(runs, 51)
	}
	var real, mine []cost
	for i := range runs + 1 { // the first run warms up
		a, err := measure(dir, "tinydns-data")
		if err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(dir, "data.cdb"), filepath.Join(dir, "real.cdb")); err != nil {
			return err
		}
		b, err := measure(dir, ours...)
		if err != nil {
			return err
		}
		if i > 0 {
			real, mine = append(real, a), append(mine, b)
		}
	}
	if err := same(filepath.Join(dir, "real.cdb"), filepath.Join(dir, "data.cdb")); err != nil {
		return err
	}
	a, b := median(real), median(mine)
	fmt.Printf("| %d %s | %s, %s, %s | %s, %s, %s | %.2f | %.2f |\n", lines, kind,
		milliseconds(a.wall), milliseconds(a.cpu), mebibytes(a.rss),
		milliseconds(b.wall), milliseconds(b.cpu), mebibytes(b.rss),
		float64(b.wall)/float64(a.wall), float64(b.cpu)/float64(a.cpu))
	return nil
}
