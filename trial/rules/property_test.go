package rules

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial"
)

// plot is a story that rapid tells: acts of all kinds in any order, in good order
// or not, with authority or without.
type plot struct {
	*story
	dice  *rapid.T
	known []*trial.Statement
}

func (p *plot) n(most int) int { return rapid.IntRange(0, most-1).Draw(p.dice, "n") }

func pick[T any](p *plot, list ...T) T { return list[p.n(len(list))] }

// old is mostly a recent statement.
func (p *plot) old() *trial.Statement {
	from := 0
	if p.n(8) > 0 {
		from = max(0, len(p.known)-10)
	}
	return p.known[from+p.n(len(p.known)-from)]
}

func (p *plot) scope() trial.DataScope {
	return trial.DataScope{
		Sites:    pick(p, nil, nil, []string{"701"}, []string{"704"}, []string{"704", "701"}),
		Datasets: pick(p, nil, nil, []string{"AE"}, []string{"DM"}),
	}
}

// turn lets one thing happen.
func (p *plot) turn(i int) {
	if p.n(3) == 0 {
		p.pass(time.Duration(1+p.n(400)) * time.Hour)
	}
	st := p.act()
	name := fmt.Sprintf("%s %d", st.Predicate.Kind, i)
	p.feed(name, st)
	p.known = append(p.known, st)
	if p.n(15) == 0 {
		p.apply(name, trial.Logged{Statement: st, Index: p.next, Time: p.now}) // a second entry
	}
	for range p.n(4) {
		p.endorse(p.old(), pick(p, "cmo", "stat", "qa", "dm", "both", "pi701", "edc"))
	}
}

func (p *plot) act() *trial.Statement {
	site := pick(p, "701", "704")
	who := pick(p, "pi701", "pi704", "cra", "cra", "edc")
	doc := []option{document(pick(p, "A", "B"), pick(p, "1", "2"))}
	if p.n(3) > 0 {
		doc = append(doc, replaces(p.old()))
	}
	if p.n(4) == 0 {
		doc = append(doc, scoped(pick(p, "DE", "AT")))
	}
	when := declared(p.now.Add(time.Duration(p.n(50)-40) * day / 2))
	switch p.n(20) {
	case 0:
		return p.write("cmo", "", trial.KindProtocol, nil, doc...)
	case 1:
		return p.write("cmo", "", trial.KindProtocolAmendment, &trial.AmendmentBody{Type: trial.AmendmentUrgent}, doc...)
	case 2:
		return p.write(who, pick(p, "", site), trial.KindICF, nil, doc...)
	case 3:
		return p.write("stat", "", trial.KindSAP, nil, doc...)
	case 4:
		return p.write(who, site, trial.KindEthicsDecision, &trial.EthicsDecisionBody{Committee: "C", Date: pick(p, "2026-01-05", "2026-02-05"),
			Decision: pick(p, trial.EthicsFavourable, trial.EthicsWithdrawn, trial.EthicsAcknowledged), Approves: []trial.ID{p.old().ID}})
	case 5:
		return p.write(who, site, trial.KindVersionEffective, &trial.VersionEffectiveBody{Statements: []trial.ID{p.old().ID}, Activation: true})
	case 6:
		return p.write(who, site, trial.KindFirstParticipant, nil)
	case 7, 8:
		return p.write(pick(p, "dm", "both"), "", trial.KindDatabaseLock, &trial.LockBody{Label: pick(p, "1", "2"), Scope: p.scope(),
			Type: pick(p, trial.LockInterim, trial.LockSoft, trial.LockFinal), Members: []trial.ID{p.old().ID}})
	case 9:
		lock := p.old()
		return p.write("dm", "", trial.KindDatabaseUnlock, &trial.UnlockBody{Lock: lock.ID, Scope: p.scope()}, because("late"), subject("statement", trial.SHA256(lock.ID)))
	case 10:
		return p.write("stat", "", trial.KindDerivedDataset, &trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeSubmission, Dataset: "ADSL"}, from(p.old()))
	case 11:
		return p.rare(who, site)
	}
	body := extract(pick(p, "AE", "DM", ""))
	body.Migration = p.n(10) == 0
	options := []option{file(byte(p.n(3))), when}
	if p.n(2) == 0 {
		options = append(options, replaces(p.old()))
	}
	return p.write(pick(p, "edc", "edc", "pi701"), site, trial.KindDataset, body, options...)
}

// rare is what happens to few trials, or once.
func (p *plot) rare(who, site string) *trial.Statement {
	old := p.old()
	sealed := trial.Commitment(sum(byte(p.n(2))))
	switch p.n(10) {
	case 0:
		return p.sign("sponsor", trial.Predicate{Kind: trial.KindKeyRevocation, Reason: "stolen",
			Body: &trial.RevocationBody{Key: pub(p, pick(p, "both", "pi704")).ID, Cause: pick(p, trial.CauseCompromised, trial.CauseLeft)}}, nil)
	case 1:
		return p.write(who, pick(p, site, ""), trial.KindLastVisit, nil)
	case 2:
		return p.write("ustat", "", trial.KindUnblinding, &trial.UnblindingBody{Scope: trial.UnblindTrial, Recipient: pick(p, "", "h-ustat")})
	case 3:
		return p.write("cra", pick(p, site, ""), trial.KindCloseout, nil)
	case 4:
		return p.sign("sponsor", trial.Predicate{Kind: trial.KindRegistration, Declared: trial.NewInstant(p.now, "Etc/UTC"),
			Body: &trial.RegistrationBody{Registry: trial.RegistryNCT, Number: "NCT00000000"}}, nil)
	case 5:
		return p.write("dm", "", trial.KindBaseline, &trial.BaselineBody{AsOf: "2026-01-01", Sealed: []trial.Commitment{sealed},
			Locks: []trial.BaselineLock{{Label: "0", Type: trial.LockSoft, Date: "2026-01-01"}}, Documents: []trial.BaselineDocument{{Kind: trial.KindICF, Version: "1"}}})
	case 6:
		return p.write("ustat", "", trial.KindRandomisationSeal, &trial.SealBody{Scheme: trial.CommitmentScheme}, subject("randomisation-list", sealed.Digests()))
	case 7:
		return p.write("ustat", "", trial.KindRandomisationReveal, &trial.RevealBody{Seal: old.ID, Salt: sum(3)},
			subject("list", append(trial.SHA256(sum(1)), sealed.Digests()...)))
	case 8:
		return p.write("pi"+site, site, trial.KindUnblinding, &trial.UnblindingBody{Scope: trial.UnblindParticipant}, because("emergency"), subject("participant", sealed.Digests()))
	}
	return p.write("qa", "", trial.KindFindingResponse, &trial.FindingResponseBody{Rule: pick(p, "R01", "R13", "S1"), Statement: old.ID, Cause: "c"},
		subject("statement", trial.SHA256(old.ID)))
}

// all is everything that the views of a state show at a time.
func all(s *trial.State, at time.Time) []any {
	return []any{
		s.Overview(), s.Sites(), s.Heads(), s.Pending(), s.Locks(), s.Unlocks(), s.Series(at), s.Overdue(at),
		s.Seals(), s.Unblindings(), s.CustodyGaps(), s.Enrolments(at),
	}
}

// Whatever is logged in whatever order, folding it fails for no finding, and
// everybody who folds it finds the same and sees the same state: without rules, in
// batches of other sizes, without the time marks that change nothing, from the
// envelopes anew after having stopped in the middle.
func TestReplicas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		y := tell(rt, func(b *trial.CharterBody) {
			b.Parameters = map[string]int64{trial.ParameterRegistrationDays: 3}
			b.Endorsements = map[trial.Kind][]trial.Role{trial.KindICF: {trial.RoleQA}}
			b.UnblindingExempt = []string{"h-ustat"}
			b.Rules = []trial.OwnRule{datasetRule("S1", "1 / facts.behindDays > 1"), datasetRule("S2", loops)}
			b.Rules[1].When = "act.dataset == '' && facts.locked"
		})
		p := &plot{y, rt, []*trial.Statement{y.charter.Statement}}
		for i := range rapid.IntRange(1, 40).Draw(rt, "acts") {
			p.turn(i)
		}
		want, seen := y.engine.Findings(), all(y.engine.State(), y.now)
		for name, fold := range map[string]func() *Engine{"in batches": p.batches, "after a restart": p.restarted} {
			e := fold()
			if got := e.Findings(); !reflect.DeepEqual(got, want) {
				rt.Errorf("%s: got the findings %+v, want %+v", name, got, want)
			}
			if got := all(e.State(), y.now); !reflect.DeepEqual(got, seen) {
				rt.Errorf("%s: got the state %+v, want %+v", name, got, seen)
			}
			got, err := e.View("", y.next, 0)
			if v := y.view("", 0); err != nil || got != v || got.Agrees(&v) != nil {
				rt.Errorf("%s: got the view %+v (%v), want %+v", name, got, err, v)
			}
		}
		if got := all(p.unjudged(), y.now); !reflect.DeepEqual(got, seen) {
			rt.Errorf("without rules: got the state %+v, want %+v", got, seen)
		}
	})
}

func (p *plot) begin() *Engine {
	e, err := NewEngine(p.charter, p.program)
	if err != nil {
		p.Fatal(err)
	}
	return e
}

func (p *plot) fold(e *Engine, list []trial.Logged) {
	for _, l := range list {
		if _, err := e.Apply(l); err != nil {
			p.Fatal(err)
		}
	}
}

// batches folds in batches of any size, looks at everything after each, and leaves
// out the time marks that no deadline asks for.
func (p *plot) batches() *Engine {
	e := p.begin()
	for list := p.log; len(list) > 0; {
		n := 1 + p.n(min(len(list), 20))
		for _, l := range list[:n] {
			due, ok := e.State().NextDeadline()
			if l.Statement.Predicate.Kind == trial.KindTimeMark && (!ok || l.Time.Before(due)) {
				continue
			}
			p.fold(e, []trial.Logged{l})
		}
		list = list[n:]
		_, _ = e.Findings(), all(e.State(), p.now)
	}
	return e
}

// restarted folds from what was kept: the envelopes' payloads and their places.
func (p *plot) restarted() *Engine {
	p.fold(p.begin(), p.log[:p.n(len(p.log)+1)])
	again := make([]trial.Logged, len(p.log))
	for i, l := range p.log {
		if l.Statement.Predicate.Kind != trial.KindTimeMark {
			st, err := trial.ParseStatement(l.Statement.Payload)
			if err != nil {
				p.Fatal(err)
			}
			l.Statement = st
		}
		again[i] = l
	}
	e := p.begin()
	p.fold(e, again)
	return e
}

func (p *plot) unjudged() *trial.State {
	s, err := trial.NewState(p.charter)
	if err != nil {
		p.Fatal(err)
	}
	for _, l := range p.log {
		if err := s.Apply(l, nil); err != nil {
			p.Fatal(err)
		}
	}
	return s
}
