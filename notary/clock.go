package notary

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrClock means that the clock says a time that it cannot have reached: far
// ahead of what was known and of the time that passed since. No time mark is
// made of it, and so no statement is taken, until the clock is right again.
var ErrClock = errors.New("the clock is ahead of every time that can be right")

// clockGuard reads the clock and refuses a time that lies too far ahead.
//
// A time mark can never be taken back, and none after it may be earlier: one mark
// of a clock that was ten years ahead would leave the log without the time for ten
// years. A clock that is behind does no such harm; its marks repeat the last one's
// time.
//
// What a time is held against is the time that passed by a clock which nobody
// sets. That one begins anew with every start, so at a start the newest time mark
// must do, or what an operator confirmed: nothing tells how long the service was
// down.
type clockGuard struct {
	clock   func() time.Time
	elapsed func() time.Duration
	// jump bounds how far the clock may run ahead while the service runs, gap how
	// far it may be ahead of known at a start; not positive: no bound.
	jump, gap time.Duration
	began     time.Duration // elapsed, when known was set

	mu sync.Mutex
	// known is the newest time that is known to have come, zero for none.
	known time.Time
	// first is the first time that was believed, at firstAt of elapsed. Later ones
	// are held against it, so that many small jumps do not add up.
	first   time.Time
	firstAt time.Duration
}

// newClockGuard takes a nil elapsed for what clock itself says has passed: time.Now
// carries a reading of a clock that nobody sets.
func newClockGuard(clock func() time.Time, elapsed func() time.Duration, jump, gap time.Duration) *clockGuard {
	if elapsed == nil {
		began := clock()
		elapsed = func() time.Duration { return clock().Sub(began) }
	}
	return &clockGuard{clock: clock, elapsed: elapsed, jump: jump, gap: gap, began: elapsed()}
}

// knows tells the guard that a time has come. It counts until the first time is
// believed.
func (g *clockGuard) knows(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.After(g.known) {
		g.known = at
	}
}

// read returns the time at the precision of a statement, and ErrClock beside it
// where it lies too far ahead. A clock that is behind is believed but is nothing to
// measure by: it will be set right.
func (g *clockGuard) read() (time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, passed := g.clock().UTC().Truncate(time.Millisecond), g.elapsed()
	switch {
	case !g.first.IsZero():
		due := g.first.Add(passed - g.firstAt)
		if ahead := now.Sub(due); g.jump > 0 && ahead > g.jump {
			return now, fmt.Errorf("%w: it says %s, and by the time that passed since the start it should be %s; set it right, or restart if it is right now",
				ErrClock, now.Format(time.RFC3339), due.Format(time.RFC3339))
		}
	case !g.known.IsZero() && g.gap > 0 && now.Sub(g.known) > g.gap+passed-g.began:
		return now, fmt.Errorf("%w: it says %s, and the newest time known is %s; set it right, or confirm that it is right and restart",
			ErrClock, now.Format(time.RFC3339), g.known.Format(time.RFC3339))
	case !now.Before(g.known):
		g.first, g.firstAt = now, passed
	}
	return now, nil
}
