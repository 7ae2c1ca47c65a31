package notary_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

const onePack = `pack: sponsor
version: "1"
title: One rule
rules:
  - id: T1
    title: Sites are named
    severity: minor
    trigger:
      events: [logged]
    expression: act.site != ""
    message: "No site."
`

func named(digest string) func(*trial.CharterBody) {
	return func(b *trial.CharterBody) { b.RulePack = digest }
}

func ownRule(expression string) func(*trial.CharterBody) {
	return func(b *trial.CharterBody) {
		b.Rules = append(b.Rules, trial.OwnRule{
			ID: fmt.Sprintf("S%d", len(b.Rules)), Title: "t", Severity: trial.SeverityMinor, Trigger: []trial.Kind{trial.KindSAP},
			Expression: expression, Message: "m",
		})
	}
}

// TestCharterRules: what a charter says about rules is judged before it is logged.
func TestCharterRules(t *testing.T) {
	pack, err := rules.Parse([]byte(onePack))
	must(t, err)
	w := newWorld(t, func(c *notary.Config) { c.Packs = rules.NewPacks(pack) })
	for _, good := range []func(*trial.CharterBody){named(""), named(rules.Default().Digest), named(pack.Digest), ownRule("act.version != ''")} {
		w.submit(newStudy(t, nil, good).charter)
	}
	for reason, bad := range map[trial.Reason]func(*trial.CharterBody){
		trial.ReasonUnknownRulePack:  named(strings.Repeat("0", 64)),
		trial.ReasonBadRule:          ownRule("act.version == sites"),
		trial.ReasonUnknownParameter: func(b *trial.CharterBody) { b.Parameters = map[string]int64{"mine": 1} },
		trial.ReasonBadValue:         func(b *trial.CharterBody) { b.Parameters = map[string]int64{"graceDays": -1} },
	} {
		entries := w.entries()
		_, err := w.Submit(t.Context(), newStudy(t, nil, bad).charter, nil)
		wantRefusal(t, err, reason)
		if w.entries() != entries {
			t.Errorf("%s: the log grew", reason)
		}
	}
}

// TestCharterOfAPackThatIsGone: what was admitted stays so when the operator takes
// the pack away.
func TestCharterOfAPackThatIsGone(t *testing.T) {
	pack, err := rules.Parse([]byte(onePack))
	must(t, err)
	w := newWorld(t, func(c *notary.Config) { c.Packs = rules.NewPacks(pack) })
	s := newStudy(t, nil, named(pack.Digest))
	first := w.submit(s.charter)
	w.cfg.Packs = nil
	w.reopen()
	again := w.submit(s.charter)
	if again.Record.Index != first.Record.Index {
		t.Errorf("got index %d, want the first one's %d", again.Record.Index, first.Record.Index)
	}
	_, env := s.enrol("dm", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleDataManager)
	w.submit(env)
	_, err = w.Submit(t.Context(), newStudy(t, nil, named(pack.Digest)).charter, nil)
	wantRefusal(t, err, trial.ReasonUnknownRulePack)
}

// TestChartersBesideOthers: charters whose rules are slow to judge hold up nothing
// else, and each gets its answer.
func TestChartersBesideOthers(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	macros := strings.TrimSuffix(strings.Repeat("[1].all(x,x>0)&&", 30), "&&")
	var charters sync.WaitGroup
	for range 8 {
		slow := newStudy(t, nil, func(b *trial.CharterBody) {
			for range 50 {
				ownRule(macros)(b)
			}
			ownRule("oops")(b)
		}).charter
		charters.Go(func() {
			_, err := w.Submit(t.Context(), slow, nil)
			wantRefusal(t, err, trial.ReasonBadRule)
		})
	}
	for i := range 20 {
		w.submit(s.dataset(h, "701", fmt.Sprint("dm", i)))
	}
	charters.Wait()
}
