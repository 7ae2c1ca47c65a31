package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

var update = flag.Bool("update", false, "write the test cases of clients/testdata again")

const caseDir = "../../clients/testdata"

// Names for what is refused before anything is verified.
const (
	receiptForm  = "receipt-form"
	evidenceForm = "evidence-form"
	trustForm    = "trust-form"
)

// testCase is one file of clients/testdata: see docs/formats.md.
type testCase struct {
	Name     string            `json:"name"`
	What     string            `json:"what"`
	Receipt  string            `json:"receipt"`
	Evidence string            `json:"evidence,omitempty"`
	Trust    map[string]string `json:"trust"`
	Files    []caseFile        `json:"files"`
	Expect   expectation       `json:"expect"`
}

type caseFile struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Size   uint64 `json:"size"`
	Proof  string `json:"proof,omitempty"`
}

type expectation struct {
	Verified    bool   `json:"verified"`
	FailedCheck string `json:"failedCheck,omitempty"`
}

// TestCases reads every case back and judges it. With -update it writes them
// first.
func TestCases(t *testing.T) {
	if *update {
		writeCases(t)
	}
	paths, err := filepath.Glob(filepath.Join(caseDir, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no test cases: %v", err)
	}
	for _, path := range paths {
		c := readCase(t, path)
		t.Run(c.Name, func(t *testing.T) {
			if want := c.Name + ".json"; filepath.Base(path) != want {
				t.Errorf("the case %s is in %s", c.Name, filepath.Base(path))
			}
			c.run(t)
		})
	}
}

// TestCasesAreComplete keeps the committed cases equal to what the generator
// writes, so that a change of a format shows in the diff.
func TestCasesAreComplete(t *testing.T) {
	want := map[string]bool{}
	for _, c := range allCases(t) {
		want[c.Name] = true
		committed, err := os.ReadFile(filepath.Join(caseDir, c.Name+".json"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(committed, c.text(t)) {
			t.Errorf("%s differs from what is generated; run go test ./notary/receipt -run TestCases -update", c.Name)
		}
	}
	paths, _ := filepath.Glob(filepath.Join(caseDir, "*.json"))
	for _, p := range paths {
		if name := strings.TrimSuffix(filepath.Base(p), ".json"); !want[name] {
			t.Errorf("%s is not generated any more", name)
		}
	}
}

func readCase(t *testing.T, path string) *testCase {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c testCase
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func (c *testCase) text(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeCases(t *testing.T) {
	t.Helper()
	old, _ := filepath.Glob(filepath.Join(caseDir, "*.json"))
	for _, p := range old {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(caseDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range allCases(t) {
		if err := os.WriteFile(filepath.Join(caseDir, c.Name+".json"), c.text(t), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// run judges the case as a client would.
func (c *testCase) run(t *testing.T) {
	t.Helper()
	verified, failed, detail := c.judge(t)
	if verified != c.Expect.Verified {
		t.Fatalf("%s: verified %v, want %v: %s", c.What, verified, c.Expect.Verified, detail)
	}
	if c.Expect.FailedCheck != "" && !slices.Contains(failed, c.Expect.FailedCheck) {
		t.Errorf("%s: failed %v, want %s among them: %s", c.What, failed, c.Expect.FailedCheck, detail)
	}
	if verified && len(failed) > 0 {
		t.Errorf("%s: verified although %v failed", c.What, failed)
	}
}

func (c *testCase) judge(t *testing.T) (verified bool, failed []string, detail string) {
	t.Helper()
	files := map[string][]byte{}
	for name, text := range c.Trust {
		files[name] = []byte(text)
	}
	trust, err := ParseTrust(files)
	if err != nil {
		return false, []string{trustForm}, err.Error()
	}
	r, err := Parse([]byte(c.Receipt))
	if err != nil {
		return false, []string{receiptForm}, err.Error()
	}
	var ev *Evidence
	if c.Evidence != "" {
		if ev, err = ParseEvidence([]byte(c.Evidence)); err != nil {
			return false, []string{evidenceForm}, err.Error()
		}
	}
	v := Verify(r, ev, trust, c.files(t))
	if len(v.Checks) != len(checkOrder) {
		t.Errorf("got %d checks, want every one of %d", len(v.Checks), len(checkOrder))
	}
	for i, check := range v.Checks {
		if check.Name != checkOrder[i] || check.Detail == "" {
			t.Errorf("check %d is %+v, want %s with a detail", i, check, checkOrder[i])
		}
		if check.Outcome == Failed {
			failed = append(failed, string(check.Name))
			detail += string(check.Name) + ": " + check.Detail + "; "
		}
	}
	return v.Verified, failed, detail
}

func (c *testCase) files(t *testing.T) []File {
	t.Helper()
	var out []File
	for _, f := range c.Files {
		d, err := hex.DecodeString(f.SHA256)
		if err != nil || len(d) != 32 {
			t.Fatalf("bad digest of %s", f.Name)
		}
		file := File{Name: f.Name, SHA256: [32]byte(d), Size: f.Size}
		if f.Proof != "" {
			if file.Proof, err = trial.ParseManifestProof([]byte(f.Proof)); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, file)
	}
	return out
}

// caseSet collects cases.
type caseSet struct {
	t     testing.TB
	cases []*testCase
	names map[string]bool
}

func allCases(tb testing.TB) []*testCase {
	tb.Helper()
	s := &caseSet{t: tb, names: map[string]bool{}}
	s.good()
	s.badFiles()
	s.badReceipts()
	s.badForms()
	s.badSigners()
	s.badAuthority()
	s.badTimes()
	s.badTrust()
	s.witnessed()
	s.manifests()
	return s.cases
}

// base is a complete case about an entry of a world, and verifies.
func base(w *world, index uint64, files ...testFile) *testCase {
	c := &testCase{
		Receipt: string(w.receipt(index)), Evidence: string(w.evidence(index)), Trust: trustText(w.trust()),
		Files: []caseFile{}, Expect: expectation{Verified: true},
	}
	for _, f := range files {
		c.Files = append(c.Files, caseFile{Name: f.name, SHA256: hex.EncodeToString(f.digest()), Size: uint64(len(f.content))})
	}
	return c
}

func trustText(t *Trust) map[string]string {
	out := map[string]string{}
	for name, b := range t.Files() {
		out[name] = string(b)
	}
	return out
}

// add adds a case that verifies where failed is empty.
func (s *caseSet) add(name, what, failed string, c *testCase) {
	s.t.Helper()
	if s.names[name] {
		s.t.Fatalf("two cases are named %s", name)
	}
	s.names[name] = true
	c.Name, c.What = name, what
	c.Expect = expectation{Verified: failed == "", FailedCheck: failed}
	s.cases = append(s.cases, c)
}

// change adds a case in which one thing of the story's receipt is changed.
func (s *caseSet) change(name, what, failed string, change func(st *story, c *testCase)) {
	s.t.Helper()
	st := newStory(s.t)
	c := base(st.world, st.dataset, st.data)
	change(st, c)
	s.add(name, what, failed, c)
}

// field adds a case in which one field of the parsed receipt is changed.
func (s *caseSet) field(name, what string, failed CheckName, change func(st *story, r *Receipt)) {
	s.t.Helper()
	s.change(name, what, string(failed), func(st *story, c *testCase) {
		r := mustParse(s.t, []byte(c.Receipt))
		change(st, r)
		c.Receipt = string(r.marshal())
	})
}

// text adds a case in which the receipt's text is changed so that it is none.
func (s *caseSet) text(name, what, old, replacement string) {
	s.t.Helper()
	s.change(name, what, receiptForm, func(_ *story, c *testCase) {
		if strings.Count(c.Receipt, old) == 0 {
			s.t.Fatalf("%s: %q does not stand in the receipt", name, old)
		}
		c.Receipt = strings.Replace(c.Receipt, old, replacement, 1)
		c.Evidence = ""
	})
}

func (s *caseSet) good() {
	t := s.t
	s.change("good-dataset", "a dataset of a site, its evidence beside it, against anchors alone", "", func(*story, *testCase) {})
	s.change("good-authority-in-trust-folder", "the trust folder holds the authority receipts, no evidence: validity period not checked", "",
		func(st *story, c *testCase) { c.Evidence, c.Trust = "", trustText(st.fullTrust()) })
	s.change("good-both", "authority receipts in the trust folder and in the evidence", "",
		func(st *story, c *testCase) { c.Trust = trustText(st.fullTrust()) })
	s.change("good-no-file", "no file is given: only the receipt is verified", "",
		func(_ *story, c *testCase) { c.Files = []caseFile{} })
	s.change("good-renamed-file", "the same bytes under another name", "",
		func(_ *story, c *testCase) { c.Files[0].Name = "copy of dm.json" })
	s.change("good-newer-checkpoint", "the receipt is proven under a later tree", "", func(st *story, c *testCase) {
		for range 5 {
			st.add(st.coordinator, st.datasetStatement(st.coordinator, siteID))
		}
		c.Receipt = string(st.receipt(st.dataset))
	})
	s.change("good-unknown-signature-line", "a witness that the policy does not know cosigned: its line is ignored", "",
		func(st *story, c *testCase) {
			st.witnesses = []string{"unknown.example"}
			c.Receipt = string(st.receipt(st.dataset))
		})
	s.change("good-before-revocation", "the key is revoked later: what it signed before stays", "",
		func(st *story, c *testCase) {
			st.revoke(st.coordinator, nil)
			c.Evidence = string(st.evidence(st.dataset))
		})
	s.change("good-list-ends-earlier", "the notary's list ends before the entry: revocations are not known up to it", "",
		func(st *story, c *testCase) {
			early := newStory(t)
			early.logged = early.logged[:early.dataset]
			ev := mustEvidence(t, []byte(c.Evidence))
			ev.AsOf = early.asOf()
			c.Evidence = string(ev.Bytes())
		})
	s.change("good-no-list", "no signed list of authority statements: revocations are not known", "",
		func(_ *story, c *testCase) {
			ev := mustEvidence(t, []byte(c.Evidence))
			ev.AsOf = nil
			c.Evidence = string(ev.Bytes())
		})
	s.goodOthers()
}

func (s *caseSet) goodOthers() {
	st := newStory(s.t)
	s.add("good-charter", "the charter's own receipt", "", base(st.world, st.authority[0]))
	s.add("good-enrolment", "an enrolment, signed by the sponsor", "", base(st.world, st.authority[1]))
	s.add("good-endorsement", "an investigator's endorsement of an enrolment", "", base(st.world, st.authority[3]))
	s.add("good-time-mark", "a time mark of the notary", "", base(st.world, st.marks[1]))
	folder := newStory(s.t)
	files := []testFile{{"a/dm.json", "1"}, {"a/ae.json", "2"}, {"a/lb.json", "3"}}
	all := about(folder.statement(folder.coordinator, trial.KindDataset, siteID,
		&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}), files...)
	index := folder.add(folder.coordinator, all)
	s.add("good-folder", "a folder in one statement, all files given", "", base(folder.world, index, files...))
	s.add("good-folder-one-file", "a folder in one statement, one file given", "", base(folder.world, index, files[1]))
	c := base(folder.world, index, files[0], testFile{"a/ae.json", "changed"})
	s.add("folder-one-file-changed", "one of a folder's files was changed", string(CheckFileDigest), c)
	s.add("folder-files-swapped", "two files of a folder changed places: each has the bytes of the other", string(CheckFileDigest),
		base(folder.world, index, testFile{"a/dm.json", "2"}, testFile{"a/ae.json", "1"}, files[2]))
}

func (s *caseSet) badFiles() {
	s.change("file-changed", "one byte of the file was changed", string(CheckFileDigest), func(st *story, c *testCase) {
		c.Files = base(st.world, st.dataset, testFile{st.data.name, strings.Replace(st.data.content, "1", "2", 1)}).Files
	})
	s.change("file-not-notarized", "a file of another name and content", string(CheckFileDigest), func(st *story, c *testCase) {
		c.Files = base(st.world, st.dataset, testFile{"ae.json", "{}"}).Files
	})
}
