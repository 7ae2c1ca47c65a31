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
	bad := 0
	for _, f := range files {
		res := j.file(f, held)
		if res.Outcome != Identical {
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
	case bad == 0 && len(files) == 1:
		j.pass(CheckFileDigest, j.words.join(files[0].Name, ": identical to what was notarized"))
	case bad == 0:
		j.pass(CheckFileDigest, strconv.Itoa(len(files))+" files: identical to what was notarized")
	}
}

// file judges one file and marks the subjects that it holds.
func (j *judgement) file(f File, held []bool) FileResult {
	if f.Proof != nil {
		return j.manifestFile(f, held)
	}
	other := -1
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
			return FileResult{f.Name, NotComparable, "its SHA-256 is not the one that was notarized under this name"}
		case same && other < 0:
			other = i
		}
	}
	if other < 0 {
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
			return FileResult{f.Name, NotComparable, "its SHA-256 is not the one in the notarized manifest"}
		}
		return FileResult{f.Name, Identical, "the same bytes, in the notarized manifest"}
	}
	return FileResult{f.Name, NotNotarized, "the statement has no manifest"}
}
