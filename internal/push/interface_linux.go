package push

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// interfaceAddresses asks the kernel, rtnetlink(7), for the addresses of an
// interface, or of all where name is "". Those that are not known to be our
// own alone are left out.
func interfaceAddresses(name string) ([]interfaceAddress, error) {
	index := 0
	if name != "" {
		i, err := net.InterfaceByName(name)
		if err != nil {
			return nil, err
		}
		index = i.Index
	}
	reply, err := syscall.NetlinkRIB(unix.RTM_GETADDR, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("asking for addresses: %w", err)
	}
	messages, err := syscall.ParseNetlinkMessage(reply)
	if err != nil {
		return nil, fmt.Errorf("asking for addresses: %w", err)
	}
	var all []interfaceAddress
	for _, m := range messages {
		// struct ifaddrmsg is family, length, flags, scope (bytes), index.
		if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg ||
			index != 0 && int(binary.NativeEndian.Uint32(m.Data[4:])) != index {
			continue
		}
		if a, ok := parseAddress(&m); ok {
			all = append(all, a)
		}
	}
	return all, nil
}

func parseAddress(m *syscall.NetlinkMessage) (interfaceAddress, bool) {
	attributes, err := syscall.ParseNetlinkRouteAttr(m)
	if err != nil {
		return interfaceAddress{}, false
	}
	var a interfaceAddress
	flags := uint32(m.Data[2])
	for _, attribute := range attributes {
		value := attribute.Value
		switch attribute.Attr.Type {
		case unix.IFA_ADDRESS:
			if !a.addr.IsValid() { // on a point-to-point line that is the other's
				a.addr, _ = netip.AddrFromSlice(value)
			}
		case unix.IFA_LOCAL:
			a.addr, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			if len(value) >= 4 {
				flags = binary.NativeEndian.Uint32(value)
			}
		case unix.IFA_CACHEINFO: // begins with the preferred lifetime, in seconds
			a.deprecated = len(value) >= 4 && binary.NativeEndian.Uint32(value) == 0
		}
	}
	a.temporary = flags&unix.IFA_F_TEMPORARY != 0
	a.deprecated = a.deprecated || flags&unix.IFA_F_DEPRECATED != 0
	unproven := flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0
	return a, a.addr.IsValid() && !unproven
}

// followAddresses calls changed whenever the kernel says that an address came,
// went or changed, until ctx ends; then it returns nil.
func followAddresses(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("following addresses: %w", err)
	}
	socket := os.NewFile(uintptr(fd), "netlink")
	defer socket.Close()
	groups := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR}
	if err := unix.Bind(fd, groups); err != nil {
		return fmt.Errorf("following addresses: %w", err)
	}
	defer context.AfterFunc(ctx, func() { socket.SetReadDeadline(time.Now()) })()
	for buf := make([]byte, 32*1024); ; {
		_, err := socket.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // that is: there was more than fits
			return fmt.Errorf("following addresses: %w", err)
		}
		changed() // the caller looks at the addresses to see what changed
	}
}
