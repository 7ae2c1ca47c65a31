package trial

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Everybody in the stories of the state's tests, with the roles of their keys.
var cast = []struct {
	key   string
	roles []Role
	site  string
}{
	{"cmo", []Role{RoleSponsorMedical}, ""},
	{"stat", []Role{RoleBiostatistician}, ""},
	{"ustat", []Role{RoleUnblindedStatistician}, ""},
	{"qa", []Role{RoleQA}, ""},
	{"dm", []Role{RoleDataManager}, ""},
	{"both", []Role{RoleDataManager, RoleBiostatistician}, ""},
	{"edc", []Role{RoleEDCSystem}, ""},
	{"cra", []Role{RoleMonitor, RoleRegulatory}, ""},
	{"pi701", []Role{RoleInvestigator}, "701"},
	{"pi704", []Role{RoleInvestigator}, "704"},
}

// seen is an event and the facts of that moment.
type seenEvent struct {
	Event
	facts *Facts
}

func (e seenEvent) String() string {
	return fmt.Sprintf("%s@%d of %d", e.Type, e.Index, e.Act.Index)
}

// story is a trial that a test tells.
type story struct {
	*world
	state *State
	cast  map[string]*Statement // enrolments
	fed   []Logged              // what was fed, without the charter
	salt  uint64
}

// tell begins a story. change edits the charter.
func tell(tb testing.TB, change ...func(*CharterBody)) *story {
	tb.Helper()
	b := charterBody(tb)
	b.Endorsements = nil
	for _, c := range change {
		c(b)
	}
	b.SponsorProof, b.RecoveryProof = nil, nil
	b.SponsorProof = prove(tb, "sponsor", ID{}, b)
	b.RecoveryProof = prove(tb, "recovery", ID{}, b)
	st := marshal(tb, sponsorStatement(tb, "sponsor", ID{}, KindCharter, b))
	s, err := NewState(Logged{st, 10, testTime})
	if err != nil {
		tb.Fatal(err)
	}
	y := &story{world: &world{t: tb, charter: st, auth: s.Authority(), at: 11, now: testTime}, state: s, cast: map[string]*Statement{}}
	for _, c := range cast {
		options := []enrolOption{func(b *EnrolmentBody) { b.Roles, b.Kinds = c.roles, signedKinds() }}
		if c.site != "" {
			options = append(options, ofSite(c.roles[0], c.site))
		}
		if c.roles[0].ofSystem() {
			options = append(options, func(b *EnrolmentBody) { b.Holder = HolderSystem })
		}
		y.cast[c.key] = y.enrolment(c.key, options...)
		y.feed(y.cast[c.key])
	}
	return y
}

// signedKinds returns the kinds that an enrolled key may sign.
func signedKinds() []Kind {
	var out []Kind
	for _, k := range Kinds() {
		if !k.Authority() && k != KindTimeMark && k != KindDelegation {
			out = append(out, k)
		}
	}
	return out
}

// pass lets time go by, and the notary mark it.
func (y *story) pass(d time.Duration) []seenEvent {
	y.t.Helper()
	y.now = y.now.Add(d)
	return y.apply(Logged{&Statement{Predicate: Predicate{Kind: KindTimeMark, Body: &TimeMarkBody{Time: y.now}}}, y.at, y.now})
}

// feed logs a statement now and returns what happened.
func (y *story) feed(st *Statement) []seenEvent {
	y.t.Helper()
	return y.apply(Logged{st, y.at, y.now})
}

func (y *story) apply(l Logged) []seenEvent {
	y.t.Helper()
	y.at++
	y.fed = append(y.fed, l)
	return replay(y.t, y.state, l)
}

// replay folds what was logged and returns what happened.
func replay(tb rapid.TB, s *State, log ...Logged) []seenEvent {
	tb.Helper()
	var out []seenEvent
	for _, l := range log {
		err := s.Apply(l, func(e *Event) {
			// The act goes on changing, so keep what it was.
			act := *e.Act
			seen := seenEvent{*e, s.Facts(e)}
			seen.Act = &act
			out = append(out, seen)
		})
		if err != nil {
			tb.Fatalf("index %d: %v", l.Index, err)
		}
	}
	return out
}

type option func(*Statement)

func document(id, version string) option {
	return func(st *Statement) {
		st.Predicate.Document, st.Predicate.Version = &Document{ID: id}, version
	}
}

func scoped(scope string) option {
	return func(st *Statement) { st.Predicate.Document.Scope = scope }
}

func replaces(id ID) option {
	return func(st *Statement) { st.Predicate.Supersedes, st.Predicate.Reason = id, "a new version" }
}

func because(reason string) option {
	return func(st *Statement) { st.Predicate.Reason = reason }
}

func from(ids ...ID) option {
	return func(st *Statement) { st.Predicate.Lineage = ids }
}

func declared(at time.Time) option {
	return func(st *Statement) { st.Predicate.Declared = NewInstant(at, "Etc/UTC") }
}

func subject(name string, digests Digests) option {
	return func(st *Statement) { st.Subjects = []Subject{{name, digests}} }
}

func bytesOf(n byte) [32]byte { return [32]byte{31: n, 0: 1} }

// write makes a statement by somebody of the cast.
func (y *story) write(by, site string, kind Kind, body any, options ...option) *Statement {
	y.t.Helper()
	st := y.signed(y.cast[by], site, kind, body)
	if subjectOf(kind) == "" {
		st.Subjects = []Subject{{"file", SHA256(bytesOf(1))}}
	}
	st.Predicate.Declared = NewInstant(y.now, "Etc/UTC")
	y.salt++
	binary.BigEndian.PutUint64(st.Predicate.Salt[:], y.salt)
	for _, o := range options {
		o(st)
	}
	return marshal(y.t, st)
}

func subjectOf(k Kind) string {
	if k == KindUnblinding || k == KindVerification {
		return subjectCharter
	}
	return kinds[k].subject
}

// add writes and logs a statement.
func (y *story) add(by, site string, kind Kind, body any, options ...option) *Statement {
	y.t.Helper()
	st := y.write(by, site, kind, body, options...)
	y.feed(st)
	return st
}

// endorse logs an endorsement.
func (y *story) endorse(by string, st *Statement) []seenEvent {
	y.t.Helper()
	return y.feed(y.write(by, st.Predicate.Site, KindEndorsement, &EndorsementBody{Statement: st.ID, Decision: DecisionEndorsed}))
}

// one returns the event of a type that happened to an act, and fails where there
// is not exactly one.
func one(tb testing.TB, events []seenEvent, what EventType, st *Statement) seenEvent {
	tb.Helper()
	var found []seenEvent
	for _, e := range events {
		if e.Type == what && e.Act.Statement == st {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		tb.Fatalf("got %d events %q of the act in %v, want one", len(found), what, events)
	}
	return found[0]
}

// none fails where an event of a type happened to an act.
func none(tb testing.TB, events []seenEvent, what EventType, st *Statement) {
	tb.Helper()
	for _, e := range events {
		if e.Type == what && e.Act.Statement == st {
			tb.Fatalf("got %v, want no %q", events, what)
		}
	}
}

const days = 24 * time.Hour
