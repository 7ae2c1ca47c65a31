package receipt

import (
	"fmt"
	"strconv"

	"github.com/trialnotary/trialnotary/trial"
)

// files compares the given files with what the statement is about.
func (j *judgement) files(files []File) {
	subjects := j.st.Subjects
	var few [16]bool
	held := few[:min(len(subjects), len(few))]
	if len(subjects) > len(few) {
		held = make([]bool, len(subjects))
	}
	bad, same, how := 0, 0, ""
	for _, f := range files {
		res := j.file(f, held)
		if f.Commitment != nil && res.Outcome == Identical {
			res = j.revealed(&f, res)
		}
		if res.Outcome == SameData {
			same++
			how = res.Detail
		}
		if !res.Outcome.Holds() {
			if bad++; bad == 1 {
				j.failf(CheckFileDigest, "%s: %s: %s", f.Name, res.Outcome, res.Detail)
			}
		}
		j.verdict.Files = append(j.verdict.Files, res)
	}
	for i, s := range subjects {
		if !held[i] {
			j.verdict.Missing = append(j.verdict.Missing, s.Name)
		}
	}
	switch {
	case len(files) == 0:
		j.skipf(CheckFileDigest, "not checked: no file was given")
	case bad == 0 && same > 0 && len(files) == 1:
		j.pass(CheckFileDigest, j.words.join(files[0].Name, ": ", string(SameData), ": ", how))
	case bad == 0 && same > 0:
		j.pass(CheckFileDigest, fmt.Sprintf("%d files: %d identical to what was notarized, %d with the %s: %s", len(files), len(files)-same, same, SameData, how))
	case bad == 0 && len(files) == 1:
		j.pass(CheckFileDigest, j.words.join(files[0].Name, ": identical to what was notarized"))
	case bad == 0:
		j.pass(CheckFileDigest, strconv.Itoa(len(files))+" files: identical to what was notarized")
	}
}

// revealed judges a file that a reveal lists: the commitment beside its SHA-256 is
// only the signer's word until it is computed from file and salt.
func (j *judgement) revealed(f *File, res FileResult) FileResult {
	if _, ok := j.st.Predicate.Body.(*trial.RevealBody); !ok {
		return res
	}
	for _, s := range j.st.Subjects {
		if sum, ok := s.Digests.Get(trial.DigestCommitment); ok && sum != *f.Commitment {
			return FileResult{f.Name, DataDiffer, "the bytes that the statement lists, and not what its commitment sealed: with the statement's salt they make another one"}
		}
	}
	return res
}

// sameTable says what a content digest covers.
const sameTable = "its content digest is the one that was notarized; metadata not compared"

// sameRecords says what the root over audit records covers.
const sameRecords = "its audit records of that day are those that were notarized; what else the export holds is not compared"

// auditRoot finds the root over a day's audit records.
func (j *judgement) auditRoot() (root [32]byte, at int) {
	for i, s := range j.st.Subjects {
		if root, ok := s.Digests.Get(trial.DigestAudit); ok {
			return root, i
		}
	}
	return root, -1
}

// otherExport judges a file by its audit records, where the statement has them.
func (j *judgement) otherExport(f *File, held []bool) (FileResult, bool) {
	root, at := j.auditRoot()
	if f.Audit == nil || at < 0 {
		return FileResult{}, false
	}
	held[at] = true
	if root == *f.Audit {
		return FileResult{f.Name, SameData, sameRecords}, true
	}
	return FileResult{f.Name, DataDiffer, "neither its SHA-256 nor the root over its audit records of that day is the one that was notarized"}, true
}

// otherBytes is the result for a file whose SHA-256 is not the notarized one:
// where both sides have a content digest, that decides.
func otherBytes(f *File, notarized trial.Digests, where string) FileResult {
	sum, ok := notarized.Get(trial.DigestTable)
	switch {
	case !ok:
		return FileResult{f.Name, NotComparable, "its SHA-256 is not the one " + where}
	case f.Table == nil:
		return FileResult{f.Name, NotComparable, "its SHA-256 is not the one " + where + ", and no content digest of the file was given to compare"}
	case sum == *f.Table:
		return FileResult{f.Name, SameData, sameTable}
	}
	return FileResult{f.Name, DataDiffer, "neither its SHA-256 nor its content digest is the one " + where}
}

// file judges one file and marks the subjects that it holds.
func (j *judgement) file(f File, held []bool) FileResult {
	if f.Proof != nil {
		return j.manifestFile(f, held)
	}
	other, table := -1, -1
	for i, s := range j.st.Subjects {
		same := s.Digests.Is(trial.DigestSHA256, f.SHA256)
		switch {
		case s.Name == f.Name && same:
			held[i] = true
			return FileResult{f.Name, Identical, "the same bytes under the same name"}
		case s.Name == f.Name:
			// Also where another subject has these bytes: two files whose contents
			// changed places are two files that changed.
			held[i] = true
			if res, ok := j.otherExport(&f, held); ok {
				return res
			}
			return otherBytes(&f, s.Digests, "that was notarized under this name")
		case same && other < 0:
			other = i
		case table < 0 && f.Table != nil && s.Digests.Is(trial.DigestTable, *f.Table):
			table = i
		}
	}
	if other < 0 && table >= 0 {
		held[table] = true
		return FileResult{f.Name, SameData, fmt.Sprintf("%s, under the name %q", sameTable, j.st.Subjects[table].Name)}
	}
	if other < 0 {
		if res, ok := j.otherExport(&f, held); ok && res.Outcome == SameData {
			return res
		}
		return FileResult{f.Name, NotNotarized, "the statement lists neither its name nor its SHA-256"}
	}
	held[other] = true
	return FileResult{f.Name, Identical, fmt.Sprintf("the same bytes, notarized under the name %q", j.st.Subjects[other].Name)}
}

// manifestFile judges one file of a manifest by its proof.
func (j *judgement) manifestFile(f File, held []bool) FileResult {
	for i, s := range j.st.Subjects {
		root, ok := s.Digests.Get(trial.DigestManifest)
		if !ok || j.st.Predicate.Manifest == nil {
			continue
		}
		held[i] = true
		switch err := f.Proof.Verify(root, j.st.Predicate.Manifest.Files); {
		case err != nil:
			return FileResult{f.Name, NotNotarized, fmt.Sprintf("its proof does not lead to the notarized manifest: %v", err)}
		case f.Proof.Path() != f.Name:
			return FileResult{f.Name, NotNotarized, fmt.Sprintf("its proof is of %q", f.Proof.Path())}
		case f.Proof.SHA256() != f.SHA256 || f.Proof.Size() != f.Size:
			return otherBytes(&f, f.Proof.Digests(), "in the notarized manifest")
		}
		return FileResult{f.Name, Identical, "the same bytes, in the notarized manifest"}
	}
	return FileResult{f.Name, NotNotarized, "the statement has no manifest"}
}
