package trial

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCharterHoldsOwnRules(t *testing.T) {
	b := charterBody(t)
	b.Rules = []OwnRule{{
		ID: "OWN-1", Title: "A plan before data", Clauses: []string{"SOP 12"}, Severity: SeverityMinor,
		Trigger: []Kind{KindDataset}, When: "act.site != ''", Expression: "facts.sapInEffect", Message: "A plan\ncomes first",
	}}
	b.UnblindingExempt = []string{"DMC Services", "h-stat"}
	b.Parameters["registrationDays"] = -1
	b.Endorsements[KindSAP] = []Role{}
	b.SponsorProof, b.RecoveryProof = prove(t, "sponsor", ID{}, b), prove(t, "recovery", ID{}, b)
	st := marshal(t, sponsorStatement(t, "sponsor", ID{}, KindCharter, b))
	got := st.Predicate.Body.(*CharterBody)
	if !reflect.DeepEqual(got, b) {
		t.Errorf("got %+v, want %+v", got, b)
	}
	if err := schemaError(t, schema(t), st.Payload); err != nil {
		t.Error(err)
	}
	if _, err := NewAuthority(st, 0); err != nil {
		t.Error(err)
	}
}

func TestNewBodyIsOfTheKind(t *testing.T) {
	for _, k := range Kinds() {
		st, err := ParseStatement([]byte(goodStatements(t)[k]))
		if err != nil {
			t.Fatal(err)
		}
		if got := NewBody(k); reflect.TypeOf(got) != reflect.TypeOf(st.Predicate.Body) {
			t.Errorf("%s: got a %T, want a %T", k, got, st.Predicate.Body)
		}
	}
	if got := NewBody("unknown-kind"); got != nil {
		t.Errorf("got %T for an unknown kind", got)
	}
}

// What is fixed for a kind is what its example shows.
func TestKindForms(t *testing.T) {
	for kind, doc := range goodStatements(t) {
		st, err := ParseStatement([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		name, committed := kind.FixedSubject()
		if name != "" && kind != KindUnblinding {
			_, has := st.Subjects[0].Digests.Get(DigestCommitment)
			if st.Subjects[0].Name != name || has != committed {
				t.Errorf("%s: got subject %+v, want %q, commitment %t", kind, st.Subjects[0], name, committed)
			}
		}
		if kind.AboutSite() && st.Predicate.Site == "" || kind.NeedsReason() && st.Predicate.Reason == "" ||
			kind.NeedsDeclaredTime() && st.Predicate.Declared == nil {
			t.Errorf("%s: the example lacks what the kind needs", kind)
		}
	}
	if k := Kind("unknown-kind"); k.NeedsDeclaredTime() || k.AboutSite() || k.NeedsReason() {
		t.Error("an unknown kind needs something")
	}
}

// An act that is about no file needs no subject from who writes it, a commitment
// does.
func TestMarshalAddsSubjects(t *testing.T) {
	for kind, doc := range goodStatements(t) {
		st, err := ParseStatement([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		again := &Statement{Predicate: st.Predicate}
		_, err = MarshalStatement(again)
		name, committed := kind.FixedSubject()
		switch {
		case kind == KindUnblinding || committed || name == "" && kind != KindVerification:
			wantRefusal(t, err, ReasonMissingField, "subject")
		case err != nil:
			t.Errorf("%s: %v", kind, err)
		case kind == KindVerification:
			if again.Subjects[0].Name != "charter" || !again.Subjects[0].Digests.Is(DigestSHA256, st.Predicate.Charter) {
				t.Errorf("%s: got subject %+v, want the trial", kind, again.Subjects[0])
			}
		case !reflect.DeepEqual(again.Subjects, st.Subjects):
			t.Errorf("%s: got subject %+v, want %+v", kind, again.Subjects, st.Subjects)
		}
	}
}

func TestCommit(t *testing.T) {
	salt := hash32(hexOf('5'))
	content := []byte("slot,arm\n1,A\n")
	got, err := Commit(salt, iotest.OneByteReader(bytes.NewReader(content)))
	want := Commitment(sha256.Sum256(append(salt[:], content...)))
	if err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if again, err := ParseCommitment(got.String()); err != nil || again != got {
		t.Errorf("got %s, %v from its text", again, err)
	}
	if _, err := Commit(salt, iotest.ErrReader(errors.New("gone"))); err == nil {
		t.Error("a file that cannot be read has a commitment")
	}
	for _, bad := range []string{"", "x", hexOf('A'), hexOf('a') + "0"} {
		if _, err := ParseCommitment(bad); err == nil {
			t.Errorf("ParseCommitment took %q", bad)
		}
		var c Commitment
		if err := c.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("UnmarshalText took %q", bad)
		}
	}
}

func TestDefaultEndorsements(t *testing.T) {
	table := DefaultEndorsements()
	for k, list := range table {
		for _, r := range list {
			if !k.Known() || !slices.Contains(Roles(), r) {
				t.Errorf("%s: got role %s", k, r)
			}
		}
	}
	table[KindProtocol] = nil // a copy
	if got := DefaultEndorsements()[KindProtocol]; !slices.Equal(got, []Role{RoleSponsorMedical, RoleBiostatistician}) || len(table) != 6 {
		t.Errorf("got %v for a protocol of %d kinds", got, len(table))
	}
}

// Every text that somebody can write freely is looked at for participants' ids.
func TestFreeTextsOfEveryBody(t *testing.T) {
	const id = "subject 701-1015"
	for _, c := range []struct {
		field string
		body  any
	}{
		{"title", &SAPBody{Title: id}},
		{"reference", &AuthorityDecisionBody{Reference: id}},
		{"label", &LockBody{Label: id}},
		{"recipient", &UnblindingBody{Recipient: id}},
		{"reference", &SafetyReportBody{Reference: id}},
		{"eventId", &IPEventBody{EventID: id}},
		{"sourceSystem", &AuditTrailBody{SourceSystem: id}},
		{"cause", &FindingResponseBody{Cause: id}},
		{"note", &VerificationBody{Note: id}},
		{"legalBasis", &RedactionBody{LegalBasis: id}},
	} {
		st := &Statement{Predicate: Predicate{Body: c.body}}
		if got := st.ParticipantWarnings(); !slices.Equal(got, []string{"predicate.body." + c.field}) {
			t.Errorf("%T: got %v, want the field %s", c.body, got, c.field)
		}
	}
	for kind, doc := range goodStatements(t) {
		st, err := ParseStatement([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if got := st.ParticipantWarnings(); len(got) > 0 {
			t.Errorf("%s: got warnings %s for the example", kind, strings.Join(got, ", "))
		}
	}
}
