//go:build linux

package main

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Windows of the generator's connections, in bytes: what all calls of one
// connection may be answered with at a time.
const (
	streamWindow = 4 << 20
	connWindow   = 16 << 20
)

// dialed opens a connection to either server. The load pushes back by itself, and
// fixed windows make neither side measure the connection: both would be the
// generator's time and not the servers'.
func dialed(addr string, creds credentials.TransportCredentials) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr,
		grpc.WithTransportCredentials(creds), grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(),
		grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithReadBufferSize(128<<10), grpc.WithWriteBufferSize(128<<10))
}
