package rpc

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestHeaderFloods sends many headers, huge ones, and ones that never end.
func TestHeaderFloods(t *testing.T) {
	w := newWorld(t)
	before := held()
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, "X-%d: a\r\n", i)
	}
	for name, headers := range map[string]string{"many": many.String(), "huge": "X-Huge: " + strings.Repeat("a", 2*mib) + "\r\n"} {
		conn := w.rawH1()
		go func() { _, _ = io.WriteString(conn, "GET /checkpoint HTTP/1.1\r\nHost: localhost\r\n"+headers+"\r\n") }() // until it is closed
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			continue // closed at once, with the rest unread
		}
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s headers over HTTP/1.1: got %d, want 431", name, resp.StatusCode)
		}
	}
	for addr, path := range map[string]string{w.httpAddr: "/checkpoint", w.grpcAddr: notaryv1.NotaryService_GetCheckpoint_FullMethodName} {
		// One list of headers above the limit, in frames of a legal size.
		r := w.rawH2(addr)
		block := r.encode(path, "content-type", "application/grpc", "x-huge", strings.Repeat("\x01", 64<<10))
		err := r.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:16<<10], EndStream: true})
		for rest := block[16<<10:]; err == nil && len(rest) > 0; {
			n := min(len(rest), 16<<10)
			err = r.framer.WriteContinuation(1, n == len(rest), rest[:n])
			rest = rest[n:]
		}
		eventually(t, "headers above the limit are refused", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			_, reset := r.resets[1]
			status := r.headers[1][":status"]
			select {
			case <-r.ended:
				return true
			default:
				return reset || status == "431"
			}
		})
		// Continuations that never end: the connection does.
		flood := w.rawH2(addr)
		must(t, flood.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: flood.encode(path)}))
		var sent int
		for err = nil; err == nil && sent < 256*mib; sent += 16 << 10 {
			err = flood.framer.WriteContinuation(1, false, bytes.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 3276))
		}
		if err == nil {
			t.Errorf("%s took %d MiB of continuation frames", addr, sent/mib)
		}
	}
	w.others(t, "headers flood in")
	before.within(t, "header floods", 16*mib, 100)
}

// TestResetFlood opens and resets calls as fast as it can, many times as many as
// may be in flight.
func TestResetFlood(t *testing.T) {
	w := newWorld(t)
	before := held()
	for addr, path := range map[string]string{w.httpAddr: "/v1/checkpoint", w.grpcAddr: notaryv1.NotaryService_GetCheckpoint_FullMethodName} {
		r := w.rawH2(addr)
		_ = r.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
		sent := 0
		for ; sent < 20_000; sent++ {
			id := uint32(2*sent + 1)
			if r.open(id, path, w.grpcFields("sponsor")...) != nil || r.framer.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
				break // the server has had enough
			}
			if sent == 5000 {
				w.others(t, "calls are reset in bulk")
			}
		}
		t.Logf("%s: %d calls were reset", path, sent)
	}
	before.within(t, "resets in bulk", 32*mib, 150)
	w.others(t, "calls were reset in bulk")
	eventually(t, "nothing is counted as in flight after all calls ended", func() bool {
		w.srv.limiter.mu.Lock()
		defer w.srv.limiter.mu.Unlock()
		for _, name := range w.srv.limiter.users.Keys() {
			if p, _ := w.srv.limiter.users.Peek(name); p.inFlight != [classes]int{} {
				return false
			}
		}
		return true
	})
}

// TestControlFloods sends settings and pings, whose answers it does not read.
func TestControlFloods(t *testing.T) {
	w := newWorld(t)
	before := held()
	for _, addr := range []string{w.httpAddr, w.grpcAddr} {
		for name, send := range map[string]func(*raw) error{
			"settings": func(r *raw) error { return r.framer.WriteSettings() },
			"pings":    func(r *raw) error { return r.framer.WritePing(false, [8]byte{1}) },
		} {
			r := w.rawH2(addr)
			_ = r.conn.SetWriteDeadline(time.Now().Add(10 * time.Second)) // a server that stops reading is fine too
			sent := 0
			for sent < 100_000 && send(r) == nil {
				sent++
			}
			t.Logf("%s %s: %d were sent", addr, name, sent)
		}
	}
	w.others(t, "control frames flood in")
	before.within(t, "control floods", 32*mib, 100)
}

// openFiles raises the limit of open files and returns it.
func openFiles(t *testing.T) uint64 {
	t.Helper()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	limit.Cur = limit.Max
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	return limit.Cur
}

// TestIdleConnections opens 10,000 connections from many addresses and says
// nothing on them. The server keeps as many as it may, and lets others in.
func TestIdleConnections(t *testing.T) {
	const want, most = 10_000, 2048
	n := min(want, int(openFiles(t))-3*most)
	if n < 2*most {
		t.Skipf("only %d files may be open, want %d", n+3*most, want+3*most)
	}
	w := newWorld(t, func(c *Config) { c.Limits.MaxConnections, c.Limits.MaxAddressConnections = most, most/4 })
	before := held()
	conns := make([]net.Conn, 0, n)
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%50))}}
		conn, err := d.DialContext(t.Context(), "tcp", []string{w.grpcAddr, w.httpAddr, w.healthAddr}[i%3])
		must(t, err)
		conns = append(conns, conn)
		if i%2500 == 2499 {
			w.others(t, fmt.Sprintf("%d connections are idle", i+1))
		}
	}
	w.srv.doors.mu.Lock()
	open := len(w.srv.doors.open)
	w.srv.doors.mu.Unlock()
	if open > most {
		t.Errorf("got %d open connections, want at most %d", open, most)
	}
	now := held()
	t.Logf("%d connections, %d open: %d KiB and %d goroutines more", n, open, (now.heap-before.heap)>>10, now.goroutines-before.goroutines)
	before.within(t, "idle connections", 128*mib, 2*(most+maxProbes)+200)
	for _, c := range conns {
		must(t, c.Close())
	}
	before.within(t, "idle connections that were closed", 32*mib, 100)
}
