package trial

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// goodStatements are the page's examples, without blanks, by kind: the first of
// each.
func goodStatements(tb testing.TB) map[Kind]string {
	tb.Helper()
	out := map[Kind]string{}
	for _, payload := range docPayloads(tb) {
		v := jsontext.Value(payload)
		if err := v.Compact(); err != nil {
			tb.Fatal(err)
		}
		st, err := ParseStatement(v)
		if err != nil {
			tb.Fatal(err)
		}
		if _, ok := out[st.Predicate.Kind]; !ok {
			out[st.Predicate.Kind] = string(v)
		}
	}
	return out
}

const anyHex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// replaceValue replaces the string of the last member of this name.
func replaceValue(doc, field, value string) string {
	i := strings.LastIndex(doc, `"`+field+`":"`)
	if i < 0 {
		panic("no field " + field)
	}
	i += len(field) + 4
	return doc[:i] + value + doc[i+strings.IndexByte(doc[i:], '"'):]
}

func TestParseStatementRefuses(t *testing.T) {
	s := schema(t)
	good := goodStatements(t)
	for _, c := range refusalCases() {
		t.Run(c.name, func(t *testing.T) {
			doc := c.change(good[c.kind])
			if doc == good[c.kind] {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseStatement([]byte(doc))
			wantRefusal(t, err, c.reason, c.path)
			if c.beyondSchema {
				return
			}
			if schemaError(t, s, []byte(doc)) == nil {
				t.Error("the JSON Schema accepts it")
			}
		})
	}
}

// Every reason is tried by some test, by name.
func TestEveryReasonIsTried(t *testing.T) {
	tried := map[Reason]bool{}
	for _, c := range refusalCases() {
		tried[c.reason] = true
	}
	var tests bytes.Buffer
	for _, name := range testSources(t) {
		tests.Write(name)
	}
	names := reasonNames(t)
	for _, r := range Reasons() {
		// What only the notary can know is tried there, and rules in trial/rules.
		elsewhere := []Reason{ReasonUnknownTrial, ReasonAmbiguousTrial, ReasonBadRule, ReasonUnknownParameter, ReasonUnknownRulePack}
		if slices.Contains(elsewhere, r) {
			continue
		}
		if !tried[r] && !bytes.Contains(tests.Bytes(), []byte(names[r])) {
			t.Errorf("no test tries %s", r)
		}
	}
}

func TestUnknownKindParses(t *testing.T) {
	doc := strings.Replace(goodStatements(t)[KindTMFDocument], `"kind":"tmf-document"`, `"kind":"unknown-kind"`, 1)
	doc = strings.Replace(doc, `"sha256"`, `"tn-commitment-v1"`, 1)
	st, err := ParseStatement([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	body, ok := st.Predicate.Body.(RawBody)
	if !ok || st.Predicate.Kind.Known() || !bytes.HasPrefix(body, []byte(`{"artifact"`)) {
		t.Errorf("got body %T %s", st.Predicate.Body, body)
	}
	again := *st
	if _, err := MarshalStatement(&again); err != nil {
		t.Errorf("MarshalStatement: %v", err)
	}
}

// Members may come in any order; the body may come before its kind.
func TestMemberOrderIsFree(t *testing.T) {
	for kind, doc := range goodStatements(t) {
		v := jsontext.Value(doc)
		if err := v.Canonicalize(); err != nil { // body < kind
			t.Fatal(err)
		}
		a, errA := ParseStatement([]byte(doc))
		b, errB := ParseStatement(v)
		if errA != nil || errB != nil {
			t.Errorf("%s: got %v and %v", kind, errA, errB)
			continue
		}
		if a.ID == b.ID {
			t.Errorf("%s: another spelling has the same id", kind)
		}
		if !reflect.DeepEqual(a.Predicate, b.Predicate) || !reflect.DeepEqual(a.Subjects, b.Subjects) {
			t.Errorf("%s: got another statement from another order of members", kind)
		}
	}
}

func TestMarshalAgreesWithParse(t *testing.T) {
	for kind, doc := range goodStatements(t) {
		st, err := ParseStatement([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		again := &Statement{Subjects: st.Subjects, Predicate: st.Predicate}
		payload, err := MarshalStatement(again)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if !reflect.DeepEqual(again.Predicate, st.Predicate) || again.ID != (ID{}) && !bytes.Equal(again.Payload, payload) {
			t.Errorf("%s: got\n%s, want\n%s", kind, payload, doc)
		}
		if again.ID.IsZero() {
			t.Errorf("%s: no id", kind)
		}
	}
}

func TestMarshalCompletes(t *testing.T) {
	w := newWorld(t)
	st := sponsorStatement(t, "sponsor", w.charter.ID, KindKeyRevocation, &RevocationBody{Key: publicKey(t, "dm").ID, Cause: CauseLeft})
	marshal(t, st)
	if len(st.Subjects) != 1 || !st.Subjects[0].Digests.Is(DigestSHA256, publicKey(t, "dm").ID) {
		t.Errorf("got subjects %v, want the revoked key", st.Subjects)
	}
	if st.Predicate.Salt == ([32]byte{}) {
		t.Error("got no salt")
	}
	again := *st
	if _, err := MarshalStatement(&again); err != nil || again.Predicate.Salt != st.Predicate.Salt {
		t.Errorf("got %v and another salt", err)
	}
	for _, body := range []any{&CharterBody{}, &RecoveryBody{}, &EnrolmentBody{}} {
		kind := map[string]Kind{"*trial.CharterBody": KindCharter, "*trial.RecoveryBody": KindKeyRecovery, "*trial.EnrolmentBody": KindKeyEnrolment}
		st := sponsorStatement(t, "sponsor", w.charter.ID, kind[reflect.TypeOf(body).String()], body)
		_, err := MarshalStatement(st)
		wantRefusal(t, err, ReasonMissingField, "*")
	}
	if _, err := SignPossession(testKey(t, "dm"), ID{}, &DataBody{}); err == nil {
		t.Error("SignPossession took a body that carries no proof")
	}
}

func TestSubjectsAreNotQuadratic(t *testing.T) {
	w := newWorld(t)
	e := w.enrolment("dm")
	st := w.signed(e, "701", KindDataset, &DataBody{Origin: OriginSite, Purpose: PurposeRoutine})
	for i := range 3000 {
		st.Subjects = append(st.Subjects, Subject{Name: "f" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + anyHex[:i%60] + itoa(i), Digests: SHA256(hash32(anyHex))})
	}
	marshal(t, st)
	if len(st.Subjects) != 3000 {
		t.Errorf("got %d subjects, want 3000", len(st.Subjects))
	}
	st.Subjects[2999].Name = st.Subjects[4].Name
	_, err := MarshalStatement(st)
	wantRefusal(t, err, ReasonDuplicateValue, "subject[2999].name")
}

func itoa(i int) string {
	if i < 10 {
		return string(rune('0' + i))
	}
	return itoa(i/10) + string(rune('0'+i%10))
}

func TestKinds(t *testing.T) {
	all := Kinds()
	if len(all) != 36 || !slices.IsSorted(all) {
		t.Errorf("got %d kinds %v, want 36, sorted", len(all), all)
	}
	for _, k := range all {
		want := k == KindCharter || k == KindDelegation || strings.HasPrefix(string(k), "key-")
		if !k.Known() || k.Authority() != want {
			t.Errorf("%s: got known %t, authority %t", k, k.Known(), k.Authority())
		}
	}
	if Kind("unknown-kind").Known() {
		t.Error("unknown-kind is known")
	}
}
