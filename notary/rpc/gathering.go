package rpc

import (
	"net"
	"runtime"

	"google.golang.org/grpc/credentials"
)

// gathering are credentials whose connections let other goroutines run before each
// write. grpc writes as soon as an answer is there and no second one; where one
// checkpoint releases thousands of them, those that are about to be there go into the
// next write together. Where nothing else is to be done, nothing is waited for.
//
// It is done above TLS, which makes many records of what is written at once.
type gathering struct {
	credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (g gathering) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := g.TransportCredentials.ServerHandshake(c)
	if err != nil {
		return conn, info, err
	}
	return gatheringConn{conn}, info, nil
}

// Clone implements credentials.TransportCredentials.
func (g gathering) Clone() credentials.TransportCredentials {
	return gathering{g.TransportCredentials.Clone()}
}

type gatheringConn struct{ net.Conn }

// Write implements net.Conn.
func (c gatheringConn) Write(b []byte) (int, error) {
	runtime.Gosched()
	return c.Conn.Write(b)
}
