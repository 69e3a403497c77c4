package confine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Apply confines the process, all its threads, and what it will run, for
// good. What the kernel lacks is logged and left out. Sockets and files that
// are open stay so: listeners must be open already. It returns nil if the
// process is not confined to files.
func Apply(r Rules, log *slog.Logger) (*Applied, error) {
	if err := ll.AllThreadsPrctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("confining: setting no_new_privs: %w", err)
	}
	// The memory holds private keys: no core dumps, and no debugging by others
	// of the same user.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("confining: forbidding core dumps: %w", err)
	}
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		log.Warn("not confined to files and ports: "+withoutLandlock(err), "error", err)
		return nil, nil
	}
	rules, err := r.landlock(abi)
	if err != nil {
		return nil, fmt.Errorf("confining: %w", err)
	}
	if err := r.config().BestEffort().Restrict(rules...); err != nil {
		return nil, fmt.Errorf("confining: %w", err)
	}
	if abi < 4 {
		log.Warn("confined to its files, but not to ports: the kernel's Landlock is too old", "abi", abi)
		return &Applied{rules: r.real(), anyPort: true}, nil
	}
	log.Info("confined to its files and ports", "abi", abi, "read", r.Read, "write", r.Write, "connect", r.Connect)
	return &Applied{rules: r.real(), anyPort: r.Commands}, nil
}

// withoutLandlock says why it cannot be used. A container's or unit's filter of
// system calls answers EPERM, the kernel does not.
func withoutLandlock(err error) string {
	switch {
	case errors.Is(err, unix.EPERM):
		return "Landlock is not allowed here; a container's seccomp filter can allow it"
	case errors.Is(err, unix.EOPNOTSUPP):
		return "Landlock is off in this kernel; the boot parameter lsm= turns it on"
	}
	return "the kernel has no Landlock"
}

// config is what is confined at all. Later versions of Landlock confine UDP,
// with which name servers are asked, and sockets, with which systemd is told.
func (r Rules) config() landlock.Config {
	c := landlock.V5
	if r.Commands {
		c.HandledAccessNet = 0
	}
	return c
}

const (
	readFile   = landlock.AccessFSSet(ll.AccessFSReadFile)
	readFolder = readFile | ll.AccessFSReadDir
	change     = readFolder | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir |
		ll.AccessFSRemoveFile | ll.AccessFSRemoveDir
)

// commandsChange is what commands may do in the folders that they change: all,
// but for making device nodes, by which root's command would reach the disk.
const commandsChange = landlock.AccessFSSet(ll.AccessFSExecute|ll.AccessFSMakeSym|ll.AccessFSMakeSock|ll.AccessFSMakeFifo) | change

func (r Rules) landlock(abi int) (rules []landlock.Rule, err error) {
	for _, path := range r.Read {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		access := readFile
		if info.IsDir() {
			access = readFolder
		}
		rules = append(rules, landlock.PathAccess(access, path))
	}
	rules = append(rules, landlock.PathAccess(change, r.Write...))
	if r.Resolve { // resolv.conf may be another file tomorrow, in either folder
		rules = append(rules, landlock.PathAccess(readFolder, "/etc", "/run/systemd/resolve").IgnoreIfMissing())
	}
	if r.Commands {
		folders := append([]string{"/tmp", "/var/tmp", "/run"}, r.Write...)
		write := landlock.PathAccess(commandsChange, folders...).IgnoreIfMissing()
		if abi >= 2 { // before, no file moves from folder to folder
			write = write.WithRefer()
		}
		return append(rules,
			landlock.RODirs("/"),
			write,
			landlock.RWFiles("/dev/null", "/dev/zero", "/dev/full", "/dev/tty").WithIoctlDev().IgnoreIfMissing(),
		), nil
	}
	for _, port := range r.Connect {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	if r.Resolve {
		rules = append(rules, landlock.ConnectTCP(53))
	}
	return rules, nil
}
