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
	engine, err := rules.NewEngine(Charter(steps), program)
	if err != nil {
		return nil, err
	}
	events, by := map[trial.ID]int{}, map[uint64]int{}
	for _, s := range steps[1:] {
		if s.Act {
			events[s.Statement.ID] = s.Event
		}
	}
	err = Log(steps, engine.State(), func(l trial.Logged, event int) error {
		by[l.Index] = event
		_, err := engine.Apply(l)
		return err
	})
	if err != nil {
		return nil, err
	}
	r := &Report{Statements: len(steps)}
	for _, f := range engine.Findings() {
		found := Found{f, setup, by[f.Index]}
		if e, ok := events[f.Statement]; ok {
			found.Event = e
		}
		r.Found = append(r.Found, found)
	}
	r.compare(t)
	return r, nil
}

// Charter returns the first step at its place in the log.
func Charter(steps []Step) trial.Logged {
	return trial.Logged{Statement: steps[0].Statement, Time: steps[0].At}
}

// Log hands the steps after the charter to apply, in their order, as a notary would
// log them: with their index and log time, and with the time marks between. event
// is the number of the event that a step belongs to, -1 for none and for marks.
// state is what apply folds into; it says which deadlines time must not skip.
func Log(steps []Step, state *trial.State, apply func(l trial.Logged, event int) error) error {
	l := &logger{state: state, apply: apply, now: steps[0].At}
	for _, s := range steps[1:] {
		if err := l.step(s); err != nil {
			return fmt.Errorf("folding event %d: %w", s.Event, err)
		}
	}
	return nil
}

// logger gives statements their place and time.
type logger struct {
	state *trial.State
	apply func(l trial.Logged, event int) error
	last  uint64
	now   time.Time
}

func (l *logger) log(st *trial.Statement, event int) error {
	l.last++
	return l.apply(trial.Logged{Statement: st, Index: l.last, Time: l.now}, event)
}

// mark lets time pass: to each deadline on the way, as a notary's clock would.
func (l *logger) mark(to time.Time) error {
	for l.now.Before(to) {
		at := to
		if due, ok := l.state.NextDeadline(); ok && due.Before(to) && due.After(l.now) {
			at = due
		}
		l.now = at
		st := &trial.Statement{Predicate: trial.Predicate{Kind: trial.KindTimeMark, Body: &trial.TimeMarkBody{Time: at}}}
		if err := l.log(st, setup); err != nil {
			return err
		}
	}
	return nil
}

func (l *logger) step(s Step) error {
	if err := l.mark(s.At); err != nil {
		return err
	}
	return l.log(s.Statement, s.Event)
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
