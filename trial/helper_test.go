package trial

import (
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The tests' keys are made once: what they are called is all that matters.
var testKeys = map[string]*ecdsa.PrivateKey{}

func testKey(tb testing.TB, name string) *ecdsa.PrivateKey {
	tb.Helper()
	if k := testKeys[name]; k != nil {
		return k
	}
	k, err := GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	testKeys[name] = k
	return k
}

func publicKey(tb testing.TB, name string) *PublicKey {
	tb.Helper()
	k, err := NewPublicKey(testKey(tb, name).Public())
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

var testTime = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func hexOf(c byte) string { return strings.Repeat(string(c), 64) }

// sponsorStatement is a statement that the sponsor's key named signs.
func sponsorStatement(tb testing.TB, key string, charter ID, kind Kind, body any) *Statement {
	tb.Helper()
	return &Statement{Predicate: Predicate{
		Charter: charter, Kind: kind, Signed: NewInstant(testTime, "Europe/Berlin"), Meaning: MeaningApproval,
		Signer: Signer{KeyID: publicKey(tb, key).ID, Name: "Dr. Ada Sponsor", Role: RoleSponsor, Organisation: "Sponsor AG"},
		Body:   body,
	}}
}

func marshal(tb testing.TB, st *Statement) *Statement {
	tb.Helper()
	if _, err := MarshalStatement(st); err != nil {
		tb.Fatalf("MarshalStatement: %v", err)
	}
	return st
}

func charterBody(tb testing.TB) *CharterBody {
	tb.Helper()
	return &CharterBody{
		SponsorKey: publicKey(tb, "sponsor"), RecoveryKey: publicKey(tb, "recovery"), SponsorOrganisation: "Sponsor AG",
		Sites:        []Site{{ID: "701", Name: "Clinic North", Country: "DE"}, {ID: "704", Name: "Clinic South", GLN: "4012345000009"}},
		Parameters:   map[string]int64{"endorsementDays": 7},
		Endorsements: map[Kind][]Role{KindProtocol: {RoleSponsorMedical, RoleBiostatistician}},
		Roles:        []Role{"imaging-reader"}, RandomisationList: true, BlindingGuard: BlindingWarn,
	}
}

func prove(tb testing.TB, key string, charter ID, body any) []byte {
	tb.Helper()
	sig, err := SignPossession(testKey(tb, key), charter, body)
	if err != nil {
		tb.Fatal(err)
	}
	return sig
}

func charterStatement(tb testing.TB) *Statement {
	tb.Helper()
	b := charterBody(tb)
	b.SponsorProof = prove(tb, "sponsor", ID{}, b)
	b.RecoveryProof = prove(tb, "recovery", ID{}, b)
	st := sponsorStatement(tb, "sponsor", ID{}, KindCharter, b)
	st.Predicate.Trial = Registry{RegistryNCT: "NCT04573309", RegistryEUCT: "2022-501549-57-00"}
	return marshal(tb, st)
}

// world is a trial under construction. at is the next log index.
type world struct {
	t       testing.TB
	charter *Statement
	auth    *Authority
	at      uint64
	now     time.Time
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	c := charterStatement(tb)
	a, err := NewAuthority(c, 10)
	if err != nil {
		tb.Fatal(err)
	}
	return &world{t: tb, charter: c, auth: a, at: 11, now: testTime}
}

// log folds a statement at the next index and wants the reason, "" for none.
func (w *world) log(st *Statement, want Reason) uint64 {
	w.t.Helper()
	index := w.at
	w.at++
	if got := ReasonOf(w.auth.Admit(st, w.now)); got != want {
		w.t.Errorf("Admit before index %d: got %q, want %q", index, got, want)
	}
	err := w.auth.Apply(st, index, w.now)
	if got := ReasonOf(err); got != want || err != nil && want == "" {
		w.t.Errorf("Apply at index %d: got %v, want %q", index, err, want)
	}
	return index
}

// judge wants the reason for a statement at an index.
func (w *world) judge(st *Statement, index uint64, want Reason) Standing {
	w.t.Helper()
	s, err := w.auth.Judge(st, index, &w.now)
	if got := ReasonOf(err); got != want || err != nil && want == "" {
		w.t.Errorf("Judge at index %d: got %v, want %q", index, err, want)
	}
	return s
}

type enrolOption func(*EnrolmentBody)

func atSite(sites ...string) enrolOption {
	return func(b *EnrolmentBody) { b.AllSites, b.Sites = false, sites }
}

func ofSite(role Role, sites ...string) enrolOption {
	return func(b *EnrolmentBody) {
		b.Organisation, b.OrganisationType, b.Roles = "Clinic "+sites[0], OrganisationSite, []Role{role}
		b.AllSites, b.Sites = false, sites
		if role.ofSystem() {
			b.Holder = HolderSystem
		}
	}
}

func period(from, until time.Time) enrolOption {
	return func(b *EnrolmentBody) { b.From, b.Until = &from, &until }
}

func enrolmentBody(tb testing.TB, key string, opts ...enrolOption) *EnrolmentBody {
	tb.Helper()
	b := &EnrolmentBody{
		HolderID: "h-" + key, Holder: HolderPerson, Name: "Name of " + key, Organisation: "Sponsor AG",
		OrganisationType: OrganisationSponsor, Roles: []Role{RoleDataManager}, AllSites: true,
		Kinds: []Kind{KindDataset, KindEndorsement, KindProtocol, KindRegistration}, Key: publicKey(tb, key),
	}
	for _, o := range opts {
		o(b)
	}
	return b
}

func (w *world) enrolment(key string, opts ...enrolOption) *Statement {
	w.t.Helper()
	b := enrolmentBody(w.t, key, opts...)
	b.Proof = prove(w.t, key, w.charter.ID, b)
	return marshal(w.t, sponsorStatement(w.t, "sponsor", w.charter.ID, KindKeyEnrolment, b))
}

func (w *world) revocation(key string, since *uint64) *Statement {
	w.t.Helper()
	return marshal(w.t, sponsorStatement(w.t, "sponsor", w.charter.ID, KindKeyRevocation,
		&RevocationBody{Key: publicKey(w.t, key).ID, Cause: CauseCompromised, SuspectSince: since}))
}

func (w *world) recovery(newKey string, last uint64, confirmed ...ID) *Statement {
	w.t.Helper()
	b := &RecoveryBody{NewKey: publicKey(w.t, newKey), LastTrustedIndex: last, Confirmed: confirmed}
	b.Proof = prove(w.t, newKey, w.charter.ID, b)
	st := sponsorStatement(w.t, "recovery", w.charter.ID, KindKeyRecovery, b)
	st.Predicate.Signer.Role = RoleRecovery
	return marshal(w.t, st)
}

// signed is a statement by an enrolled key in its first role.
func (w *world) signed(by *Statement, site string, kind Kind, body any, subjects ...Subject) *Statement {
	w.t.Helper()
	e := by.Predicate.Body.(*EnrolmentBody)
	return &Statement{
		Subjects: subjects,
		Predicate: Predicate{
			Charter: w.charter.ID, Site: site, Kind: kind, Declared: NewInstant(testTime, "Europe/Berlin"),
			Signed: NewInstant(testTime, "Europe/Berlin"), Meaning: MeaningAuthorship, Body: body,
			Signer: Signer{KeyID: e.Key.ID, Name: e.Name, Role: e.Roles[0], Organisation: e.Organisation},
		},
	}
}

func (w *world) dataset(by *Statement, site string) *Statement {
	w.t.Helper()
	return marshal(w.t, w.signed(by, site, KindDataset, &DataBody{Origin: OriginSite, Purpose: PurposeRoutine},
		Subject{Name: "dm.xpt", Digests: SHA256(hash32(hexOf('a')))}))
}

func (w *world) endorsement(by *Statement, site string, target ID) *Statement {
	w.t.Helper()
	return marshal(w.t, w.signed(by, site, KindEndorsement, &EndorsementBody{Statement: target, Decision: DecisionEndorsed}))
}

// wantRefusal checks reason and path. A path of "*" is any.
func wantRefusal(tb testing.TB, err error, reason Reason, path string) {
	tb.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		tb.Fatalf("got error %v, want a refusal %s at %q", err, reason, path)
	}
	if r.Reason != reason || path != "*" && r.Path != path {
		tb.Errorf("got %s at %q (%s), want %s at %q", r.Reason, r.Path, r.Detail, reason, path)
	}
	if r.Detail == "" || strings.ContainsFunc(r.Error(), func(c rune) bool { return c < ' ' || c > '~' }) {
		tb.Errorf("got detail %q, want plain words", r.Error())
	}
}

func hash32(s string) (d [32]byte) {
	if n, err := hex.Decode(d[:], []byte(s)); err != nil || n != 32 {
		panic(fmt.Sprintf("invalid hash %q", s))
	}
	return d
}
