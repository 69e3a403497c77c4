package durable

import (
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

// Owner is a file's owner and group in the words of chown(1), "dnsgate:dnsgate", or
// their numbers if they have no names.
func Owner(info os.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return ownerOf(int(st.Uid), int(st.Gid))
}

func ownerOf(uid, gid int) string {
	name, group := strconv.Itoa(uid), strconv.Itoa(gid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return name + ":" + group
}

// Account is a user with its groups, the first of them its own.
type Account struct {
	uid    int
	groups []int
}

// AccountOf is the account that folder belongs to, if this process is root's and can
// judge for others, or else this process's own.
func AccountOf(folder string) Account {
	if os.Geteuid() == 0 {
		if info, err := os.Stat(folder); err == nil {
			st := info.Sys().(*syscall.Stat_t)
			return accountOf(int(st.Uid), int(st.Gid))
		}
	}
	groups, _ := os.Getgroups() // then only its own is known
	return Account{os.Geteuid(), append([]int{os.Getegid()}, groups...)}
}

// accountOf has the group gid alone where the user has no name.
func accountOf(uid, gid int) Account {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return Account{uid, []int{gid}}
	}
	a := Account{uid: uid}
	ids, _ := u.GroupIds()
	for _, id := range append([]string{u.Gid}, ids...) {
		if n, err := strconv.Atoi(id); err == nil {
			a.groups = append(a.groups, n)
		}
	}
	return a
}

// String is a in the words of chown(1).
func (a Account) String() string { return ownerOf(a.uid, a.groups[0]) }

// MayWrite reports whether a may make and rename files in folder. The kernel answers
// for this process's own user, the mode for another.
func (a Account) MayWrite(folder string) bool {
	const writeAndSearch = 0o3
	if a.uid == os.Geteuid() {
		return syscall.Access(folder, writeAndSearch) == nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return false
	}
	st, mode := info.Sys().(*syscall.Stat_t), info.Mode().Perm()
	switch {
	case int(st.Uid) == a.uid:
		mode >>= 6
	case slices.Contains(a.groups, int(st.Gid)):
		mode >>= 3
	}
	return mode&writeAndSearch == writeAndSearch
}

// MayGive reports whether a may give a file of its own the owner and group of
// another (chown(2)).
func (a Account) MayGive(other os.FileInfo) bool {
	st := other.Sys().(*syscall.Stat_t)
	return a.uid == 0 || int(st.Uid) == a.uid && slices.Contains(a.groups, int(st.Gid))
}
