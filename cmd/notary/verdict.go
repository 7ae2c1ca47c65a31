package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// newVerifyResult takes over a verdict.
func newVerifyResult(path, receiptPath string, v *receipt.Verdict) *verifyResult {
	r := &verifyResult{
		Path: path, Receipt: receiptPath, Verified: v.Verified, Summary: v.Summary,
		LogTime: v.LogTime, WitnessTime: v.WitnessTime, KnownUpTo: v.AuthorityUpTo,
		Signer: v.Signer, Files: v.Files, Checks: v.Checks,
		LogIndex: &v.Index,
	}
	if st := v.Statement; st != nil {
		r.StatementID, r.Kind = st.ID.String(), st.Predicate.Kind
		r.Site, r.Version = st.Predicate.Site, st.Predicate.Version
	}
	if len(v.Files) > 0 {
		r.Verdict = worst(v.Files)
	}
	return r
}

// wholeFolder judges a folder as a whole: a file that was notarized and is gone
// counts, and a folder with one more file is another folder.
func (r *verifyResult) wholeFolder(gone, extra []string) {
	r.hasManyInside, r.Missing = true, gone
	known := len(gone)
	unlisted := map[string]bool{}
	for _, name := range extra {
		unlisted[name] = true
	}
	for i, f := range r.Files {
		// A copy of a listed file is a file that was not notarized all the same.
		if f.Outcome.Holds() && unlisted[f.Name] {
			r.Files[i].Outcome = receipt.NotNotarized
			r.Files[i].Detail = "a copy of a notarized file, under a name that was not notarized"
			r.Verified, r.Verdict = false, receipt.NotNotarized
			r.Summary = fmt.Sprintf("Not verified: %s is %s", f.Name, r.Files[i].Detail)
		}
	}
	for _, f := range r.Files {
		if f.Outcome != receipt.NotNotarized {
			known++
		}
	}
	if len(gone) > 0 {
		r.Verified = false
		was, negative := strings.CutPrefix(r.Summary, "Not verified: ")
		if was += "; "; !negative {
			was = ""
		}
		r.Summary = fmt.Sprintf("Not verified: %smissing of the notarized files: %d, such as %s", was, len(gone), gone[0])
	}
	if known > 0 && (len(gone) > 0 || r.Verdict == receipt.NotNotarized) {
		r.Verdict = receipt.NotComparable
	}
}

// severity orders verdicts on files, the best first.
var severity = []receipt.FileOutcome{
	receipt.Identical, receipt.SameData, receipt.NotComparable, receipt.DataDiffer, receipt.NotNotarized,
}

// worst is the verdict on several files together.
func worst(files []receipt.FileResult) receipt.FileOutcome {
	out := 0
	for _, f := range files {
		out = max(out, slices.Index(severity, f.Outcome))
	}
	return severity[out]
}

// print writes a result for a person: the verdict first, then who and when,
// then what does not hold.
func (r *verifyResult) print(w io.Writer, checks bool) {
	subject := r.Path
	if subject == "" {
		subject = r.Receipt
	}
	fmt.Fprintf(w, "%s: %s\n", subject, r.headline())
	if r.Checks == nil {
		if string(r.Verdict) != r.Summary {
			fmt.Fprintf(w, "  %s\n", r.Summary)
		}
		return
	}
	if !strings.HasSuffix(r.headline(), r.Summary) {
		fmt.Fprintf(w, "  %s\n", r.Summary)
	}
	if what := r.what(); what != "" {
		fmt.Fprintf(w, "  %s\n", what)
	}
	if s := r.Signer; s != nil {
		fmt.Fprintf(w, "  signed by %s; key %s\n", who(s), short(s.KeyID.String()))
	}
	if r.LogIndex != nil {
		fmt.Fprintf(w, "  %s\n", r.when())
	}
	if r.KnownUpTo > 0 {
		fmt.Fprintf(w, "  enrolments and revocations known up to entry %d\n", r.KnownUpTo)
	}
	r.printFiles(w)
	// What was not compared belongs to the verdict.
	if !r.hasManyInside && r.Verdict == receipt.SameData {
		fmt.Fprintf(w, "  %s\n", r.Files[0].Detail)
	}
	for _, note := range r.NoTable {
		fmt.Fprintf(w, "  no content digest of %s\n", note)
	}
	for _, c := range r.Compared {
		c.print(w)
	}
	for _, c := range r.Checks {
		if checks || c.Outcome == receipt.Failed {
			fmt.Fprintf(w, "  %-11s %s: %s\n", c.Outcome, c.Name, c.Detail)
		}
	}
}

// who names a signer as far as the enrolment does: a charter's signer has no role,
// and the notary's own key no name.
func who(s *receipt.Signer) string {
	name := first(s.Name, "the notary itself")
	if len(s.Roles) > 0 {
		name += " (" + strings.Join(roleNames(s.Roles), ", ") + ")"
	}
	// A sponsor that signs as an organisation is named once.
	switch of := s.Of(); {
	case s.Organisation == "":
		return name
	case s.Name == s.Organisation && len(s.Roles) == 0:
		return of
	default:
		return name + ", " + of
	}
}

// count puts a number before what is counted.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func (r *verifyResult) headline() string {
	switch {
	case r.Unreadable:
		return "cannot be read"
	case r.Verdict == "" && r.Verified:
		return "the receipt holds"
	case r.Verdict == "":
		return "the receipt does not hold"
	case r.Verdict.Holds() && !r.Verified:
		return string(r.Verdict) + ", but the receipt does not hold"
	}
	return string(r.Verdict)
}

func (r *verifyResult) what() string {
	var parts []string
	if r.Kind != "" {
		parts = append(parts, string(r.Kind))
	}
	if r.Version != "" {
		parts = append(parts, "version "+r.Version)
	}
	if r.Site != "" {
		parts = append(parts, "site "+r.Site)
	}
	return strings.Join(parts, ", ")
}

func (r *verifyResult) when() string {
	s := fmt.Sprintf("entry %d of the audit trail", *r.LogIndex)
	if !r.LogTime.IsZero() {
		s += ", not before " + r.LogTime.UTC().Format(time.RFC3339)
	}
	if !r.WitnessTime.IsZero() {
		s += ", not after " + r.WitnessTime.UTC().Format(time.RFC3339)
	}
	return s
}

// printFiles lists the files of a folder that are not identical, and says how
// many are.
func (r *verifyResult) printFiles(w io.Writer) {
	if !r.hasManyInside {
		return
	}
	same := 0
	for _, f := range r.Files {
		if f.Outcome == receipt.Identical {
			same++
			continue
		}
		fmt.Fprintf(w, "  %s: %s\n", f.Name, f.Outcome)
	}
	for _, name := range r.Missing {
		fmt.Fprintf(w, "  %s: missing\n", name)
	}
	fmt.Fprintf(w, "  %d of %d files identical\n", same, len(r.Files)+len(r.Missing))
}

// short is enough of an id to tell it from others at sight.
func short(id string) string {
	if len(id) > 16 {
		return id[:16] + "…"
	}
	return id
}
