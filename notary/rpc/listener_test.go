package rpc

import (
	"net"
	"strings"
	"testing"
	"time"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// dialFrom opens a TCP connection from an address of the loopback network.
func dialFrom(tb testing.TB, from, to string) net.Conn {
	tb.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", to)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// closed tells whether the server closes a connection before it sends anything.
func closed(conn net.Conn, within time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(within))
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !strings.Contains(err.Error(), "timeout")
}

// TestConnections bounds connections by address and in total, and makes room for
// an address that has none.
func TestConnections(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.MaxConnections, c.Limits.MaxAddressConnections = 8, 4 })
	held := func() int {
		w.srv.doors.mu.Lock()
		defer w.srv.doors.mu.Unlock()
		return len(w.srv.doors.open)
	}
	var first net.Conn
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		for i := range 4 {
			conn := dialFrom(t, from, []string{w.grpcAddr, w.httpAddr}[i%2])
			if first == nil {
				first = conn
				eventually(t, "the first is accepted", func() bool { return held() == 1 })
			}
		}
	}
	eventually(t, "all are accepted", func() bool { return held() == 8 })
	if !closed(dialFrom(t, "127.0.0.2", w.grpcAddr), 10*time.Second) {
		t.Error("a fifth connection of an address was kept")
	}
	// Everything is taken, and still somebody else is let in.
	if _, err := w.grpc().GetCheckpoint(w.asCtx(""), &notaryv1.GetCheckpointRequest{}); err != nil {
		t.Errorf("another address: got %v", err)
	}
	if held() > 8 {
		t.Errorf("got %d connections, want 8", held())
	}
	if !closed(first, 10*time.Second) {
		t.Error("the connection that was silent longest is still open")
	}
	if now := w.srv.Connections(); now.Accepted != 9 || now.Closed != 2 || now.Open != uint64(held()) {
		t.Errorf("got %+v, want 9 accepted, 2 closed and %d open", now, held())
	}
	// Where all have as much as the newcomer, the newcomer goes.
	d := newDoors(2, 2, w.srv.log)
	for i, want := range []bool{true, true, false} {
		// What counts is the remote address: each looks like the server's here.
		if got := d.let(dialFrom(t, "127.0.0.1", w.healthAddr)) != nil; got != want {
			t.Errorf("connection %d was let in: %v, want %v", i, got, want)
		}
	}
	if w.logs.FilterMessageSnippet("too many connections").Len() == 0 {
		t.Error("the log says nothing of refused connections")
	}
}
