package trial

import (
	"math/rand/v2"
	"testing"
	"time"
)

// longStory is a log of everything that can happen, in an order that a fixed seed
// draws: acts and endorsements of any of them, by anybody, with marks between.
func longStory(tb testing.TB) (charter Logged, log []Logged) {
	tb.Helper()
	y := tell(tb, func(b *CharterBody) {
		b.Parameters = map[string]int64{ParameterRegistrationDays: 3}
		b.Endorsements = map[Kind][]Role{KindICF: {RoleQA}}
		b.UnblindingExempt = []string{"h-ustat"}
	})
	p := &plot{story: y, dice: rand.New(rand.NewPCG(1, 2)), known: []ID{{1}}}
	for range 300 {
		p.turn()
	}
	p.feed(p.write("cra", "701", KindLastVisit, nil))
	p.feed(p.write("stat", "", KindSAP, nil))
	p.feed(p.write("cra", "", KindCloseout, nil))
	for range 20 {
		p.turn()
	}
	return Logged{y.charter, 10, testTime}, y.fed
}

// plot draws what happens next.
type plot struct {
	*story
	dice  *rand.Rand
	known []ID
}

func (p *plot) any(list ...string) string { return list[p.dice.IntN(len(list))] }

// id is mostly that of a recent statement.
func (p *plot) id() ID {
	from := max(0, len(p.known)-12)
	if p.dice.IntN(10) == 0 {
		from = 0
	}
	return p.known[from+p.dice.IntN(len(p.known)-from)]
}

func (p *plot) turn() {
	if p.dice.IntN(3) == 0 {
		p.pass(time.Duration(p.dice.IntN(40)) * time.Hour)
	}
	by := cast[p.dice.IntN(len(cast))]
	site := p.any("701", "704")
	st := p.statement(by.key, site)
	p.feed(st)
	if p.dice.IntN(20) == 0 {
		p.feed(st)
	}
	p.known = append(p.known, st.ID)
	if p.dice.IntN(2) == 0 {
		for _, who := range []string{"stat", "cmo", "qa", "dm"} {
			if p.dice.IntN(2) == 0 {
				p.endorse(who, st)
			}
		}
	}
}

func (p *plot) statement(by, site string) *Statement {
	scope := DataScope{}
	if p.dice.IntN(2) == 0 {
		scope.Sites = []string{site}
	}
	if p.dice.IntN(3) == 0 {
		scope.Datasets = []string{p.any("AE", "DM")}
	}
	doc := document(p.any("A", "B"), p.any("1", "2"))
	old := replaces(p.id())
	member := func() *Statement { return &Statement{ID: p.id()} }
	sealed := Commitment{byte(p.dice.IntN(3))}.Digests()
	switch p.dice.IntN(20) {
	case 0:
		return p.write("cmo", "", KindProtocol, nil, doc)
	case 1:
		return p.write("cmo", "", KindProtocolAmendment, &AmendmentBody{Type: AmendmentUrgent}, doc, scoped(p.any("DE", "AT")), old)
	case 2:
		return p.write(by, site, KindICF, nil, doc, old)
	case 3:
		return p.write("stat", "", KindSAP, nil, doc, old)
	case 4:
		return p.write("pi"+site, site, KindEthicsDecision, ethics(p.any("2026-02-01", "2026-03-04"),
			EthicsDecision(p.any("favourable", "withdrawn", "acknowledged")), p.id()))
	case 5:
		return p.write("cra", site, KindVersionEffective, &VersionEffectiveBody{Statements: []ID{p.id()}, Activation: true})
	case 6:
		return p.write("pi"+site, site, KindFirstParticipant, nil)
	case 7, 8:
		lock := lockOf(p.any("1", "2"), scope, member())
		lock.Type = LockType(p.any("interim", "soft", "final"))
		return p.write("dm", "", KindDatabaseLock, lock)
	case 9:
		return p.write("dm", "", KindDatabaseUnlock, &UnlockBody{Lock: p.id(), Scope: scope}, because("late"))
	case 10:
		return p.write("stat", "", KindDerivedDataset, &DataBody{Origin: OriginSponsor, Purpose: PurposeSubmission, Dataset: "ADSL"}, from(p.id()))
	case 11:
		return p.write("ustat", "", KindRandomisationSeal, &SealBody{Scheme: CommitmentScheme}, subject("randomisation-list", sealed))
	case 12:
		return p.write("pi"+site, site, KindUnblinding, &UnblindingBody{Scope: UnblindParticipant}, because("emergency"), subject("participant", sealed))
	case 13:
		return p.rare(site)
	}
	return p.write("edc", site, KindDataset, routine(p.any("AE", "DM", "")), subject("f", SHA256(bytesOf(byte(p.dice.IntN(3))))), old)
}

// rare is what happens to few trials, or once.
func (p *plot) rare(site string) *Statement {
	switch p.dice.IntN(12) {
	case 0:
		since := p.at - 5
		return p.revocation(p.any("both", "pi704"), &since)
	case 1:
		return p.write("cra", site, KindLastVisit, nil)
	case 2:
		return p.write("ustat", "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial, Recipient: p.any("h-ustat", "x")})
	case 3:
		return p.write("cra", site, KindCloseout, nil)
	case 4:
		return p.write("cra", "", KindRegistration, &RegistrationBody{Registry: RegistryISRCTN, Number: "ISRCTN54460428"})
	case 5:
		return p.write("dm", "", KindBaseline, &BaselineBody{AsOf: "2026-01-01", Sealed: []Commitment{{1}},
			Locks: []BaselineLock{{"0", LockSoft, "2026-01-01"}}, Documents: []BaselineDocument{{Kind: KindICF, Version: "1"}}})
	}
	return p.write("cra", site, KindTMFDocument, nil)
}
