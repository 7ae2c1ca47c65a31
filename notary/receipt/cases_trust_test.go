package receipt

import (
	"fmt"
	"strings"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	"github.com/trialnotary/trialnotary/trial"
)

func emptyTree() *testonly.Tree { return testonly.New(rfc6962.DefaultHasher) }

// trustFile adds a case in which one file of the trust folder is changed.
func (s *caseSet) trustFile(name, what, failed, file string, change func(st *story, text string) string) {
	s.t.Helper()
	s.change(name, what, failed, func(st *story, c *testCase) {
		text := change(st, c.Trust[file])
		if text == c.Trust[file] {
			s.t.Fatalf("%s: nothing changed", name)
		}
		if c.Trust[file] = text; text == "" {
			delete(c.Trust, file)
		}
		if failed == trustForm {
			c.Evidence = ""
		}
	})
}

func (s *caseSet) badTrust() {
	gone := func(*story, string) string { return "" }
	for _, file := range anchorFiles {
		name := strings.NewReplacer("_", "-", ".", "-").Replace(file)
		s.trustFile("trust-without-"+name, "the anchor "+file+" is missing", trustForm, file, gone)
	}
	otherLog := logKey(s.t, testOrigin, "other")
	s.trustFile("trust-log-key-of-another", "log.vkey holds another key than the other anchors", trustForm, fileLogKey,
		func(*story, string) string { return otherLog.VKey() + "\n" })
	s.trustFile("trust-root-of-another", "trusted_root.json holds another key than the other anchors", trustForm, fileTrustedRoot,
		func(*story, string) string { return string(marshalTrustedRoot([]LogKey{otherLog})) })
	s.trustFile("trust-root-other-host", "trusted_root.json names another host", trustForm, fileTrustedRoot,
		func(_ *story, t string) string {
			return strings.Replace(t, "https://"+testOrigin, "https://other.example", 1)
		})
	s.trustFile("trust-policy-of-another-log", "the policy's log is another", trustForm, filePolicy,
		func(*story, string) string { return "log " + otherLog.VKey() + "\nquorum none\n" })
	s.trustFile("trust-policy-without-quorum", "the policy has no quorum line", trustForm, filePolicy,
		func(_ *story, t string) string { return strings.Replace(t, "quorum none\n", "", 1) })
	s.trustFile("trust-policy-witness-twice", "a witness counts twice in the policy", trustForm, filePolicy,
		func(_ *story, t string) string {
			return strings.Replace(t, "quorum none\n", "witness A "+witnessKey("a.example").text+"\ngroup g 2 A A\nquorum g\n", 1)
		})
	s.trustFile("trust-charter-capitals", "the charter's id in capitals", trustForm, fileCharter,
		func(_ *story, t string) string { return strings.ToUpper(t) })
	s.trustFile("trust-charter-of-another-trial", "the trust folder of another trial", string(CheckCharter), fileCharter,
		func(_ *story, t string) string { return strings.Repeat("0", 64) + "\n" })
	s.trustFile("trust-sponsor-of-another", "another key as the sponsor's", string(CheckKeyEnrolled), fileSponsor,
		func(st *story, t string) string { return string(st.investigator.key.PEM()) })
	s.trustFile("trust-notary-of-another", "another key as the notary's", string(CheckLogTime), fileNotary,
		func(st *story, t string) string { return string(st.investigator.key.PEM()) })
	s.trustFile("trust-sponsor-is-notary", "one key as the sponsor's and the notary's", trustForm, fileSponsor,
		func(st *story, t string) string { return string(st.notary.key.PEM()) })
	s.trustFile("trust-sponsor-key-respelt", "a key file with a remark in front", trustForm, fileSponsor,
		func(_ *story, t string) string { return "remark\n" + t })
	s.change("trust-of-another-log", "a whole trust folder of another log under the same name", string(CheckCheckpointSigned),
		func(st *story, c *testCase) {
			st.log = otherLog
			st.policy = "log " + st.log.VKey() + "\nquorum none\n"
			c.Trust = trustText(st.trust())
		})
	s.change("trust-authority-file-misnamed", "an authority receipt under another index", trustForm, func(st *story, c *testCase) {
		c.Trust = trustText(st.fullTrust())
		old := authorityFile(st.authority[0]) + suffixReceipt
		c.Trust[authorityFile(0)+suffixReceipt] = c.Trust[old]
		delete(c.Trust, old)
		c.Evidence = ""
	})
	s.change("trust-second-log-key-did-not-sign", "the log has a second key, and the checkpoint lacks its signature", string(CheckCheckpointSigned),
		func(st *story, c *testCase) {
			keys := []LogKey{st.log, logKey(s.t, testOrigin, "second")}
			c.Trust[fileLogKey] = keys[0].VKey() + "\n" + keys[1].VKey() + "\n"
			c.Trust[filePolicy] = "log " + keys[0].VKey() + "\nlog " + keys[1].VKey() + "\nquorum none\n"
			c.Trust[fileTrustedRoot] = string(marshalTrustedRoot(keys))
		})
}

// witnessed has policies with a quorum: verifying is closed.
func (s *caseSet) witnessed() {
	quorum := "group two 2 A B C\nquorum two\n"
	for _, tc := range []struct {
		name, what string
		failed     CheckName
		cosigned   []string
	}{
		{"good-witnessed", "two of three witnesses cosigned", "", []string{"a.example", "c.example"}},
		{"witness-quorum-unmet", "one of three witnesses cosigned, two are asked for", CheckWitnessPolicy, []string{"a.example"}},
		{"witness-unknown", "two cosigned, one of them unknown", CheckWitnessPolicy, []string{"a.example", "x.example"}},
		{"witness-missing", "nobody cosigned", CheckWitnessPolicy, nil},
	} {
		s.change(tc.name, tc.what, string(tc.failed), func(st *story, c *testCase) {
			st.policy = "log " + st.log.VKey() + "\n"
			for _, n := range []string{"A", "B", "C"} {
				st.policy += fmt.Sprintf("witness %s %s\n", n, witnessKey(strings.ToLower(n)+".example").text)
			}
			st.policy += quorum
			st.witnesses = tc.cosigned
			*c = *base(st.world, st.dataset, st.data)
		})
	}
	s.change("witness-signature-wrong", "a known witness's line does not fit the text", string(CheckWitnessPolicy), func(st *story, c *testCase) {
		st.policy = "log " + st.log.VKey() + "\nwitness A " + witnessKey("a.example").text + "\nquorum A\n"
		st.witnesses = []string{"a.example"}
		*c = *base(st.world, st.dataset, st.data)
		r := mustParse(s.t, []byte(c.Receipt))
		_, n, err := parseCheckpoint(r.Checkpoint.Note)
		if err != nil {
			s.t.Fatal(err)
		}
		note := string(n.text) + "\n" + logLine(st.log, "log", string(n.text)) + cosignLine(witnessKey("a.example"), "b.example", string(n.text), 5)
		r.Checkpoint.Note = []byte(note)
		c.Receipt = string(r.marshal())
	})
}

// manifests prove single files of a large folder.
func (s *caseSet) manifests() {
	st := newStory(s.t)
	var files []trial.ManifestFile
	var contents []testFile
	for i := range 5 {
		f := testFile{fmt.Sprintf("data/%d.json", i), fmt.Sprint(i)}
		contents = append(contents, f)
		files = append(files, trial.ManifestFile{
			Path: f.name, Size: uint64(len(f.content)), Digests: trial.SHA256([32]byte(f.digest())),
		})
	}
	m, err := trial.NewManifest(files, []byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		s.t.Fatal(err)
	}
	d := about(st.statement(st.coordinator, trial.KindDataset, siteID, &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine}))
	d.Subjects = []trial.Subject{m.Subject("data")}
	d.Predicate.Manifest = &trial.ManifestInfo{Files: m.Len()}
	index := st.add(st.coordinator, d)
	with := func(f testFile, path string) *testCase {
		proof, err := m.ProveFile(path)
		if err != nil {
			s.t.Fatal(err)
		}
		c := base(st.world, index, f)
		c.Files[0].Proof = string(proof)
		return c
	}
	s.add("good-manifest-file", "one file of a manifest, proven without the others", "", with(contents[3], contents[3].name))
	s.add("manifest-file-changed", "a manifest's file was changed", string(CheckFileDigest),
		with(testFile{contents[3].name, "x"}, contents[3].name))
	s.add("manifest-proof-of-another-file", "the proof is that of another file", string(CheckFileDigest), with(contents[3], contents[2].name))
	plain := newStory(s.t)
	c := with(contents[3], contents[3].name)
	c.Receipt, c.Evidence, c.Trust = string(plain.receipt(plain.dataset)), string(plain.evidence(plain.dataset)), trustText(plain.trust())
	s.add("manifest-proof-without-manifest", "a manifest proof for a statement without manifest", string(CheckFileDigest), c)
}
