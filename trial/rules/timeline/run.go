package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Found is a finding, and the event that it is about.
type Found struct {
	rules.Finding
	Event int // -1: none of the story's
	// By is the event whose statements opened it; -1 where time did.
	By int
}

// Report is what the rules say of a timeline.
type Report struct {
	Found []Found
	// Unexpected holds the findings that the timeline does not expect, Missing
	// what it expects and was not found.
	Unexpected []Found
	Missing    []Expected
	Statements int
}

// Expected is a finding that a timeline expects of an event.
type Expected struct {
	Rule  string
	Event int
}

// Run folds the steps of a timeline as a notary would log them, with the time
// marks between, and compares the findings with what the timeline expects.
func Run(t *Timeline, steps []Step, program *rules.Program) (*Report, error) {
	l := &logger{by: map[uint64]int{}}
	engine, err := rules.NewEngine(trial.Logged{Statement: steps[0].Statement, Index: l.next(setup), Time: steps[0].At}, program)
	if err != nil {
		return nil, err
	}
	l.engine, l.now = engine, steps[0].At
	events := map[trial.ID]int{}
	for _, s := range steps[1:] {
		if s.Act {
			events[s.Statement.ID] = s.Event
		}
		if err := l.step(s); err != nil {
			return nil, fmt.Errorf("folding event %d: %w", s.Event, err)
		}
	}
	r := &Report{Statements: len(steps)}
	for _, f := range engine.Findings() {
		found := Found{f, setup, l.by[f.Index]}
		if e, ok := events[f.Statement]; ok {
			found.Event = e
		}
		r.Found = append(r.Found, found)
	}
	r.compare(t)
	return r, nil
}

// logger gives statements their place and time.
type logger struct {
	engine *rules.Engine
	index  uint64
	now    time.Time
	by     map[uint64]int // the event of an index
}

func (l *logger) next(event int) uint64 {
	l.index++
	l.by[l.index-1] = event
	return l.index - 1
}

// mark lets time pass: to each deadline on the way, as a notary's clock would.
func (l *logger) mark(to time.Time) error {
	for {
		at := to
		due, ok := l.engine.State().NextDeadline()
		if ok && due.Before(to) && due.After(l.now) {
			at = due
		}
		st := &trial.Statement{Predicate: trial.Predicate{Kind: trial.KindTimeMark, Body: &trial.TimeMarkBody{Time: at}}}
		if _, err := l.engine.Apply(trial.Logged{Statement: st, Index: l.next(setup), Time: at}); err != nil {
			return err
		}
		l.now = at
		if !at.Before(to) {
			return nil
		}
	}
}

func (l *logger) step(s Step) error {
	if s.At.After(l.now) {
		if err := l.mark(s.At); err != nil {
			return err
		}
	}
	_, err := l.engine.Apply(trial.Logged{Statement: s.Statement, Index: l.next(s.Event), Time: l.now})
	return err
}

// compare tells what is found and not expected, and the other way round.
func (r *Report) compare(t *Timeline) {
	expected := map[Expected]bool{}
	for i := range t.Events {
		for _, rule := range t.Events[i].Findings {
			expected[Expected{rule, i}] = true
		}
	}
	for _, f := range r.Found {
		e := Expected{f.Rule, f.Event}
		if !expected[e] {
			r.Unexpected = append(r.Unexpected, f)
		}
		delete(expected, e)
	}
	for e := range expected {
		r.Missing = append(r.Missing, e)
	}
	slices.SortFunc(r.Missing, func(a, b Expected) int { return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Rule, b.Rule)) })
}
