package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// datasetRule is a sponsor's rule on datasets.
func datasetRule(id, expression string) trial.OwnRule {
	return trial.OwnRule{ID: id, Title: "t", Severity: trial.SeverityMinor, Trigger: []trial.Kind{trial.KindDataset},
		Expression: expression, Message: "Broken at {{act.site}}."}
}

func withRules(list ...trial.OwnRule) func(*trial.CharterBody) {
	return func(b *trial.CharterBody) { b.Rules = list }
}

// loops costs some 800,000 units, which no list of the trial's makes more: its
// estimate is what it costs.
const loops = "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, " +
	"[1,2,3,4,5,6,7,8,9].all(d, [1,2,3,4,5,6,7,8,9].all(e, a + b + c + d + e > 0)))))"

const tooDear = "The rule could not be judged: at this event the expressions came to more than the 50200 units that they may cost together."

// What costs too much when it runs ends as a finding, the same for everybody. The
// rules of the pack are judged before, and those that walk through no list after.
func TestCostWhenItRuns(t *testing.T) {
	y := tell(t, withRules(
		datasetRule("S1", "charter.sites.all(s, s != act.site)"), datasetRule("S2", loops),
		datasetRule("S3", "charter.sites.all(s, s != act.site)"), datasetRule("S4", "act.dataset == 'DM'"),
	))
	y.running()
	y.data("data", "701", "AE", 1, declared(begin.Add(-20*day)))
	y.want(
		"R13 minor on data: The declared time is 20 days behind the log.",
		"S1 minor on data: Broken at 701.",
		"S2 minor on data: "+tooDear,
		"S3 minor on data: "+tooDear,
		"S4 minor on data: Broken at 701.",
	)
	again, err := NewEngine(y.charter, y.program)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range y.log {
		if _, err := again.Apply(l); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := again.Findings(), y.engine.Findings(); !slices.EqualFunc(got, want, func(a, b Finding) bool { return a.Why == b.Why && a.Rule == b.Rule }) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A hundred rules that would run for a minute together end after what one event
// may cost, and what comes next is judged anew.
func TestCostOfManyRules(t *testing.T) {
	list := make([]trial.OwnRule, 100)
	for i := range list {
		list[i] = datasetRule(fmt.Sprintf("S%03d", i), loops)
		list[i].When = loops
	}
	y := tell(t, withRules(list...))
	y.running()
	for i := range 20 {
		y.data(fmt.Sprintf("data %d", i), "701", "AE", 1)
	}
	found := y.engine.Findings()
	if len(found) != 2000 {
		t.Fatalf("got %d findings, want 2000", len(found))
	}
	for _, f := range found {
		if f.Why != tooDear {
			t.Fatalf("got %q", f.Why)
		}
	}
}

// A rule over the members of a large lock may cost more than one over a small act.
func TestCostGrowsWithTheAct(t *testing.T) {
	const every = "facts.membersMissing.all(m, m != act.site)"
	p, err := Parse([]byte(packText("[logged]", "[effect]", "[dataset]", "[database-lock]", `act.site != ""`, `'`+every+` && size(facts.membersMissing) == 0'`)))
	if err != nil {
		t.Fatal(err)
	}
	program, err := Compile(p, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	y := tell(t)
	if y.engine, err = NewEngine(y.charter, program); err != nil {
		t.Fatal(err)
	}
	for _, l := range y.log {
		if _, err := y.engine.Apply(l); err != nil {
			t.Fatal(err)
		}
	}
	b := &trial.LockBody{Label: "1", Type: trial.LockFinal, Members: make([]trial.ID, 7_000)}
	for i := range b.Members {
		b.Members[i] = trial.ID{1, byte(i >> 8), byte(i)}
	}
	lock := y.add("lock", "dm", "", trial.KindDatabaseLock, b)
	y.endorse(lock, "stat")
	y.want("T1 minor on lock by stat's signature: No site in lock.")
}

// What fails in another way is a finding as well.
func TestRuntimeErrors(t *testing.T) {
	message := datasetRule("S3", "act.site == ''")
	message.Message = "The first of none is {{facts.membersStale[0]}}."
	y := tell(t, withRules(
		datasetRule("S1", "1 / (facts.gapDays + 1) == 1"), datasetRule("S2", "facts.missingRoles[3] == ''"), message,
		datasetRule("S4", "9223372036854775807 + facts.behindDays + 1 > 0"),
	))
	y.running()
	y.data("data", "701", "AE", 1)
	y.want(
		"S1 minor on data: The rule could not be judged: division by zero.",
		"S2 minor on data: The rule could not be judged: index out of bounds: 3.",
		"S3 minor on data: The rule is broken. Its message could not be written: index out of bounds: 0.",
		"S4 minor on data: The rule could not be judged: integer overflow.",
	)
}

// What would blow up in every part of a rule is refused before anything runs.
func TestCostRefused(t *testing.T) {
	const members = "facts.membersStale"
	for name, change := range map[string]func(*trial.OwnRule){
		"when":       func(o *trial.OwnRule) { o.When = members + ".all(a, " + members + ".all(b, a != b))" },
		"expression": func(o *trial.OwnRule) { o.Expression = members + ".all(a, " + members + ".exists(b, a == b))" },
		"message":    func(o *trial.OwnRule) { o.Message = "{{" + members + ".map(a, " + members + ".map(b, a + b)[0])[0]}}" },
		"growth": func(o *trial.OwnRule) {
			o.Expression = "[act.reason].map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).map(a, a+a+a+a).size() > 0"
		},
		"pattern": func(o *trial.OwnRule) { o.Expression = "act.reason.matches('(a+)+$')" },
	} {
		rule := datasetRule("S1", "true")
		change(&rule)
		_, err := Compile(nil, []trial.OwnRule{rule}, nil)
		if err == nil || !strings.Contains(err.Error(), "may cost") && !strings.Contains(err.Error(), "undeclared reference") {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
}
