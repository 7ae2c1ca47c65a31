package tesseralog

import (
	"context"
	"time"

	"github.com/transparency-dev/tessera"
)

// pace hands entries over to Tessera, once for each checkpoint.
//
// For every batch Tessera writes the newest bundle, the newest tile of each level
// and its state anew, each to a new file that it syncs: that costs more than the
// entries in it. And it publishes when a batch is integrated after the interval
// since the last checkpoint; one that comes earlier gains nothing and makes it
// wait for a whole interval more. So entries are held back until Tessera's queue,
// which waits for BatchAge, gives them out just when the next checkpoint is due; or
// until there are as many as Tessera takes at once.
//
// It ends, and closes pending, when the log is closing and nothing is held back.
func (l *Log) pace() {
	defer close(l.pending)
	var last time.Time
	for l.awaitHeld() {
		l.awaitDue(last)
		last = time.Now()
		l.handOver()
	}
}

// awaitHeld returns true as soon as there are entries to hand over, and false when
// there will be none.
func (l *Log) awaitHeld() bool {
	for {
		l.addMu.Lock()
		held, closing := len(l.held), l.closing
		l.addMu.Unlock()
		if held > 0 || closing {
			return held > 0
		}
		<-l.changed
	}
}

// awaitDue returns when entries should be handed over, which was done last at this
// time.
func (l *Log) awaitDue(last time.Time) {
	for l.mayHold() {
		newest := l.newest.Load()
		due := newest.due
		if !last.Before(due) {
			// The checkpoint that follows is on its way. If it does not come,
			// Tessera may have missed that it is due, and another batch tells it.
			due = last.Add(l.cfg.CheckpointInterval)
		}
		wait := time.Until(due)
		if wait <= 0 {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-newest.next:
		case <-l.changed:
		case <-l.alive.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

// mayHold tells whether there is no reason yet to hand over what is held back.
func (l *Log) mayHold() bool {
	l.addMu.Lock()
	defer l.addMu.Unlock()
	return !l.hurry && !l.closing && len(l.held) < int(l.cfg.BatchSize)
}

// Hurry implements notary.Log.
func (l *Log) Hurry() {
	l.addMu.Lock()
	l.hurry = len(l.held) > 0
	l.addMu.Unlock()
	l.tellPace()
}

// tellPace has pace look again at what addMu guards.
func (l *Log) tellPace() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// handOver gives what is held back to Tessera, in the order of Add, or fails it
// after the log stopped.
func (l *Log) handOver() {
	l.addMu.Lock()
	held := l.held
	l.held, l.hurry = make([]*pending, 0, len(held)), false
	l.addMu.Unlock()
	for _, p := range held {
		if err := l.Err(); err != nil {
			p.future = func() (tessera.Index, error) { return tessera.Index{}, err }
		} else {
			// Tessera uses the context for its metrics only.
			p.future = l.appender.Add(context.Background(), p.entry)
		}
		p.entry = nil
		l.pending <- p
	}
}
