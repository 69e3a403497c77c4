//go:build unix

package push

import (
	"io/fs"
	"log/syslog"
	"os"
	"path/filepath"
	"syscall"
)

const folder = "/etc/dnsgate"

// DefaultConfig is where push.conf is.
func DefaultConfig() string { return folder + "/push.conf" }

func defaultKeys() string { return folder }

func defaultState() string {
	if os.Geteuid() == 0 {
		return "/var/lib/dnsgate-push"
	}
	return filepath.Join("/", os.Getenv("HOME"), ".local/state/dnsgate-push")
}

func volume(string) string { return "" }

func fileName(name string) string { return name }

// belongsToOthers reports whether neither root nor we own a file.
func belongsToOthers(info fs.FileInfo) bool {
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	return owner != 0 && owner != os.Geteuid()
}

func othersMay(info fs.FileInfo, bits fs.FileMode) bool { return info.Mode()&bits != 0 }

// A lock is a symbolic link.
func makeLock(path, holder string) error { return os.Symlink(holder, path) }

func readLock(path string) (string, error) { return os.Readlink(path) }

func isAlive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}

// systemLog writes a line to syslog(3), if somebody listens there.
func systemLog(urgent bool, text string) {
	severity := syslog.LOG_NOTICE
	if urgent {
		severity = syslog.LOG_ERR
	}
	w, err := syslog.New(syslog.LOG_DAEMON|severity, "dnsgate-push")
	if err != nil {
		return
	}
	defer w.Close()
	w.Write([]byte(text))
}

// ownSession takes a process away from its parent's terminal.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
