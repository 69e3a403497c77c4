package durable

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// Owner is who a file belongs to, as chown(1) takes it: "dnsgate:dnsgate", with
// numbers for what has no name.
func Owner(info os.FileInfo) string {
	st := info.Sys().(*syscall.Stat_t)
	return OwnerOf(int(st.Uid), int(st.Gid))
}

// OwnerOf is Owner of a user's and a group's number.
func OwnerOf(uid, gid int) string {
	name, group := strconv.Itoa(uid), strconv.Itoa(gid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return name + ":" + group
}
