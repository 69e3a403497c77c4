package watch

import (
	"encoding/binary"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"dnsgate/internal/durable"
)

// picture is what one look at all files found.
type picture struct {
	sum       uint64        // differs when any file does
	unsettled bool          // a further change could leave sum the same
	unwatched bool          // notifications cannot be relied on
	cost      time.Duration // what the look took
}

// identity tells a folder from another one that took its path.
type identity struct{ dev, ino uint64 }

// look renews the watches of the folders, then takes the picture, so that a
// change after the picture is either notified or in the next one.
func (w *Watcher) look() picture {
	start := time.Now()
	p := picture{unwatched: !w.watchFolders()}
	var sum maphash.Hash
	sum.SetSeed(w.seed)
	for _, pattern := range w.globs {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			p.add(&sum, path)
		}
		sum.WriteByte(0)
	}
	p.sum = sum.Sum64()
	p.cost = time.Since(start)
	return p
}

// add takes one file into the picture. The times and size of a folder change
// with what is in it, so only its identity, owner and mode count.
func (p *picture) add(sum *maphash.Hash, path string) {
	if link, err := os.Lstat(path); err != nil || link.Mode()&fs.ModeSymlink != 0 {
		p.unwatched = true
	}
	sum.WriteString(path)
	sum.WriteByte(0)
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		sum.WriteString(err.Error())
		return
	}
	writeInts(sum, int64(st.Dev), int64(st.Ino), int64(st.Mode), int64(st.Uid), int64(st.Gid))
	if st.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		writeInts(sum, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
		age := time.Now().UnixNano() - max(st.Mtim.Nano(), st.Ctim.Nano())
		if age > -int64(durable.StampStep) && age < int64(durable.StampStep) {
			p.unsettled = true
		}
	}
}

func writeInts(sum *maphash.Hash, ints ...int64) {
	var b [8]byte
	for _, i := range ints {
		binary.NativeEndian.PutUint64(b[:], uint64(i))
		sum.Write(b[:])
	}
}

// watchFolders has every folder that may hold a matching file watched under
// the path that it has now, and reports whether all of them are.
func (w *Watcher) watchFolders() bool {
	all := w.notify != nil
	wanted := make(map[string]bool)
	for _, level := range w.levels {
		dirs, _ := filepath.Glob(filepath.Dir(level))
		all = all && len(dirs) > 0
		for _, dir := range dirs {
			wanted[dir] = true
		}
	}
	for path := range w.folders {
		if !wanted[path] {
			w.forget(path)
		}
	}
	for path := range wanted {
		all = w.watchFolder(path) && all
	}
	return all
}

// watchFolder reports whether changes in the folder will be notified.
func (w *Watcher) watchFolder(path string) bool {
	var st syscall.Stat_t
	if w.notify == nil || syscall.Stat(path, &st) != nil {
		w.forget(path)
		return false
	}
	now := identity{uint64(st.Dev), st.Ino}
	if w.folders[path] != now {
		w.forget(path)
		if st.Mode&syscall.S_IFMT != syscall.S_IFDIR || w.notify.Add(path) != nil {
			return false
		}
		w.folders[path] = now
	}
	return !changesElsewhere(path)
}

func (w *Watcher) forget(path string) {
	if _, ok := w.folders[path]; ok {
		w.notify.Remove(path) // fails when the folder is gone, and the watch with it
		delete(w.folders, path)
	}
}

// changesElsewhere reports whether path lies on a file system that other
// machines or programs change without this kernel noticing (statfs(2)).
func changesElsewhere(path string) bool {
	var fs syscall.Statfs_t
	if syscall.Statfs(path, &fs) != nil {
		return true
	}
	switch uint32(fs.Type) {
	case 0x6969, // NFS
		0x517b, 0xff534d42, 0xfe534d42, // SMB, CIFS, SMB2
		0x65735546, // FUSE
		0x01021997, // 9P
		0x00c36400, // Ceph
		0x5346414f, // AFS
		0x786f4256: // VirtualBox shared folder
		return true
	}
	return false
}
