package receipt

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial"
)

func TestVerifiedVerdict(t *testing.T) {
	s := newStory(t)
	v := Verify(mustParse(t, s.receipt(s.dataset)), mustEvidence(t, s.evidence(s.dataset)), s.trust(), []File{s.data.file()})
	if !v.Verified {
		t.Fatalf("%s: %+v", v.Summary, v.Checks)
	}
	for _, c := range v.Checks {
		if c.Outcome != Passed {
			t.Errorf("%s: %s: %s", c.Name, c.Outcome, c.Detail)
		}
	}
	mark := s.marks[len(s.marks)-1]
	if want := s.clock.Add(-60e9); !v.LogTime.Equal(want) {
		t.Errorf("log time: got %s, want %s of the mark at %d", v.LogTime, want, mark)
	}
	if v.Signer == nil || v.Signer.Name != "Ben Coordinator" || v.Signer.Organisation != siteOrg {
		t.Errorf("signer: got %+v", v.Signer)
	}
	if v.AuthorityUpTo != uint64(len(s.logged)) || v.Index != s.dataset || v.Files[0].Outcome != Identical {
		t.Errorf("got %+v", v)
	}
	for _, want := range []string{"Ben Coordinator", siteOrg, "dataset", "2026-03-02T08:02:00Z"} {
		if !strings.Contains(v.Summary, want) {
			t.Errorf("the summary %q lacks %q", v.Summary, want)
		}
	}
}

func TestNotCheckedIsNotFailed(t *testing.T) {
	s := newStory(t)
	v := Verify(mustParse(t, s.receipt(s.dataset)), nil, s.fullTrust(), nil)
	if !v.Verified || !strings.Contains(v.Summary, "validity period not checked") {
		t.Fatalf("got %s: %+v", v.Summary, v.Checks)
	}
	if c := v.Check(CheckValidityPeriod); c.Outcome != NotChecked || !strings.Contains(c.Detail, "validity period not checked") {
		t.Errorf("got %+v", c)
	}
	if c := v.Check(CheckFileDigest); c.Outcome != NotChecked {
		t.Errorf("got %+v", c)
	}
	if !slices.Equal(v.Missing, []string{s.data.name}) {
		t.Errorf("got missing %v", v.Missing)
	}
}

func TestUnprovenSigner(t *testing.T) {
	s := newStory(t)
	v := Verify(mustParse(t, s.receipt(s.dataset)), nil, s.trust(), nil)
	if v.Verified || !strings.Contains(v.Summary, "signer unproven") || v.Signer != nil {
		t.Errorf("got %+v", v)
	}
}

// A Verifier remembers; that must not show, in whatever order receipts come and
// from however many goroutines.
func TestRememberingChangesNothing(t *testing.T) {
	cases := allCases(t)
	byTrust := map[string]*Verifier{}
	type job struct {
		v  *Verifier
		r  *Receipt
		ev *Evidence
		t  *Trust
		fs []File
	}
	var jobs []job
	for _, c := range cases {
		files := map[string][]byte{}
		for n, b := range c.Trust {
			files[n] = []byte(b)
		}
		trust, err := ParseTrust(files)
		if err != nil {
			continue
		}
		r, err := Parse([]byte(c.Receipt))
		if err != nil {
			continue
		}
		var ev *Evidence
		if c.Evidence != "" {
			if ev, err = ParseEvidence([]byte(c.Evidence)); err != nil {
				continue
			}
		}
		key := trust.Fingerprint()
		if len(trust.authority) > 0 {
			key += c.Name
		}
		if byTrust[key] == nil {
			byTrust[key] = NewVerifier(trust)
		}
		jobs = append(jobs, job{byTrust[key], r, ev, trust, c.files(t)})
	}
	var wg sync.WaitGroup
	for round := range 2 {
		for i, j := range jobs {
			wg.Go(func() {
				got, want := j.v.Verify(j.r, j.ev, j.fs), Verify(j.r, j.ev, j.t, j.fs)
				if !reflect.DeepEqual(got.Checks, want.Checks) || got.Summary != want.Summary {
					t.Errorf("round %d, case %d: got %+v, want %+v", round, i, got.Checks, want.Checks)
				}
			})
		}
	}
	wg.Wait()
}

// whatWasVerified is what a holder relies on.
func whatWasVerified(v *Verdict) []any {
	return []any{v.Statement.ID, v.Index, v.LogTime, v.Signer, v.AuthorityUpTo, v.Files}
}

// Any byte of a receipt flipped is rejected, or changes nothing that was
// verified: here only the line of a witness that nobody knows.
func TestEveryFlippedByte(t *testing.T) {
	s := newStory(t)
	s.witnesses = []string{"unknown.example"}
	good, ev, trust := s.receipt(s.dataset), mustEvidence(t, s.evidence(s.dataset)), s.trust()
	files := []File{s.data.file()}
	verifier := NewVerifier(trust)
	want := verifier.Verify(mustParse(t, good), ev, files)
	if !want.Verified {
		t.Fatal(want.Summary)
	}
	unknown := bytes.Index(good, []byte("— unknown.example"))
	parsed, survived := 0, 0
	for i := range good {
		for _, bit := range []int{0, 1, 5} { // 5 changes the case of a letter
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			r, err := Parse(b)
			if err != nil {
				continue
			}
			parsed++
			v := verifier.Verify(r, ev, files)
			if !v.Verified {
				continue
			}
			survived++
			if !reflect.DeepEqual(whatWasVerified(v), whatWasVerified(want)) {
				t.Errorf("bit %d of byte %d: verified something else", bit, i)
			}
			if i < unknown || i > unknown+200 {
				t.Errorf("bit %d of byte %d is not noticed", bit, i)
			}
		}
	}
	t.Logf("%d changes: %d parse, %d verify still, all in the unknown witness's line", len(good)*3, parsed, survived)
}

// Edits of any kind, in receipt or evidence, never give another verified
// content.
func TestAnyEdit(t *testing.T) {
	s := newStory(t)
	receipt, evidence, trust := s.receipt(s.dataset), s.evidence(s.dataset), s.trust().Files()
	want := Verify(mustParse(t, receipt), mustEvidence(t, evidence), s.trust(), nil)
	rapid.Check(t, func(t *rapid.T) {
		r, e := slices.Clone(receipt), slices.Clone(evidence)
		if rapid.Bool().Draw(t, "inEvidence") {
			e = edit(t, e)
		} else {
			r = edit(t, r)
		}
		folder, err := ParseTrust(trust)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := Parse(r)
		if err != nil {
			return
		}
		ev, err := ParseEvidence(e)
		if err != nil {
			return
		}
		v := Verify(parsed, ev, folder, nil)
		if v.Verified && !reflect.DeepEqual(whatWasVerified(v), whatWasVerified(want)) {
			t.Errorf("verified something else: %s", v.Summary)
		}
	})
}

// edit changes, removes, repeats or moves a few bytes.
func edit(t *rapid.T, b []byte) []byte {
	at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
	n := rapid.IntRange(1, 40).Draw(t, "n")
	end := min(len(b), at+n)
	switch rapid.IntRange(0, 3).Draw(t, "edit") {
	case 0:
		b[at] = rapid.Byte().Draw(t, "byte")
		return b
	case 1:
		return slices.Delete(b, at, end)
	case 2:
		return slices.Insert(b, at, slices.Clone(b[at:end])...)
	}
	piece := slices.Clone(b[at:end])
	b = slices.Delete(b, at, end)
	return slices.Insert(b, rapid.IntRange(0, len(b)).Draw(t, "to"), piece...)
}

func TestSelfCheck(t *testing.T) {
	s := newStory(t)
	l := s.logged[s.dataset]
	v, err := NewLogVerifier(s.log)
	if err != nil {
		t.Fatal(err)
	}
	good := s.receipt(s.dataset)
	if err := v.SelfCheck(good, l.env, l.key); err != nil {
		t.Fatal(err)
	}
	withID := *l.env
	withID.KeyID = l.key.ID.String()
	if err := v.SelfCheck(good, &withID, l.key); err != nil {
		t.Errorf("an envelope that came with a key id: %v", err)
	}
	other := s.logged[s.dataset-2]
	if err := v.SelfCheck(good, other.env, other.key); err == nil {
		t.Error("accepted another envelope")
	}
	if err := v.SelfCheck(good, l.env, s.sponsor.key); err == nil {
		t.Error("accepted another key")
	}
	r := mustParse(t, good)
	r.Path[0][0] ^= 1
	if err := v.SelfCheck(r.marshal(), l.env, l.key); err == nil {
		t.Error("accepted a wrong proof")
	}
	if err := v.SelfCheck(good[1:], l.env, l.key); err == nil {
		t.Error("accepted what is no receipt")
	}
	otherLog, err := NewLogVerifier(logKey(t, testOrigin, "other"))
	if err != nil {
		t.Fatal(err)
	}
	if err := otherLog.SelfCheck(good, l.env, l.key); err == nil {
		t.Error("accepted another log")
	}
	if _, err := NewLogVerifier(); err == nil {
		t.Error("accepted no key")
	}
}

// The page that clients are written from names every check and verdict.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checkOrder {
		if !strings.Contains(string(page), "| `"+string(c)+"` |") {
			t.Errorf("docs/formats.md lacks the check %s", c)
		}
		if !slices.Contains(causeOrder, c) {
			t.Errorf("%s is no cause", c)
		}
	}
	for _, o := range []FileOutcome{Identical, SameData, DataDiffer, NotComparable, NotNotarized} {
		if !strings.Contains(string(page), "*"+string(o)+"*") {
			t.Errorf("docs/formats.md lacks the verdict %q", o)
		}
	}
}

// A file whose bytes another one has as well is missing all the same.
func TestMissingTwin(t *testing.T) {
	s := newStory(t)
	files := []testFile{{"a.json", "1"}, {"b.json", "1"}}
	index := s.add(s.coordinator, about(s.statement(s.coordinator, trial.KindDataset, siteID,
		&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}), files...))
	v := Verify(mustParse(t, s.receipt(index)), mustEvidence(t, s.evidence(index)), s.trust(), []File{files[1].file()})
	if !v.Verified || !slices.Equal(v.Missing, []string{"a.json"}) {
		t.Errorf("got missing %v: %s", v.Missing, v.Summary)
	}
}

// Where the bytes differ, the content digests of both sides decide.
func TestTableVerdicts(t *testing.T) {
	s := newStory(t)
	table, other := [32]byte{1}, [32]byte{2}
	st := about(s.statement(s.coordinator, trial.KindDataset, siteID,
		&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}), testFile{"adsl.xpt", "2018"}, testFile{"notes.txt", "1"})
	st.Subjects[0].Digests = append(st.Subjects[0].Digests, trial.Digest{Name: trial.DigestTable, Sum: table})
	index := s.add(s.coordinator, st)
	for _, c := range []struct {
		name    string
		content string
		table   *[32]byte
		want    FileOutcome
	}{
		{"adsl.xpt", "2018", nil, Identical},
		{"adsl.xpt", "2018", &other, Identical},
		{"adsl.xpt", "2022", &table, SameData},
		{"adsl.json", "2022", &table, SameData},
		{"adsl.xpt", "2022", &other, DataDiffer},
		{"adsl.xpt", "2022", nil, NotComparable},
		{"notes.txt", "2", &table, NotComparable},
		{"adsl.json", "2022", &other, NotNotarized},
	} {
		f := testFile{c.name, c.content}.file()
		f.Table = c.table
		v := Verify(mustParse(t, s.receipt(index)), mustEvidence(t, s.evidence(index)), s.trust(), []File{f})
		if got := v.Files[0].Outcome; got != c.want || v.Verified != c.want.Holds() {
			t.Errorf("%s %s: got %q, verified %t: %s; want %q", c.name, c.content, got, v.Verified, v.Summary, c.want)
		}
		if c.want == SameData && !strings.Contains(v.Summary, string(SameData)) {
			t.Errorf("%s: %s", c.name, v.Summary)
		}
	}
}

// A day's audit trail that is exported again has other bytes and the same records.
func TestAuditTrailVerdicts(t *testing.T) {
	s := newStory(t)
	root, other := [32]byte{1}, [32]byte{2}
	st := about(s.statement(s.coordinator, trial.KindAuditTrail, siteID,
		&trial.AuditTrailBody{Date: "2026-01-31", Records: 3, SourceSystem: "EDC"}), testFile{"day.xml", "first export"})
	st.Subjects = slices.Insert(st.Subjects, 0, trial.Subject{
		Name: string(trial.KindAuditTrail), Digests: trial.Digests{{Name: trial.DigestAudit, Sum: root}},
	})
	index := s.add(s.coordinator, st)
	for _, c := range []struct {
		name    string
		content string
		audit   *[32]byte
		want    FileOutcome
		missing int
	}{
		{"day.xml", "first export", nil, Identical, 1},
		{"day.xml", "first export", &other, Identical, 1},
		{"day.xml", "second export", &root, SameData, 0},
		{"again.xml", "second export", &root, SameData, 1},
		{"day.xml", "second export", &other, DataDiffer, 0},
		{"day.xml", "second export", nil, NotComparable, 1},
		{"again.xml", "second export", &other, NotNotarized, 1},
		{"again.xml", "first export", &other, Identical, 1},
	} {
		f := testFile{c.name, c.content}.file()
		f.Audit = c.audit
		v := Verify(mustParse(t, s.receipt(index)), mustEvidence(t, s.evidence(index)), s.trust(), []File{f})
		// The story's key is enrolled for datasets; only the file is judged here.
		check := v.Check(CheckFileDigest)
		if got := v.Files[0].Outcome; got != c.want || (check.Outcome == Passed) != c.want.Holds() {
			t.Errorf("%s %s: got %q, %+v; want %q", c.name, c.content, got, check, c.want)
		}
		if c.want == SameData && !strings.Contains(check.Detail, "its audit records of that day") {
			t.Errorf("%s: %s", c.name, check.Detail)
		}
		if c.want != NotNotarized && len(v.Missing) != c.missing {
			t.Errorf("%s %s: got missing %v", c.name, c.content, v.Missing)
		}
	}
}

// A reveal that lists another file beside the commitment of the seal does not hold
// for it, once the commitment is computed again.
func TestRevealVerdicts(t *testing.T) {
	s := newStory(t)
	sealed, other := trial.Commitment{1}, trial.Commitment{2}
	st := about(s.statement(s.coordinator, trial.KindRandomisationReveal, siteID,
		&trial.RevealBody{Seal: trial.ID{1}, Salt: [32]byte{1}}), testFile{"list.csv", "the list"})
	st.Subjects[0].Digests = append(st.Subjects[0].Digests, sealed.Digests()...)
	index := s.add(s.coordinator, st)
	for _, c := range []struct {
		name, content string
		commitment    *trial.Commitment
		want          FileOutcome
	}{
		{"list.csv", "the list", nil, Identical},
		{"list.csv", "the list", &sealed, Identical},
		{"copy.csv", "the list", &sealed, Identical},
		{"list.csv", "the list", &other, DataDiffer},
		{"copy.csv", "the list", &other, DataDiffer},
		{"list.csv", "another list", &other, NotComparable},
	} {
		f := testFile{c.name, c.content}.file()
		f.Commitment = c.commitment
		v := Verify(mustParse(t, s.receipt(index)), mustEvidence(t, s.evidence(index)), s.trust(), []File{f})
		check := v.Check(CheckFileDigest)
		if got := v.Files[0].Outcome; got != c.want || (check.Outcome == Passed) != c.want.Holds() {
			t.Errorf("%s %s: got %q, %+v; want %q", c.name, c.content, got, check, c.want)
		}
	}
}
