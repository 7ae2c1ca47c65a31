package rules

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/trialnotary/trialnotary/trial"
)

// expression is a compiled expression of a known type.
type expression struct {
	program cel.Program
	wide    cel.Program // for an event that may cost more; nil where nothing watches the cost
}

// moment is what the expressions look at: an event and its facts. It is what CEL
// calls an activation.
type moment struct {
	facts, act, charter, params object
	event, deadline             types.String

	// allowed is what all expressions together may cost, and left what is left of it.
	allowed, left uint64
}

// allow sets what the expressions may cost.
func (m *moment) allow(f *trial.Facts, b *trial.CharterBody) {
	n := len(b.Sites) + len(b.UnblindingExempt) + len(f.Decisions) + len(f.MembersMissing) + len(f.MembersStale) +
		len(f.MembersOutside) + len(f.SeriesOverdue) + len(f.MissingRoles)
	m.allowed = min(eventCost+elementCost*uint64(n), maxCost)
	m.left = m.allowed
}

// costError says that the expressions came to more than they may cost together.
type costError uint64

func (e costError) Error() string {
	return fmt.Sprintf("at this event the expressions came to more than the %d units that they may cost together", uint64(e))
}

// eval runs an expression. An error is the same for everybody who folds the same.
func (x *expression) eval(m *moment) (ref.Val, error) {
	program := x.program
	switch {
	case x.wide == nil:
		v, _, err := program.Eval(m)
		return v, err
	case m.left == 0:
		return nil, costError(m.allowed)
	case m.allowed > smallCost:
		program = x.wide
	}
	v, details, err := program.Eval(m)
	var cancelled interpreter.EvalCancelledError
	over := errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded
	cost := details.ActualCost()
	if over || cost != nil && *cost > m.left {
		m.left = 0
		return nil, costError(m.allowed)
	}
	if cost != nil {
		m.left -= *cost
	}
	return v, err
}

func (m *moment) ResolveName(name string) (any, bool) {
	switch name {
	case "facts":
		return m.facts, true
	case "act":
		return m.act, true
	case "charter":
		return m.charter, true
	case "params":
		return m.params, true
	case "event":
		return m.event, true
	case "deadline":
		return m.deadline, true
	}
	return nil, false
}

func (m *moment) Parent() cel.Activation { return nil }

func (x *expression) bool(m *moment) (bool, error) {
	v, err := x.eval(m)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("got a %s, want bool", v.Type().TypeName())
	}
	return bool(b), nil
}

func (x *expression) text(m *moment) (string, error) {
	v, err := x.eval(m)
	if err != nil {
		return "", err
	}
	s, ok := v.(types.String)
	if !ok {
		return "", fmt.Errorf("got a %s, want string", v.Type().TypeName())
	}
	return string(s), nil
}

// maxWhy bounds what a finding says.
const maxWhy = 2000

func (m *message) format(at *moment) (string, error) {
	var b strings.Builder
	for i, t := range m.text {
		b.WriteString(t)
		if i < len(m.parts) {
			s, err := m.parts[i].text(at)
			if err != nil {
				return "", err
			}
			b.WriteString(s)
		}
	}
	s := strings.Join(strings.Fields(b.String()), " ")
	if utf8.RuneCountInString(s) > maxWhy {
		s = string([]rune(s)[:maxWhy]) + "…"
	}
	return s, nil
}

// broken is how a rule is broken.
type broken struct {
	severity trial.Severity
	why      string
}

// judge returns nil where the rule is kept or does not look at the event. A rule
// that cannot be evaluated is broken in the same way for everybody: it must not
// pass for one that is kept.
func (c *compiled) judge(m *moment) *broken {
	if c.when != nil {
		looks, err := c.when.bool(m)
		if err != nil {
			return c.failed(err)
		}
		if !looks {
			return nil
		}
	}
	kept, err := c.expression.bool(m)
	switch {
	case err != nil:
		return c.failed(err)
	case kept:
		return nil
	}
	severity, text := c.Severity, &c.message
	for i := range c.cases {
		is, err := c.cases[i].when.bool(m)
		if err != nil {
			return c.failed(err)
		}
		if is {
			severity, text = c.cases[i].severity, &c.cases[i].message
			break
		}
	}
	why, err := text.format(m)
	if err != nil {
		why = "The rule is broken. Its message could not be written: " + err.Error() + "."
	}
	return &broken{severity, why}
}

func (c *compiled) failed(err error) *broken {
	return &broken{c.Severity, "The rule could not be judged: " + err.Error() + "."}
}

func celText[T ~string](s T) types.String { return types.String(s) }
