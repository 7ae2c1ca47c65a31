package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/trialnotary/trialnotary/trial"
)

// Limits of a pack.
const (
	MaxPack       = 256 << 10 // bytes
	maxRules      = 200
	maxLine       = 200
	maxText       = 4096 // of an expression or a message
	maxClauses    = 20
	maxCases      = 10
	maxIdentifier = 40
)

// Pack is a parsed pack of rules. It is immutable.
type Pack struct {
	// Digest is the SHA-256 of the pack's bytes: how a charter names it.
	Digest string
	// Name is the pack's identifier.
	Name, Version, Title string
	Rules                []Rule
}

// Rule is one rule of a pack.
type Rule struct {
	ID, Title string
	// Clauses are what the rule follows from, such as "21 CFR 11.10(f)".
	Clauses  []string
	Severity trial.Severity
	Trigger  Trigger
	// When is CEL: false is an event that the rule does not look at. It may be
	// absent.
	When Text
	// Expression is CEL: true is a rule that is kept.
	Expression Text
	// Cases are looked at in order where the rule is broken: the first whose When
	// is true gives severity and message in place of the rule's.
	Cases []Case
	// Message says in plain words what is wrong. {{...}} holds a CEL expression of
	// type string.
	Message Text
	// ClosedBy is EventEffect where a finding closes by itself when its act takes
	// effect after all; else empty.
	ClosedBy trial.EventType
	// Own: the sponsor's, from the charter.
	Own bool
}

// Trigger is what a rule looks at.
type Trigger struct {
	Events []trial.EventType
	// Kinds holds the kinds of the acts; Except all but those. One of the two may
	// be there, none is all kinds.
	Kinds, Except []trial.Kind
}

// Case is a way to break a rule that has a severity or message of its own.
type Case struct {
	When     Text
	Severity trial.Severity
	Message  Text
}

// Text is an expression or a message, and where it stands in its pack. Line is 0
// in a charter.
type Text struct {
	Value        string
	Line, Column int
}

// events are what a rule can look at.
var events = []trial.EventType{
	trial.EventLogged, trial.EventEffect, trial.EventVoided, trial.EventOverdue, trial.EventDeadline,
	trial.EventLastVisit, trial.EventCloseout,
}

var severities = []trial.Severity{trial.SeverityCritical, trial.SeverityMajor, trial.SeverityMinor}

// Digest returns how a charter names the pack with these bytes.
func Digest(pack []byte) string {
	sum := sha256.Sum256(pack)
	return hex.EncodeToString(sum[:])
}

// Error is why a pack or a rule cannot be used, and where.
type Error struct {
	// Rule is the rule's id and Part the part of it, such as "expression"; empty
	// for the pack's form.
	Rule, Part string
	// Line and Column are counted from 1: in the pack where Rule is empty or
	// PackLine is 0, else in the part. 0 is unknown.
	Line, Column int
	// PackLine is the line of the pack, or of the file of own rules, where the part
	// begins; 0 without.
	PackLine int
	Reason   string
}

func (e *Error) Error() string {
	where := "invalid pack"
	if e.Rule != "" {
		where = fmt.Sprintf("invalid rule %s", e.Rule)
	}
	if e.Part != "" {
		where += ": " + e.Part
	}
	if e.Line > 0 {
		where += fmt.Sprintf(" %d:%d", e.Line, e.Column)
	}
	if e.PackLine > 0 {
		where += fmt.Sprintf(" (it begins in line %d)", e.PackLine)
	}
	return where + ": " + e.Reason
}

// FileLine returns the line of the file that the error is about, or where the part
// begins that holds it; 0 is unknown.
func (e *Error) FileLine() int {
	if e.PackLine > 0 {
		return e.PackLine
	}
	if e.Part != "" {
		return 0 // a charter's
	}
	return e.Line
}

// looks tells whether the trigger is for a kind.
func (t *Trigger) looks(k trial.Kind) bool {
	if len(t.Kinds) > 0 {
		return slices.Contains(t.Kinds, k)
	}
	return !slices.Contains(t.Except, k)
}

// own returns a charter's rule as a pack's. It looks at acts when they are logged.
func own(o *trial.OwnRule) Rule {
	return Rule{
		ID: o.ID, Title: o.Title, Clauses: o.Clauses, Severity: o.Severity, Own: true,
		Trigger: Trigger{Events: []trial.EventType{trial.EventLogged}, Kinds: o.Trigger},
		When:    Text{Value: o.When}, Expression: Text{Value: o.Expression}, Message: Text{Value: o.Message},
	}
}
