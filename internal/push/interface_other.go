//go:build !linux

package push

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// interfaceAddresses returns the addresses of an interface, or of all where
// name is "". Which are temporary or deprecated is not known here.
func interfaceAddresses(name string) ([]interfaceAddress, error) {
	found, err := net.InterfaceAddrs()
	if name != "" {
		i, lookup := net.InterfaceByName(name)
		if lookup != nil {
			return nil, lookup
		}
		found, err = i.Addrs()
	}
	if err != nil {
		return nil, err
	}
	var all []interfaceAddress
	for _, a := range found {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, interfaceAddress{addr: prefix.Addr().Unmap().WithZone("")})
		}
	}
	return all, nil
}

// followAddresses does not work here: a push --watch polls instead.
func followAddresses(context.Context, func()) error { return errors.ErrUnsupported }
