package datafile

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// opens notices whether anybody opened a file meanwhile (inotify(7)). It belongs to one
// goroutine. If the kernel grants no inotify instance, it notices nobody.
type opens struct {
	fd    int // 0: none yet
	watch int // -1: no file
}

// begin forgets what was seen, and watches the file at path.
func (o *opens) begin(path string) {
	if o.fd == 0 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			o.watch = -1
			return
		}
		o.fd = fd
	}
	var err error
	if o.watch, err = unix.InotifyAddWatch(o.fd, path, unix.IN_OPEN); err != nil {
		o.watch = -1
	}
}

// end stops watching.
func (o *opens) end() {
	if o.watch >= 0 {
		_, _ = unix.InotifyRmWatch(o.fd, uint32(o.watch))
		o.seen() // the kernel tells of that too
		o.watch = -1
	}
}

// seen reports whether somebody opened the file since begin, or since the last call.
func (o *opens) seen() bool {
	seen := false
	var events [4096]byte
	for o.watch >= 0 {
		n, err := unix.Read(o.fd, events[:])
		if err == unix.EINTR {
			continue
		}
		if n < unix.SizeofInotifyEvent {
			break
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&events[at]))
			seen = seen || int(event.Wd) == o.watch && event.Mask&unix.IN_OPEN != 0
			at += unix.SizeofInotifyEvent + int(event.Len)
		}
	}
	return seen
}

func (o *opens) close() {
	if o.fd != 0 {
		unix.Close(o.fd)
		o.fd, o.watch = 0, -1
	}
}
