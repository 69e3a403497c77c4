//go:build !linux

package gate

import "net"

func quickAcker(net.Conn) func() { return func() {} }
