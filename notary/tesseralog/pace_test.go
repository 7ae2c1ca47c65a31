package tesseralog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
)

// idleLog is a log whose next checkpoint is due in an hour.
func idleLog(t *testing.T, batch uint) *Log {
	t.Helper()
	f := newFixture(t)
	c := f.config()
	c.CheckpointInterval, c.BatchSize = time.Hour, batch
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.stop(errEnough) // else Close waits for that checkpoint
		closeLog(t, l)
	})
	return l
}

// heldBack returns how many entries are held back.
func (l *Log) heldBack() int {
	l.addMu.Lock()
	defer l.addMu.Unlock()
	return len(l.held)
}

func addThree(t *testing.T, l *Log) []notary.Future {
	t.Helper()
	futures := make([]notary.Future, 3)
	for i := range futures {
		futures[i] = l.Add(t.Context(), entry(i))
	}
	if got := l.heldBack(); got != len(futures) {
		t.Errorf("%d entries are held back, want %d", got, len(futures))
	}
	return futures
}

// TestHurry: what is held back for the next checkpoint is written at once when
// asked for, and what comes later is held back again.
func TestHurry(t *testing.T) {
	l := idleLog(t, 4)
	l.Hurry() // nothing is held
	for round := range 3 {
		futures := addThree(t, l)
		l.Hurry()
		for i, wait := range futures {
			if index, err := wait(t.Context()); index != uint64(3*round+i) || err != nil {
				t.Errorf("entry %d: got index %d, %v", i, index, err)
			}
		}
	}
}

// TestFullBatchIsNotHeld: what is as much as Tessera takes at once is written.
func TestFullBatchIsNotHeld(t *testing.T) {
	l := idleLog(t, 4)
	for round := range 3 {
		futures := append(addThree(t, l), l.Add(t.Context(), entry(3)))
		for i, wait := range futures {
			if index, err := wait(t.Context()); index != uint64(4*round+i) || err != nil {
				t.Errorf("entry %d: got index %d, %v", i, index, err)
			}
		}
	}
}

// TestStopFailsWhatIsHeld: nothing that was held back goes into a stopped log.
func TestStopFailsWhatIsHeld(t *testing.T) {
	l := idleLog(t, 4)
	futures := addThree(t, l)
	cause := errors.New("the disk broke")
	l.stop(cause)
	for _, wait := range futures {
		_, err := wait(t.Context())
		wantError(t, err, notary.ErrLogStopped)
		wantError(t, err, cause)
	}
	if l.Size() != 0 {
		t.Errorf("the stopped log grew to %d entries", l.Size())
	}
}

// TestCloseWritesWhatIsHeld: Close gives up on a checkpoint that is due in an
// hour, but what was added has its index.
func TestCloseWritesWhatIsHeld(t *testing.T) {
	l := idleLog(t, 4)
	futures := addThree(t, l)
	ctx, cancel := context.WithCancel(t.Context())
	closed := make(chan error, 1)
	go func() { closed <- l.Close(ctx) }()
	for i, wait := range futures {
		if index, err := wait(t.Context()); index != uint64(i) || err != nil {
			t.Errorf("entry %d: got index %d, %v", i, index, err)
		}
	}
	cancel()
	if err := <-closed; !errors.Is(err, context.Canceled) {
		t.Errorf("Close: got %v, want the context's error", err)
	}
}

// TestDue: each checkpoint tells when the next one is due.
func TestDue(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	f.add(l, 1)
	first := l.newest.Load()
	if wait := time.Until(first.due); wait > l.cfg.CheckpointInterval {
		t.Errorf("the next checkpoint is due in %v", wait)
	}
	f.add(l, 300)
	if next := l.newest.Load(); !next.due.After(first.due) {
		t.Errorf("due at %v after %v", next.due, first.due)
	}
}

// TestDueAfterClockWasSetBack: a checkpoint from the future is as good as one of
// now.
func TestDueAfterClockWasSetBack(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	if age := folder(f.dir).age(checkpointFile, now.Add(-time.Hour)); age != 0 {
		t.Errorf("age of a file from the future: %v", age)
	}
	if age := folder(f.dir).age(checkpointFile, now.Add(time.Hour)); age < time.Hour-time.Minute {
		t.Errorf("age after an hour: %v", age)
	}
	if age := folder(f.dir).age("missing", now); age != 0 {
		t.Errorf("age of no file: %v", age)
	}
}
