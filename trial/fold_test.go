package trial

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// deck is a pool of statements to deal from: good and bad, in any order.
type deck struct {
	charter *Statement
	facts   []*Statement // may change authority
	acts    []*Statement // judged
}

func newDeck(t *testing.T) *deck {
	t.Helper()
	w := newWorld(t)
	inv := w.enrolment("inv701", ofSite(RoleInvestigator, "701"))
	coord := w.enrolment("coord", ofSite(RoleSiteCoordinator, "701", "704"))
	sys := w.enrolment("sys", ofSite(RoleSiteSystem, "701"))
	dm := w.enrolment("dm", period(testTime, testTime.Add(time.Hour)))
	again := w.enrolment("dm", func(b *EnrolmentBody) { b.Roles = []Role{RoleQA} })
	other := w.enrolment("dm2", func(b *EnrolmentBody) { b.HolderID = "h-dm" }) // another name: refused after dm
	cro := w.enrolment("cro", delegateOf("Acme CRO"))
	whole := w.delegation("Acme CRO", testTime, nil, "cro")
	narrow := w.delegation("Acme CRO", testTime, nil, "cro")
	narrow.Predicate.Supersedes, narrow.Predicate.Reason = whole.ID, "other obligations"
	narrow.Predicate.Body.(*DelegationBody).Obligations = []string{"monitoring"}
	marshal(t, narrow)
	byCRO := w.enrolledBy(cro, "byCRO", ofSite(RoleInvestigator, "701"))
	low, high := uint64(12), uint64(16)
	byNew := w.enrolment("late")
	byNew.Predicate.Signer.KeyID = publicKey(t, "sponsor2").ID
	marshal(t, byNew)
	d := &deck{charter: w.charter, facts: []*Statement{
		inv, coord, sys, dm, again, other, byNew,
		w.endorsement(inv, "701", coord.ID), w.endorsement(inv, "", sys.ID), w.endorsement(dm, "", coord.ID),
		w.revocation("dm", nil), w.revocation("inv701", &low), w.revocation("inv701", &high), w.revocation("coord", nil),
		w.recovery("sponsor2", 13), w.recovery("sponsor2", 14, inv.ID, coord.ID), w.recovery("sponsor3", 17, dm.ID),
		w.registration("sponsor", RegistryISRCTN, "ISRCTN54460428"),
		cro, whole, narrow, byCRO, w.revocation("cro", &high), w.endorsement(byCRO, "701", coord.ID),
	}}
	registered := w.dataset(dm, "701")
	registered.Predicate.Trial = Registry{RegistryISRCTN: "ISRCTN54460428"}
	d.acts = []*Statement{
		w.dataset(inv, "701"), w.dataset(coord, "701"), w.dataset(coord, "704"), w.dataset(sys, "701"), w.dataset(dm, ""),
		w.dataset(again, "701"), w.dataset(byNew, "701"), marshal(t, registered),
		w.dataset(byCRO, "701"), w.dataset(cro, "701"),
	}
	return d
}

type dealt struct {
	st    *Statement
	index uint64
	at    time.Time
}

// deal draws a log: statements, some of them twice, with gaps between indexes.
func (d *deck) deal(t *rapid.T) []dealt {
	order := rapid.Permutation(d.facts).Draw(t, "order")
	order = order[:rapid.IntRange(0, len(order)).Draw(t, "length")]
	var out []dealt
	index, at := uint64(10), testTime.Add(-time.Minute)
	for _, st := range order {
		index += rapid.Uint64Range(1, 2).Draw(t, "gap")
		at = at.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "minutes")) * time.Minute)
		out = append(out, dealt{st, index, at})
	}
	return out
}

// seen is what can be seen of an authority: every act judged at every index, and
// every fact at its own.
func (d *deck) seen(a *Authority, log []dealt) map[string]any {
	out := map[string]any{"registry": a.Registry(), "sponsor": a.SponsorKey().ID, "last": a.KnownUpTo()}
	judge := func(i int, st *Statement, index uint64) {
		at := testTime.Add(time.Duration(index) * time.Minute)
		s, err := a.Judge(st, index, &at)
		out[itoa(i)+"@"+itoa(int(index))] = []any{s, ReasonOf(err)}
	}
	for i, st := range d.acts {
		for index := uint64(10); index <= a.KnownUpTo()+1; index++ {
			judge(i, st, index)
		}
	}
	for i, e := range log {
		judge(100+i, e.st, e.index)
	}
	return out
}

// The fold depends on what was folded alone: not on clones on the way, and not
// on whether facts that reach back came before or after.
func TestFoldIsPure(t *testing.T) {
	d := newDeck(t)
	rapid.Check(t, func(t *rapid.T) {
		log := d.deal(t)
		plain, err := NewAuthority(d.charter, 10)
		if err != nil {
			t.Fatal(err)
		}
		cloned, rebuilt := plain.Clone(), plain.Clone()
		for n, e := range log {
			want := ReasonOf(plain.Apply(e.st, e.index, e.at))
			if rapid.Bool().Draw(t, "clone") {
				old := cloned
				before := d.seen(old, log[:n])
				cloned = cloned.Clone()
				if got := ReasonOf(cloned.Apply(e.st, e.index, e.at)); got != want {
					t.Fatalf("index %d: a clone says %q, want %q", e.index, got, want)
				}
				if !reflect.DeepEqual(d.seen(old, log[:n]), before) {
					t.Fatalf("index %d: a change of the clone changed the original", e.index)
				}
			} else if got := ReasonOf(cloned.Apply(e.st, e.index, e.at)); got != want {
				t.Fatalf("index %d: got %q, want %q", e.index, got, want)
			}
			if got := ReasonOf(rebuilt.Apply(e.st, e.index, e.at)); got != want {
				t.Fatalf("index %d: got %q after rebuilds, want %q", e.index, got, want)
			}
			rebuilt.rebuild()
		}
		want := d.seen(plain, log)
		if got := d.seen(cloned, log); !reflect.DeepEqual(got, want) {
			t.Fatalf("with clones: got %v, want %v", got, want)
		}
		if got := d.seen(rebuilt, log); !reflect.DeepEqual(got, want) {
			t.Fatalf("with rebuilds: got %v, want %v", got, want)
		}
	})
}

// What is admitted now is what is judged at the next index.
func TestAdmitIsTheNextJudge(t *testing.T) {
	d := newDeck(t)
	rapid.Check(t, func(t *rapid.T) {
		a, err := NewAuthority(d.charter, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.deal(t) {
			for i, st := range slices.Concat(d.acts, d.facts[:rapid.IntRange(0, 2).Draw(t, "facts")]) {
				admit := ReasonOf(a.Admit(st, e.at))
				_, err := a.Judge(st, e.index, &e.at)
				if judge := ReasonOf(err); admit != judge {
					t.Fatalf("act %d before index %d: Admit says %q, Judge %q", i, e.index, admit, judge)
				}
			}
			admit, applied := a.Admit(e.st, e.at), a.Apply(e.st, e.index, e.at)
			if ReasonOf(admit) != ReasonOf(applied) {
				t.Fatalf("index %d: Admit says %v, Apply %v", e.index, admit, applied)
			}
			_, err := a.Judge(e.st, e.index, &e.at)
			// What reaches back may reach the statement itself, never save it.
			if applied != nil && err == nil {
				t.Fatalf("index %d: Apply says %v, Judge nothing", e.index, applied)
			}
		}
	})
}
