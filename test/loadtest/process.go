package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"dnsgate/test/rig"

	"golang.org/x/sys/unix"
)

// process is a server under test.
type process struct {
	cmd *exec.Cmd
	log string // path of its output
}

// start runs a command in a folder, its output going to a file there.
func start(folder string, argv ...string) (*process, error) {
	return startWithSlack(0, folder, argv...)
}

// startWithSlack gives the command a timer slack, as TimerSlackNSec= of a unit
// does; 0: the kernel's. A process inherits that of the thread that makes it
// (prctl(2), PR_SET_TIMERSLACK), which gets its own back.
func startWithSlack(slack time.Duration, folder string, argv ...string) (*process, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if slack > 0 {
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0); err != nil {
			return nil, fmt.Errorf("setting the timer slack: %w", err)
		}
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0)
	}
	out, err := os.Create(filepath.Join(folder, filepath.Base(argv[0])+".log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: cmd, log: out.Name()}, nil
}

// stop ends the process, gently first.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(10*time.Second, func() { p.cmd.Process.Kill() })
	p.cmd.Wait()
	kill.Stop()
}

// failed is an error with the end of the process's output.
func (p *process) failed(what string) error {
	out, _ := os.ReadFile(p.log)
	if len(out) > 2000 {
		out = out[len(out)-2000:]
	}
	return fmt.Errorf("%s; %s says:\n%s", what, filepath.Base(p.cmd.Path), out)
}

// await looks until ready is true, and tells how long that took.
func (p *process) await(ready func() bool) (time.Duration, error) {
	began := time.Now()
	for !ready() {
		if time.Since(began) > time.Minute {
			return 0, p.failed("not ready after a minute")
		}
		if p.gone() {
			return 0, p.failed("ended too early")
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began), nil
}

func (p *process) gone() bool {
	fields, err := statFields(p.cmd.Process.Pid)
	return err != nil || fields[0] == "Z"
}

// tick is the unit of CPU times in /proc, USER_HZ.
const tick = 10 * time.Millisecond

// cpu is the time that the process has used, with all children that ended. It
// waits until the others have.
func (p *process) cpu() (time.Duration, error) {
	for deadline := time.Now().Add(2 * time.Second); p.hasChildren() && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	fields, err := statFields(p.cmd.Process.Pid)
	if err != nil {
		return 0, p.failed("it is gone")
	}
	return ticks(fields[11:15]), nil // utime, stime, cutime, cstime
}

// own is the CPU time of this process, and of its clients that ended.
func own() (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if syscall.Getrusage(who, &usage) == nil {
			sum += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		}
	}
	return sum
}

// busy is the time that all CPUs worked, as proc_stat(5) has it.
func busy() time.Duration {
	stat, _ := os.ReadFile("/proc/stat")
	all, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(all))
	return ticks(fields[1:4]) + ticks(fields[6:8]) // user, nice, system; irq, softirq
}

func ticks(fields []string) (sum time.Duration) {
	for _, f := range fields {
		n, _ := strconv.ParseInt(f, 10, 64)
		sum += time.Duration(n) * tick
	}
	return sum
}

// statFields are those of proc_pid_stat(5) from the third on.
func statFields(pid int) ([]string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])), nil
}

func (p *process) hasChildren() bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.cmd.Process.Pid))
	for _, path := range threads {
		if children, _ := os.ReadFile(path); len(children) > 0 {
			return true
		}
	}
	return false
}

// rss is the memory that the process has in RAM, in bytes.
func (p *process) rss() (int64, error) { return p.memory("VmRSS") }

// peak is the most that has been resident since the start.
func (p *process) peak() (int64, error) { return p.memory("VmHWM") }

func (p *process) memory(figure string) (int64, error) {
	kib, err := rig.Memory(p.cmd.Process.Pid, figure)
	if err != nil {
		return 0, p.failed(err.Error())
	}
	return int64(kib) << 10, nil
}
