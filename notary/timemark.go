package notary

import (
	"crypto"
	"fmt"
	"sync"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// timeMark is a time mark of ours, logged or about to be.
type timeMark struct {
	record *Record
	entry  []byte
	time   time.Time
	// read is what the clock said when the mark was made.
	read time.Time
}

// marks makes time marks and knows the newest. The committer alone makes and
// advances them; anyone may read.
type marks struct {
	key      crypto.Signer
	self     *trial.PublicKey
	clock    *clockGuard
	interval time.Duration

	mu   sync.Mutex
	last *timeMark // nil before the first
	err  error     // of the last attempt to make one
}

// logged returns the log time of what is logged now: the newest mark's, zero
// before the first.
func (m *marks) logged() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last == nil {
		return time.Time{}
	}
	return m.last.time
}

// expected returns the log time that a statement admitted now will have: what a
// key's validity is judged by. It fails with ErrClock, for a key must not be
// refused as expired because the clock is wrong.
func (m *marks) expected() (time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, err := m.clock.read()
	if err != nil {
		return time.Time{}, err
	}
	if m.last != nil && (!m.due(now) || now.Before(m.last.time)) {
		return m.last.time, nil
	}
	return now, nil
}

// due tells whether a mark must come before the next entry. A clock that was set
// back by the interval or more makes one due as well: the interval counts from
// what the clock said then, not from the mark's time, which never goes back.
func (m *marks) due(now time.Time) bool {
	return m.last == nil || now.Sub(m.last.read).Abs() >= m.interval
}

// next makes the time mark that must precede what is logged next, where one is
// due.
func (m *marks) next(c receipt.Checkpoint) (mark *timeMark, due bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, err := m.clock.read()
	if err != nil {
		m.err = err
		return nil, true, err
	}
	if !m.due(now) {
		m.err = nil
		return nil, false, nil
	}
	at := now
	if m.last != nil && at.Before(m.last.time) {
		at = m.last.time
	}
	mark, err = m.sign(at, c)
	m.err = err
	if err != nil {
		return nil, true, err
	}
	mark.read = now
	return mark, true, nil
}

func (m *marks) sign(at time.Time, c receipt.Checkpoint) (*timeMark, error) {
	st, err := trial.NewTimeMark(m.self.ID, trial.TimeMarkBody{
		Origin: c.Origin, Time: at, Size: c.Size, Root: c.Root,
	})
	if err != nil {
		return nil, err
	}
	env, err := trial.Sign(m.key, st.Payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	rec, entry := newRecord(env, st, m.self, false)
	return &timeMark{record: rec, entry: entry, time: at}, nil
}

func (m *marks) advance(to *timeMark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = to
}

// state returns the newest mark, or nil, and why the last attempt failed.
func (m *marks) state() (*timeMark, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, m.err
}

// parseMark reads a stored time mark.
func parseMark(rec *Record) (*timeMark, error) {
	st, err := trial.ParseStatement(rec.Envelope.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: time mark %s: %w", ErrDamaged, rec.ID, err)
	}
	body, ok := st.Predicate.Body.(*trial.TimeMarkBody)
	if !ok {
		return nil, fmt.Errorf("%w: time mark %s: got kind %q, want %q", ErrDamaged, rec.ID, st.Predicate.Kind, trial.KindTimeMark)
	}
	return &timeMark{record: rec, time: body.Time, read: body.Time}, nil
}
