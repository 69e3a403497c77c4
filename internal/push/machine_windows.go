package push

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/windows"
)

// DefaultConfig is where push.conf is.
func DefaultConfig() string { return programData("dnsgate/push.conf") }

func defaultKeys() string { return programData("dnsgate") }

func defaultState() string { return programData("dnsgate-push") }

func programData(name string) string {
	folder := os.Getenv("ProgramData")
	if folder == "" {
		folder = `C:\ProgramData`
	}
	return filepath.ToSlash(folder) + "/" + name
}

func volume(path string) string { return filepath.VolumeName(path) }

// fileName makes a name one that a file may have.
func fileName(name string) string { return strings.NewReplacer(":", "_", "*", "_").Replace(name) }

// Who may read and write is a matter of access control lists here, which those
// of the folder give to its files; they are not checked.
func belongsToOthers(fs.FileInfo) bool { return false }

func othersMay(fs.FileInfo, fs.FileMode) bool { return false }

// A lock is a file, as symbolic links need a privilege here. Its second name
// is made at once or not at all.
func makeLock(path, holder string) error {
	first := path + "." + strings.ReplaceAll(holder, ".", "-")
	if err := os.WriteFile(first, []byte(holder), 0o600); err != nil {
		return err
	}
	defer os.Remove(first)
	return os.Link(first, path)
}

func readLock(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

func isAlive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err == nil {
		p.Release()
	}
	return err == nil
}

func systemLog(bool, string) {}

func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: windows.DETACHED_PROCESS | windows.CREATE_NEW_PROCESS_GROUP}
}
