package notary

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// lastError is what the newest of repeated attempts came to.
type lastError struct {
	mu  sync.Mutex
	err error
}

func (l *lastError) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *lastError) get() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// The names of the conditions.
const (
	ConditionLog       = "log"
	ConditionStore     = "store"
	ConditionTimeMark  = "time-mark"
	ConditionClock     = "clock"
	ConditionReceipts  = "receipts"
	ConditionFullCheck = "full-check"
	ConditionDiskSpace = "disk-space"
)

// Health tells what works, always in the same order. The service is ready if
// every condition is OK.
func (s *Service) Health(ctx context.Context) []Condition {
	conditions := []Condition{s.logCondition(), s.storeCondition(ctx)}
	conditions = append(conditions, s.markConditions()...)
	conditions = append(conditions, s.receiptsCondition(), s.checkCondition())
	if s.cfg.FreeSpace != nil {
		conditions = append(conditions, s.spaceCondition())
	}
	return conditions
}

func (s *Service) logCondition() Condition {
	if err := s.Err(); err != nil {
		return Condition{Name: ConditionLog, Detail: err.Error()}
	}
	return Condition{Name: ConditionLog, OK: true,
		Detail: fmt.Sprintf("writable, %d entries published", s.log.Checkpoint().Size)}
}

// storeCondition reads, and reports how the last write ended.
func (s *Service) storeCondition(ctx context.Context) Condition {
	if _, err := s.store.PlacedUpTo(ctx); err != nil {
		return Condition{Name: ConditionStore, Detail: fmt.Sprintf("not readable: %v", err)}
	}
	if err := s.writable(ctx); err != nil {
		return Condition{Name: ConditionStore, Detail: fmt.Sprintf("the last write failed: %v", err)}
	}
	return Condition{Name: ConditionStore, OK: true, Detail: "readable and writable"}
}

// writable returns why the last write failed. Whoever heeds health sends no
// statement to a notary that says so, and no statement would ever show that the
// store is well again: so it is asked to write what it knows.
func (s *Service) writable(ctx context.Context) error {
	err := s.storeErr.get()
	if err == nil || s.Err() != nil {
		return err
	}
	now := s.store.SetPlacedUpTo(ctx, s.placedUpTo.known())
	if ctx.Err() != nil {
		return err // nobody waited for the answer
	}
	s.storeErr.set(now)
	return now
}

func (s *Service) markConditions() []Condition {
	last, err := s.marks.state()
	now, clockErr := s.marks.clock.read()
	mark := Condition{Name: ConditionTimeMark, OK: err == nil, Detail: "none yet"}
	clock := Condition{Name: ConditionClock, OK: true, Detail: "not behind the last time mark"}
	if last != nil {
		// However old: one is made only when there is something to log.
		mark.Detail = fmt.Sprintf("the last one is of %s", last.time.Format(time.RFC3339))
		if behind := last.time.Sub(now); behind >= s.cfg.MarkInterval {
			clock.OK = false
			clock.Detail = fmt.Sprintf("%s behind the last time mark: until it has caught up, every time mark repeats the last one's time", behind.Round(time.Second))
		}
	}
	if clockErr != nil {
		clock.OK, clock.Detail = false, clockErr.Error()+"; no statement is taken until then"
	}
	switch {
	case errors.Is(err, ErrClock) && clockErr == nil:
		mark.OK = true // the clock is right again, and the next statement makes one
	case err != nil:
		mark.Detail = fmt.Sprintf("making one failed: %v", err)
	}
	return []Condition{mark, clock}
}

func (s *Service) receiptsCondition() Condition {
	c := Condition{Name: ConditionReceipts, OK: true, Detail: "every receipt verified before it was handed out"}
	if n := s.badReceipts.Load(); n > 0 {
		c.OK = false
		c.Detail = fmt.Sprintf("%d receipts did not verify and were held back: run a full check", n)
	}
	if s.signatures.distrusts() {
		// OK all the same: nothing good was refused, and no table is asked any more.
		c.Detail += "; the faster check of signatures disagreed with crypto/ecdsa and is off: test this machine's memory"
	}
	return c
}

func (s *Service) spaceCondition() Condition {
	free, err := s.cfg.FreeSpace()
	if err != nil {
		return Condition{Name: ConditionDiskSpace, Detail: fmt.Sprintf("unknown: %v", err)}
	}
	c := Condition{Name: ConditionDiskSpace, OK: free >= s.cfg.MinFree,
		Detail: fmt.Sprintf("%d MiB free, %d MiB kept in reserve", free>>20, s.cfg.MinFree>>20)}
	if !c.OK {
		c.Detail += ": no new statement is taken until there is more"
	}
	return c
}
