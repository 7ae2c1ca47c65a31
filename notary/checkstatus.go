package notary

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// CheckPhase is a part of a full check.
type CheckPhase string

// The parts of a full check, in order.
const (
	CheckingLog        CheckPhase = "log"
	CheckingDatabase   CheckPhase = "database"
	CheckingStatements CheckPhase = "statements"
)

// CheckStatus is what is known of the full checks of a running service.
type CheckStatus struct {
	// Phase tells what a check that runs is at; "" if none runs. Read is how many
	// of the log's entries it has compared with their statements, of Size.
	Phase      CheckPhase
	Read, Size uint64
	// Ended is when the last check came to a result, zero before the first. Took,
	// Report and Err are that result.
	Ended  time.Time
	Took   time.Duration
	Report CheckReport
	Err    error
}

// checkStatus is a CheckStatus that is being written.
type checkStatus struct {
	mu  sync.Mutex
	now CheckStatus
}

// CheckStatus returns what is known of the full checks since the service was
// opened.
func (s *Service) CheckStatus() CheckStatus {
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	return s.checks.now
}

func (c *checkStatus) begin(size uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Phase, c.now.Read, c.now.Size = CheckingLog, 0, size
}

func (c *checkStatus) phase(p CheckPhase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Phase = p
}

func (c *checkStatus) progress(read uint64) {
	if read%rowsAtOnce != 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Read = read
}

// end records a result. A check that was interrupted has none.
func (c *checkStatus) end(began time.Time, report CheckReport, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Phase = ""
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	c.now.Read = report.Entries
	c.now.Ended, c.now.Took, c.now.Report, c.now.Err = time.Now(), time.Since(began), report, err
}

// checkCondition is not OK once a full check has found something, until one has
// not.
func (s *Service) checkCondition() Condition {
	now := s.CheckStatus()
	c := Condition{Name: ConditionFullCheck, OK: now.Err == nil, Detail: "none since the start"}
	switch {
	case now.Err != nil:
		c.Detail = fmt.Sprintf("the last one failed at %s: %v", now.Ended.UTC().Format(time.RFC3339), now.Err)
	case !now.Ended.IsZero():
		c.Detail = fmt.Sprintf("the last one ended at %s and read %d entries", now.Ended.UTC().Format(time.RFC3339), now.Report.Entries)
	}
	if now.Phase != "" {
		c.Detail += fmt.Sprintf("; one is running: %s, %d of %d entries compared", now.Phase, now.Read, now.Size)
	}
	return c
}
