package trial

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write the examples of docs/statements.md anew")

const (
	docPage   = "../docs/statements.md"
	docSchema = "../docs/statement.schema.json"
)

var docExample = regexp.MustCompile("(?s)<!-- example -->\n```json\n(.*?)```\n")

func schema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	s, err := jsonschema.NewCompiler().Compile(docSchema)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func schemaError(tb testing.TB, s *jsonschema.Schema, doc []byte) error {
	tb.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		tb.Fatal(err)
	}
	return s.Validate(v)
}

func docPayloads(tb testing.TB) [][]byte {
	tb.Helper()
	page, err := os.ReadFile(docPage)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for _, m := range docExample.FindAllSubmatch(page, -1) {
		out = append(out, bytes.TrimSuffix(m[1], []byte("\n")))
	}
	return out
}

// The examples are one trial, folded in the order of the page.
func TestDocExamples(t *testing.T) {
	if *update {
		writeDocExamples(t)
	}
	s := schema(t)
	seen := map[Kind]bool{}
	var a *Authority
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i, payload := range docPayloads(t) {
		st, err := ParseStatement(payload)
		if err != nil {
			t.Errorf("example %d: %v", i, err)
			continue
		}
		seen[st.Predicate.Kind] = true
		if err := schemaError(t, s, payload); err != nil {
			t.Errorf("example %d (%s): the schema refuses it: %v", i, st.Predicate.Kind, err)
		}
		switch {
		case i == 0:
			a, err = NewAuthority(st, 0)
		case st.Predicate.Kind == KindTimeMark:
		default:
			err = a.Apply(st, uint64(i), at)
		}
		if err != nil {
			t.Errorf("example %d (%s): %v", i, st.Predicate.Kind, err)
		}
	}
	for _, k := range Kinds() {
		if _, fixed := kinds[k]; fixed && !seen[k] && (k < "a" || seen[KindSAP]) {
			t.Errorf("kind %s has no example", k)
		}
	}
}

func TestDocListsReasons(t *testing.T) {
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range Reasons() {
		if !bytes.Contains(page, []byte("`"+string(r)+"`")) {
			t.Errorf("reason %s is not on the page", r)
		}
	}
}

// writeDocExamples makes the story of the page with fresh keys.
func writeDocExamples(t *testing.T) {
	t.Helper()
	page, err := os.ReadFile(docPage)
	if err != nil {
		t.Fatal(err)
	}
	examples := docStory(t)
	n := 0
	page = docExample.ReplaceAllFunc(page, func([]byte) []byte {
		out := "<!-- example -->\n```json\n" + string(examples[n]) + "\n```\n"
		n++
		return []byte(out)
	})
	if n != len(examples) {
		t.Fatalf("got %d places on the page, want %d", n, len(examples))
	}
	if err := os.WriteFile(docPage, page, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pretty gives a statement the spelling of the page, and with it its id.
func pretty(t *testing.T, st *Statement) *Statement {
	t.Helper()
	v := jsontext.Value(bytes.Clone(marshal(t, st).Payload))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatal(err)
	}
	out, err := ParseStatement(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func docStory(t *testing.T) [][]byte {
	t.Helper()
	charter := pretty(t, charterStatement(t))
	w := &world{t: t, charter: charter}
	story := [][]byte{charter.Payload}
	add := func(st *Statement) *Statement {
		st = pretty(t, st)
		story = append(story, st.Payload)
		return st
	}
	file := func(name string, c byte) Subject {
		return Subject{Name: name, Digests: SHA256(hash32(hexOf(c)))}
	}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	reg := add(w.enrolment("reg", func(b *EnrolmentBody) {
		b.HolderID, b.Name, b.ORCID, b.Roles = "u-17", "Bea Regula", "0000-0002-1825-0097", []Role{RoleRegulatory}
		b.Kinds = []Kind{
			KindRegistration, KindProtocol, KindProtocolAmendment, KindICF, KindEthicsDecision, KindDerivedDataset,
			KindTMFDocument, KindEndorsement,
		}
	}, period(from, from.AddDate(2, 0, 0))))
	named := func(id, name string) enrolOption {
		return func(b *EnrolmentBody) { b.HolderID, b.Name, b.Organisation = id, name, "Clinic North" }
	}
	inv := add(w.enrolment("inv", ofSite(RoleInvestigator, "701"), named("u-20", "Dr. Ivo North")))
	coord := add(w.enrolment("coord", ofSite(RoleSiteCoordinator, "701"), named("u-21", "Cora North")))
	add(w.endorsement(inv, "701", coord.ID))
	add(w.registration("sponsor", RegistryISRCTN, "ISRCTN54460428"))

	document := func(st *Statement, meaning Meaning, id, version string) *Statement {
		p := &st.Predicate
		p.Meaning, p.Version, p.Document = meaning, version, &Document{ID: id, Language: "en"}
		return st
	}
	protocol := add(document(w.signed(reg, "", KindProtocol, &ProtocolBody{Title: "A trial of Examplamab"},
		file("protocol-1.0.pdf", '1')), MeaningApproval, "TN-001", "1.0"))
	st := document(w.signed(reg, "", KindProtocolAmendment, &AmendmentBody{Type: AmendmentSubstantial, Countries: []string{"DE", "FR"}},
		file("protocol-2.0.pdf", '2')), MeaningApproval, "TN-001", "2.0")
	st.Predicate.Supersedes, st.Predicate.Reason = protocol.ID, "New dose group after the interim analysis"
	amendment := add(st)
	add(document(w.signed(reg, "", KindICF, &ICFBody{Protocol: amendment.ID}, file("icf-2.0-de.pdf", '3')),
		MeaningAuthorship, "TN-001-ICF", "2.0"))
	st = w.signed(reg, "", KindEthicsDecision, &EthicsDecisionBody{
		Committee: "EC North", Reference: "EC/2026/17", Decision: EthicsFavourable, Date: "2026-02-20", Approves: []ID{amendment.ID},
	}, file("ec-letter.pdf", '4'))
	st.Predicate.Meaning = MeaningCertifiedCopy
	add(st)

	extract := time.Date(2026, 2, 28, 22, 0, 0, 0, time.UTC)
	data := &DataBody{
		Origin: OriginEDC, Purpose: PurposeRoutine, Dataset: "DM", SourceSystem: "Example EDC 4.2", ExtractTime: &extract,
		Cutoff: "2026-02-27", Dictionaries: map[string]string{"MedDRA": "28.1"},
	}
	dm := file("dm.json", '5')
	dm.Digests = append(dm.Digests, Digest{DigestTable, hash32(hexOf('6'))})
	st = w.signed(coord, "701", KindDataset, data, dm)
	st.Predicate.Seen = &TreeHead{Origin: "notary.example", Size: 4, Root: hash32(hexOf('7'))}
	dataset := add(st)
	st = w.signed(coord, "701", KindDataset, &DataBody{Origin: OriginSite, Purpose: PurposeRoutine},
		Subject{Name: "source", Digests: Digests{{DigestManifest, hash32(hexOf('8'))}}})
	st.Predicate.Manifest = &ManifestInfo{Files: 2041}
	add(st)
	st = w.signed(reg, "", KindDerivedDataset, &DataBody{Origin: OriginSponsor, Purpose: PurposeInterim, Dataset: "ADSL"}, file("adsl.xpt", '9'))
	st.Predicate.Lineage = []ID{dataset.ID}
	add(st)
	add(w.signed(reg, "", KindTMFDocument, &TMFBody{Artifact: "05.02.01", Title: "Site selection report", Date: "2026-01-15"},
		file("selection.pdf", 'a')))
	since := uint64(11)
	revocation := add(w.revocation("reg", &since))
	add(w.recovery("sponsor2", 12, revocation.ID))
	mark, err := NewTimeMark(publicKey(t, "notary").ID, TimeMarkBody{Origin: "notary.example", Time: testTime, Size: 17, Root: hash32(hexOf('b'))})
	if err != nil {
		t.Fatal(err)
	}
	add(mark)
	return story
}
