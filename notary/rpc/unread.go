package rpc

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc/peer"
)

// unreadPatience is how long a server that shuts down waits for a caller who does not
// read: what is still to be sent would hold it up to its deadline.
const unreadPatience = 5 * time.Second

// guestOf returns the connection of a call; nil for one over HTTP.
func guestOf(ctx context.Context) *guest {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	addr, _ := p.Addr.(writtenAddr)
	return addr.guest
}

// works and rests tell when a call begins to need no reader, and when it is over or
// waits for one.
func (g *guest) works() {
	if g != nil {
		g.busy.Add(1)
	}
}

func (g *guest) rests() {
	if g != nil {
		g.left.Store(max(1, int64(time.Since(doorsOpened)))) // before busy says that it counts
		g.busy.Add(-1)
	}
}

// unread tells whether all that the connection had calls for has waited for the
// caller for some time. grpc closes one whose answers were read.
func (g *guest) unread(patience time.Duration) bool {
	if g.busy.Load() > 0 {
		return false
	}
	left := g.left.Load()
	return left > 0 && time.Since(doorsOpened)-time.Duration(left) >= patience
}

// closeUnread closes connections whose callers do not read, until done.
func (s *Server) closeUnread(done <-chan struct{}) {
	t := time.NewTicker(s.unread)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C: // not before the callers had time to read
		}
		s.doors.mu.Lock()
		var unread []*guest
		for g := range s.doors.open {
			if g.unread(s.unread) {
				unread = append(unread, g)
			}
		}
		s.doors.mu.Unlock()
		for _, g := range unread {
			_ = g.Close() // grpc finds it closed
		}
	}
}

// patience returns how long a line of an answer may take to be read.
func (f *front) patience() time.Duration {
	if f.ending.Err() != nil {
		return min(f.unread, f.cfg.Limits.ReadTimeout)
	}
	return f.cfg.Limits.ReadTimeout
}

// hurry lets what is being written take no longer than patience once the server shuts
// down. The answer must not end before calm was called.
func (f *front) hurry(rc *http.ResponseController) (calm func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(f.ending, func() {
		defer close(done)
		_ = rc.SetWriteDeadline(time.Now().Add(f.patience()))
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}
