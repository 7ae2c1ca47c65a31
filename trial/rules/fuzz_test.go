package rules

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/trialnotary/trialnotary/trial"
)

// Whatever the bytes, a pack is refused by an *Error or compiles or is refused by
// the compiler, and never hangs.
func FuzzParse(f *testing.F) {
	f.Add(DefaultText())
	f.Add([]byte(packText()))
	f.Add([]byte("rules: &a [*a]"))
	f.Add([]byte("pack: \"\\u0000\"\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			return
		}
		if p.Digest != Digest(text) || len(p.Rules) == 0 {
			t.Fatalf("got %+v", p)
		}
		if _, err := Compile(p, nil, nil); err != nil && !errors.As(err, &e) {
			t.Fatalf("got %v, want an *Error", err)
		}
	})
}

// Whatever a sponsor writes into a rule is refused by an *Error that names it, or
// judges an act within its cost, in the same way each time, with one line of words.
func FuzzOwnRule(f *testing.F) {
	f.Add("", "act.site != ''", "No site in {{act.id}}.")
	f.Add("facts.locked", "facts.membersMissing.all(m, m != act.site)", "{{string(size(facts.membersMissing))}} of {{facts.membersMissing[0]}}")
	f.Add("", loops, "{{ {{ }}")
	f.Add("true", "facts.missingRoles[7] == ''", "{{charter.sites.exists(s, s == '}}') ? 'a' : 'b'}}")
	f.Add("", "1 / facts.gapDays == 0", "\n{{act.reason + act.reason}}\x00")
	f.Add("", "[[1, 2], [3]].all(l, size(l) > 1) || {'a': 1}.a == 1", "{{'{{' + \"}\" + '}'}}")
	moment := fuzzMoment()
	f.Fuzz(func(t *testing.T, when, expression, message string) {
		rule := datasetRule("S1", expression)
		rule.When, rule.Message = when, message
		program, err := Compile(nil, []trial.OwnRule{rule}, nil)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Rule != "S1" || e.Line < 0 || e.Column < 0 {
				t.Fatalf("got %v, want an *Error of the rule", err)
			}
			return
		}
		var whys [2]string
		for i := range whys {
			m := moment
			if b := program.rules[0].judge(&m); b != nil {
				whys[i] = b.why
			}
		}
		why := whys[0]
		if why != whys[1] || strings.ContainsAny(why, "\n\t") || utf8.RuneCountInString(why) > maxWhy+1 {
			t.Fatalf("got %q, then %q", why, whys[1])
		}
	})
}

// fuzzMoment is one where every fact says something.
func fuzzMoment() moment {
	facts := &trial.Facts{
		HasHead: true, Head: trial.ID{1}, Decisions: []trial.DecisionFact{{Found: true, Date: "2026-01-05"}, {}}, Locked: true, GapDays: -1,
		MembersMissing: []string{"a", "b"}, MembersStale: []string{"c"}, MembersOutside: []string{"AE: changed"},
		SeriesOverdue: []string{"AE of site 701 from EDC"}, BehindDays: 3, MissingRoles: []string{"qa"},
	}
	charter := &trial.CharterBody{Sites: []trial.Site{{ID: "701"}, {ID: "704"}}, SponsorOrganisation: sponsorName}
	st := &trial.Statement{Predicate: trial.Predicate{Kind: trial.KindDataset, Site: "701", Reason: "a\nreason", Body: extract("AE")}}
	m := moment{
		facts: object{factsType, facts}, act: object{actType, &trial.Act{Statement: st}}, charter: object{charterType, charter},
		params: object{paramsType, trial.DefaultParameters()}, event: celText(trial.EventLogged),
	}
	m.allow(facts, charter)
	return m
}
