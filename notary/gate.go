package notary

import "sync"

// gate counts what is inside, lets in at most max, and can be closed.
type gate struct {
	max int

	mu     sync.Mutex
	inside int
	closed bool
	// idle is closed once the gate is closed and nothing is inside.
	idle chan struct{}
}

func newGate(limit int) *gate {
	return &gate{max: limit, idle: make(chan struct{})}
}

// enter fails with ErrOverloaded where max are inside and with ErrUnavailable
// once the gate is closed.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return unavailable(errClosing)
	}
	if g.inside >= g.max {
		return ErrOverloaded
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.closed && g.inside == 0 {
		close(g.idle)
	}
}

// close lets nobody in any more and returns a channel that is closed once
// everybody left. It may be called again.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed = true
		if g.inside == 0 {
			close(g.idle)
		}
	}
	return g.idle
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inside
}
