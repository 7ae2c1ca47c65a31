package notary

import "sync"

// placeSize is how many bytes of a statement one place holds, so that a gate
// bounds memory and not only numbers: what a statement in flight takes grows with
// its size.
const placeSize = 2 << 10

// places returns how many places a statement takes.
func places(payload []byte) int { return max(1, (len(payload)+placeSize-1)/placeSize) }

// gate counts what is inside, lets in what has room in max places, and can be
// closed.
type gate struct {
	max int

	mu     sync.Mutex
	inside int
	taken  int // places
	closed bool
	// idle is closed once the gate is closed and nothing is inside.
	idle chan struct{}
}

func newGate(limit int) *gate {
	return &gate{max: limit, idle: make(chan struct{})}
}

// enter fails with ErrOverloaded where the places are not free and with
// ErrUnavailable once the gate is closed. What is larger than all places enters
// alone.
func (g *gate) enter(places int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return unavailable(errClosing)
	}
	if g.inside > 0 && g.taken+places > g.max {
		return ErrOverloaded
	}
	g.inside++
	g.taken += places
	return nil
}

// leave lets out so many, who had the places together.
func (g *gate) leave(n, places int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= n
	g.taken -= places
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
