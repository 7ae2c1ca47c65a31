package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/trialnotary/trialnotary/trial"
)

// expression is a compiled expression of a known type.
type expression struct {
	program cel.Program
}

// moment is what the expressions look at: an event and its facts. It is what CEL
// calls an activation.
type moment struct {
	facts, act, charter, params object
	event, deadline             types.String
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
	v, _, err := x.program.Eval(m)
	if err != nil {
		return false, fmt.Errorf("evaluating: %w", err)
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, fmt.Errorf("evaluating: got a %s, want bool", v.Type().TypeName())
	}
	return bool(b), nil
}

func (x *expression) text(m *moment) (string, error) {
	v, _, err := x.program.Eval(m)
	if err != nil {
		return "", fmt.Errorf("evaluating: %w", err)
	}
	s, ok := v.(types.String)
	if !ok {
		return "", fmt.Errorf("evaluating: got a %s, want string", v.Type().TypeName())
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
		why = "The rule is broken. Its message could not be written: " + err.Error()
	}
	return &broken{severity, why}
}

func (c *compiled) failed(err error) *broken {
	return &broken{c.Severity, "The rule could not be judged: " + err.Error()}
}

func celText[T ~string](s T) types.String { return types.String(s) }
