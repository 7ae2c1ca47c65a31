package logtest

import (
	"context"
	"sync"

	"github.com/trialnotary/trialnotary/notary"
)

// Marks is a notary.MarkStore in memory that fails on demand.
type Marks struct {
	// mu guards everything below.
	mu    sync.Mutex
	mark  notary.Mark
	known bool

	failNext   error
	failStored bool
	loseNext   bool
	hook       func(to notary.Mark)
}

// LoadMark implements notary.MarkStore.
func (m *Marks) LoadMark(context.Context) (notary.Mark, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mark, m.known, nil
}

// AdvanceMark implements notary.MarkStore.
func (m *Marks) AdvanceMark(_ context.Context, from, to notary.Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.hook != nil {
		m.hook(to)
	}
	if from != m.mark {
		return notary.ErrMarkConflict
	}
	err := m.failNext
	store := err == nil && !m.loseNext || err != nil && m.failStored
	m.failNext, m.failStored, m.loseNext = nil, false, false
	if store {
		m.mark, m.known = to, true
	}
	return err
}

// Set stores a mark, as restoring an older database does; ok false removes it.
func (m *Marks) Set(mark notary.Mark, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !ok {
		mark = notary.Mark{}
	}
	m.mark, m.known = mark, ok
}

// Fail makes the next AdvanceMark fail; stored tells whether the mark was moved
// all the same.
func (m *Marks) Fail(err error, stored bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failNext, m.failStored = err, stored
}

// Lose makes the next AdvanceMark succeed without storing anything.
func (m *Marks) Lose() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loseNext = true
}

// Before calls fn with each new mark before it is stored. fn MUST NOT call m.
func (m *Marks) Before(fn func(to notary.Mark)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = fn
}

var _ notary.MarkStore = (*Marks)(nil)
