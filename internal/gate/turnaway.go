package gate

import (
	"encoding/binary"
	"io"
	"net"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// turnAway ends a connection that is not admitted. It tells the client why by an SSH
// disconnect message, which clients show. Then it waits a moment for the client to read
// that, because closing a socket with unread input resets the connection. If too many
// clients are being told, the others are closed at once.
func (g *Gate) turnAway(nc net.Conn, why string) {
	g.refused.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining || !g.turning.take(1) {
		nc.Close()
		return
	}
	g.conns.Add(1)
	go func() {
		defer g.conns.Done()
		defer g.turning.give(1)
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(turnAwayTime))
		nc.Write(disconnect(why)) // a new socket has room for it
		if tcp, ok := nc.(*net.TCPConn); ok {
			tcp.CloseWrite()
		}
		io.CopyN(io.Discard, nc, maxLoginBytes)
	}()
}

// disconnect is our version line and SSH_MSG_DISCONNECT, which either side may
// send before the keys are exchanged (RFC 4253 sections 6 and 11.1).
func disconnect(why string) []byte {
	payload := gossh.Marshal(struct {
		Reason      uint32 `sshtype:"1"`
		Description string
		Language    string
	}{Reason: 12, Description: why}) // SSH_DISCONNECT_TOO_MANY_CONNECTIONS
	padding := 8 - (4+1+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	b := []byte("SSH-2.0-dnsgate\r\n")
	b = binary.BigEndian.AppendUint32(b, uint32(1+len(payload)+padding))
	b = append(b, byte(padding))
	b = append(b, payload...)
	return append(b, make([]byte, padding)...)
}
