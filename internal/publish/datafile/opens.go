package datafile

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// opens notices that somebody opens one of some files, as every writer has to (inotify(7)).
// It belongs to one goroutine. All files share one inotify instance, because closing an
// instance takes 10 ms. If the kernel grants none, nobody is noticed.
type opens struct {
	fd     int // 0: none yet
	opened map[int32]bool
}

// noWatch is the watch of a file that cannot be watched.
const noWatch = -1

// begin watches the file at path.
func (o *opens) begin(path string) (watch int32) {
	if o.fd == 0 {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
		if err != nil {
			return noWatch
		}
		o.fd, o.opened = fd, make(map[int32]bool)
	}
	wd, err := unix.InotifyAddWatch(o.fd, path, unix.IN_OPEN|unix.IN_MODIFY)
	if err != nil {
		return noWatch
	}
	o.opened[int32(wd)] = false
	return int32(wd)
}

// end stops watching.
func (o *opens) end(watch int32) {
	if watch != noWatch {
		_, _ = unix.InotifyRmWatch(o.fd, uint32(watch))
		delete(o.opened, watch)
	}
}

// seen reports whether somebody is known to have opened the file since begin.
func (o *opens) seen(watch int32) bool {
	o.read()
	return o.opened[watch]
}

// none reports whether it is certain that nobody opened the file since begin.
func (o *opens) none(watch int32) bool { return watch != noWatch && !o.seen(watch) }

// read reads the events.
func (o *opens) read() {
	var events [4096]byte
	for o.fd != 0 {
		n, err := unix.Read(o.fd, events[:])
		if err == unix.EINTR {
			continue
		}
		if n < unix.SizeofInotifyEvent {
			break
		}
		for at := 0; at+unix.SizeofInotifyEvent <= n; {
			event := (*unix.InotifyEvent)(unsafe.Pointer(&events[at]))
			o.note(event.Wd)
			at += unix.SizeofInotifyEvent + int(event.Len)
		}
	}
}

// note notes an event. One of no file means that the kernel lost some.
func (o *opens) note(watch int32) {
	for known := range o.opened {
		if watch == known || watch == noWatch {
			o.opened[known] = true
		}
	}
}

func (o *opens) close() {
	if o.fd != 0 {
		unix.Close(o.fd)
		o.fd = 0
	}
}
