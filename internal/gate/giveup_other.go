//go:build !linux

package gate

import (
	"net"
	"time"
)

func giveUpAfter(net.Conn, time.Duration) {}
