package rules

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

func ownRule(expression string) trial.OwnRule {
	return trial.OwnRule{ID: "S1", Title: "t", Severity: trial.SeverityMinor, Trigger: []trial.Kind{trial.KindSAP}, Expression: expression, Message: "m"}
}

func TestAdmit(t *testing.T) {
	other, err := Parse([]byte(packText()))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*trial.CharterBody{
		"nothing":           {},
		"the default pack":  {RulePack: Default().Digest},
		"an operator's":     {RulePack: other.Digest},
		"parameters":        {Parameters: map[string]int64{"registrationDays": -1, "cadenceDays": 3660}},
		"own rules":         {Rules: []trial.OwnRule{ownRule("act.version != ''")}},
		"own parameters":    {Rules: []trial.OwnRule{ownRule("params.mine > 1")}, Parameters: map[string]int64{"mine": -5}},
		"one in a message":  {Rules: []trial.OwnRule{{ID: "S1", Expression: "true", Message: "{{string(params.mine)}}"}}, Parameters: map[string]int64{"mine": 1}},
		"an id of no rule":  {RulePack: other.Digest, Rules: []trial.OwnRule{{ID: "R01", Expression: "true", Message: "m"}}},
		"inside a list too": {Rules: []trial.OwnRule{ownRule("[params].all(p, p.mine > 1)")}, Parameters: map[string]int64{"mine": 1}},
	} {
		if err := NewPacks(other).Admit(b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAdmitRefuses(t *testing.T) {
	second := func(o trial.OwnRule) []trial.OwnRule {
		first := ownRule("true")
		first.ID = "S0"
		return []trial.OwnRule{first, o}
	}
	long := func(n int) (rules []trial.OwnRule) {
		for i := range n {
			o := ownRule("true")
			o.ID, o.Message = fmt.Sprintf("S%d", i), strings.Repeat("m", maxText)
			rules = append(rules, o)
		}
		return rules
	}
	for name, c := range map[string]struct {
		body   *trial.CharterBody
		reason trial.Reason
		path   string
		says   string
	}{
		"an unknown pack":        {&trial.CharterBody{RulePack: strings.Repeat("0", 64)}, trial.ReasonUnknownRulePack, "rulePack", "no pack has the digest"},
		"a parameter too small":  {&trial.CharterBody{Parameters: map[string]int64{"graceDays": -1}}, trial.ReasonBadValue, "parameters.graceDays", "want 0 to 3660"},
		"a parameter too great":  {&trial.CharterBody{Parameters: map[string]int64{"futureMinutes": 1441}}, trial.ReasonBadValue, "parameters.futureMinutes", "want 0 to 1440"},
		"a parameter misspelt":   {&trial.CharterBody{Parameters: map[string]int64{"endorsmentDays": 7}}, trial.ReasonUnknownParameter, "parameters.endorsmentDays", "endorsementDays"},
		"a parameter not given":  {&trial.CharterBody{Rules: second(ownRule("params.mine > 1"))}, trial.ReasonBadRule, "rules[1].expression", "S1: expression 1:7: undefined field 'mine'"},
		"an expression":          {&trial.CharterBody{Rules: second(ownRule("act.version\n  == sites"))}, trial.ReasonBadRule, "rules[1].expression", "2:6: undeclared reference"},
		"a condition":            {&trial.CharterBody{Rules: []trial.OwnRule{{ID: "S1", When: "act.id", Expression: "true", Message: "m"}}}, trial.ReasonBadRule, "rules[0].when", "want bool"},
		"a message":              {&trial.CharterBody{Rules: []trial.OwnRule{{ID: "S1", Expression: "true", Message: "a {{act.colour}}"}}}, trial.ReasonBadRule, "rules[0].message", "1:8: undefined field"},
		"the id of a pack's":     {&trial.CharterBody{Rules: []trial.OwnRule{{ID: "R04", Expression: "true", Message: "m"}}}, trial.ReasonBadRule, "rules[0].id", "one of its own"},
		"a rule that costs much": {&trial.CharterBody{Rules: []trial.OwnRule{ownRule("facts.membersStale.all(a, facts.membersStale.all(b, a != b))")}}, trial.ReasonBadRule, "rules[0].expression", "may cost"},
		"too much text":          {&trial.CharterBody{Rules: long(16)}, trial.ReasonTooLarge, "rules", "at most 65536"},
	} {
		err := NewPacks().Admit(c.body)
		bad, ok := errors.AsType[*trial.Refusal](err)
		if !ok || bad.Reason != c.reason || bad.Path != "predicate.body."+c.path || !strings.Contains(bad.Detail, c.says) || len(bad.Detail) > 400 {
			t.Errorf("%s: got %v, want %s at %s and %q", name, err, c.reason, c.path, c.says)
		}
	}
}

// hostile are expressions that are made to take long: to parse, to expand, to
// check or to estimate.
func hostile() []string {
	fill := func(part, with string) string {
		n := maxText / (len(part) + len(with))
		return strings.TrimSuffix(strings.Repeat(part+with, n), with)
	}
	macros := func(part string, n int) string { return strings.TrimSuffix(strings.Repeat(part+"&&", n), "&&") }
	return []string{
		fill("true", "||"), fill("[1].all(x,x>0)", "&&"), fill("act.lineage.exists(x,x=='')", "&&"), fill("facts.registered", "||"),
		macros("[1].all(x,x>0)", 30), macros("act.lineage.exists(x,x=='')", 20), strings.Repeat("!", maxText-4) + "true",
		"size(" + fill("[1]", "+")[:3900] + ")>0", "{" + fill("1:1", ",")[:3900] + "}.size()>0", fill("act.id", "+")[:3900] + "==''",
		"[" + fill("[[]]", ",")[:3900] + "].size()>0", strings.Repeat("[1].all(x,", 30) + "true" + strings.Repeat(")", 30),
		strings.Repeat("@", maxText), strings.Repeat("( ", maxText/2), "'" + strings.Repeat("a", maxText-10) + "'==''",
	}
}

// TestHostileCharter: whatever a charter holds, judging its rules takes a bounded
// time of one core. The bound here is wide, for the race detector and slow
// machines: see docs/rules.md for what is measured.
func TestHostileCharter(t *testing.T) {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	for _, expression := range append(hostile(), "true") {
		messages := []string{"m"}
		if expression == "true" {
			messages = append(messages, strings.Repeat("{{''}}", maxText/6), strings.Repeat("{{act.id}}", maxText/10))
		}
		for _, message := range messages {
			b := &trial.CharterBody{}
			for i := 0; i < 100 && i*(len(expression)+len(message)) < maxOwnText-len(expression)-len(message); i++ {
				o := ownRule(expression)
				o.ID, o.Message = fmt.Sprintf("S%d", i), message
				b.Rules = append(b.Rules, o)
			}
			began := used()
			err := NewPacks().Admit(b)
			took := used() - began
			t.Logf("%4d ms, %d rules, %.40s…, %.12s…: refused %v", took.Milliseconds(), len(b.Rules), expression, message, err != nil)
			if took > 20*time.Second {
				t.Errorf("judging %d rules like %.60s… took %v", len(b.Rules), expression, took)
			}
		}
	}
}

// The page's table of parameters is the program's.
func TestParametersDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range trial.DefaultParameters() {
		least, most, known := trial.ParameterRange(name)
		row := fmt.Sprintf("| `%s` | %d | %d to %d |", name, value, least, most)
		if !known || value < least || value > most || !strings.Contains(string(page), row) {
			t.Errorf("docs/rules.md has no row %q", row)
		}
	}
}
