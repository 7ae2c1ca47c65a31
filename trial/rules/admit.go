package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trialnotary/trialnotary/trial"
)

// maxOwnText is how many characters the expressions and messages of a charter's
// own rules have together. Compiling takes time that grows with them: a charter
// that has as many as it may, and is made to be slow, takes less than a second.
const maxOwnText = 64 << 10

// Admit checks what a charter says about rules before it is logged: that its pack
// is at hand, that its parameters are known and in their ranges, and that its own
// rules compile and cost no more than they may. An error is a *trial.Refusal whose
// path begins with predicate.body.
//
// Of a charter that is logged already nothing is checked: what was admitted stays
// so, whatever packs are at hand later.
func (s *Packs) Admit(b *trial.CharterBody) error {
	if b.RulePack != "" {
		if _, err := s.Pack(b.RulePack); err != nil {
			return refusal(trial.ReasonUnknownRulePack, "rulePack", "%v", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		least, most, known := trial.ParameterRange(name)
		if n := b.Parameters[name]; known && (n < least || n > most) {
			return refusal(trial.ReasonBadValue, "parameters."+name, "got %d, want %d to %d", n, least, most)
		}
	}
	length := 0
	for i := range b.Rules {
		o := &b.Rules[i]
		length += utf8.RuneCountInString(o.When) + utf8.RuneCountInString(o.Expression) + utf8.RuneCountInString(o.Message)
	}
	if length > maxOwnText {
		return refusal(trial.ReasonTooLarge, "rules", "expressions and messages have %d characters together, want at most %d", length, maxOwnText)
	}
	p, err := s.Program(b)
	if bad := (*Error)(nil); errors.As(err, &bad) {
		return ownRefusal(b, bad)
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(b.Parameters)) {
		if _, _, known := trial.ParameterRange(name); !known && !p.params[name] {
			return refusal(trial.ReasonUnknownParameter, "parameters."+name, "no rule looks at this parameter: want one of %s, or one that an own rule names",
				strings.Join(slices.Sorted(maps.Keys(trial.DefaultParameters())), ", "))
		}
	}
	return nil
}

func refusal(reason trial.Reason, path, format string, args ...any) *trial.Refusal {
	return &trial.Refusal{Reason: reason, Path: "predicate.body." + path, Detail: fmt.Sprintf(format, args...)}
}

// ownRefusal says where in a charter the rule stands that does not compile.
func ownRefusal(b *trial.CharterBody, bad *Error) *trial.Refusal {
	i := slices.IndexFunc(b.Rules, func(o trial.OwnRule) bool { return o.ID == bad.Rule })
	if i < 0 { // the pack's, which compiled when it was loaded
		return refusal(trial.ReasonBadRule, "rulePack", "%v", bad)
	}
	part := bad.Part
	if part == "" {
		part = "id" // which the pack has too
	}
	return refusal(trial.ReasonBadRule, fmt.Sprintf("rules[%d].%s", i, part), "%s", clip(bad.Error()))
}

// clip shortens what the compiler says: its lists of what it expected are long.
func clip(text string) string {
	const most = 300
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
