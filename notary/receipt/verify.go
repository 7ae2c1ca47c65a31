package receipt

import (
	"fmt"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// Verifier verifies many receipts against one trust folder. It remembers what
// it verified (checkpoints, authority receipts, folds), which changes no
// verdict. It is safe for concurrent use.
type Verifier struct {
	trust *Trust
	log   *LogVerifier

	// receipts and chains are keyed by the SHA-256 of all that they depend on,
	// within this trust folder.
	receipts memory[[32]byte, provenOrError]
	chains   memory[[32]byte, *chain]
	held     holding
}

// NewVerifier returns a Verifier for a trust folder.
func NewVerifier(t *Trust) *Verifier {
	return &Verifier{
		trust: t, log: newLogVerifier(t.LogKeys, t.Policy),
		receipts: memory[[32]byte, provenOrError]{limit: maxRemembered},
		chains:   memory[[32]byte, *chain]{limit: maxChains},
	}
}

// Verify judges one receipt against a trust folder, with the further evidence
// beside it (or nil) and the files that it is about (or none). It is pure: no
// network, no clock, no file system.
func Verify(r *Receipt, ev *Evidence, t *Trust, files []File) *Verdict {
	return NewVerifier(t).Verify(r, ev, files)
}

// Verify judges a receipt; ev and files may be nil. The verdict is negative if
// any check failed; a receipt without proof of its signer's enrolment fails
// key-enrolled as "signer unproven".
func (v *Verifier) Verify(r *Receipt, ev *Evidence, files []File) *Verdict {
	return v.judge(r, ev, v.held.of(ev), files)
}

// judge is Verify where h, if not nil, holds the evidence.
func (v *Verifier) judge(r *Receipt, ev *Evidence, h *held, files []File) *Verdict {
	room := new(verdictRoom)
	j := &judgement{v: v, r: r, verdict: &room.verdict, signerRoom: &room.signer}
	j.verdict.Index, j.verdict.Checks = r.Index, room.checks[:]
	j.log = v.log.check(r)
	j.reportLog()
	st, err := r.Statement()
	if err != nil {
		j.failf(CheckStatementForm, "the statement cannot be read: %v", err)
		return j.conclude()
	}
	j.st, j.verdict.Statement = st, st
	j.pass(CheckStatementForm, j.words.join("a well-formed statement, id ", j.words.hex(st.ID)))
	j.files(files)
	j.kind()
	g := v.gathered(ev, h)
	j.time(g, ev)
	j.forks(g)
	switch st.Predicate.Kind {
	case trial.KindTimeMark:
		j.timeMark()
	case trial.KindCharter:
		j.charter()
	default:
		j.signer(g)
	}
	return j.conclude()
}

// judgement collects the checks of one verdict.
type judgement struct {
	v       *Verifier
	r       *Receipt
	st      *trial.Statement
	log     logChecks
	at      *time.Time // log time, nil where it is not known
	verdict *Verdict   // its checks in their order; those without a name are not judged yet
	words   words      // of the verdict

	signerRoom *Signer // for the verdict's
}

// verdictRoom is a verdict and what nearly every one holds, in one piece of
// memory.
type verdictRoom struct {
	verdict Verdict
	checks  [len(checkOrder)]Check
	signer  Signer
}

func (j *judgement) set(name CheckName, o Outcome, detail string) {
	c := &j.verdict.Checks[slices.Index(checkOrder[:], name)]
	if c.Outcome == Failed {
		return // the first failure is the one to tell
	}
	*c = Check{Name: name, Outcome: o, Detail: detail}
}

// pass takes a finished text: a good receipt passes a dozen checks, and
// formatting them would take as long as proving its entry.
func (j *judgement) pass(name CheckName, detail string) { j.set(name, Passed, detail) }

func (j *judgement) failf(name CheckName, format string, args ...any) {
	j.set(name, Failed, fmt.Sprintf(format, args...))
}

func (j *judgement) skipf(name CheckName, format string, args ...any) {
	j.set(name, NotChecked, fmt.Sprintf(format, args...))
}

// result reports a check that is an error or passed.
func (j *judgement) result(name CheckName, err error, detail string) {
	if err != nil {
		j.failf(name, "%v", err)
		return
	}
	j.pass(name, detail)
}

// reportLog reports what the log's keys say.
func (j *judgement) reportLog() {
	r, c, w := j.r, &j.log, &j.words
	index, size := w.decimal(r.Index), w.decimal(r.Size)
	j.result(CheckEntry, c.entry, "the log entry is that of this statement, signature and key")
	j.result(CheckIndexes, c.indexes, w.join("both say index ", index))
	j.result(CheckSizeAndRoot, c.sizeRoot, w.join("tree size ", size, " and root are the checkpoint's"))
	j.result(CheckInclusion, c.inclusion, w.join("entry ", index, " is in the log's tree of ", w.decimal(r.Checkpoint.Size), " entries"))
	j.result(CheckCheckpointSigned, c.checkpoint, w.join("the log ", r.Checkpoint.Origin, " signed the checkpoint"))
	switch {
	case c.checkpoint != nil:
		j.skipf(CheckWitnessPolicy, "not checked: the checkpoint's own signature does not stand")
	case c.witness != nil:
		j.failf(CheckWitnessPolicy, "%v (%d of %d known did)", c.witness, len(c.witnessed.signed), j.v.trust.Policy.Witnesses())
	case !j.v.trust.Policy.HasQuorum():
		j.pass(CheckWitnessPolicy, "quorum none: the policy asks for no witness")
	default:
		j.pass(CheckWitnessPolicy, w.join("the quorum of witnesses had seen the checkpoint by ", w.time(c.witnessed.by)))
		j.verdict.WitnessTime = c.witnessed.by
	}
}

func (j *judgement) kind() {
	if k := j.st.Predicate.Kind; !k.Known() {
		j.failf(CheckKind, "kind not understood: %q", k)
		return
	}
	j.pass(CheckKind, string(j.st.Predicate.Kind))
}

// time finds the log time: that of the last time mark below the entry. The
// receipt's own evidence must bring one: the trust folder's are those of the
// authority statements, and may be years older.
func (j *judgement) time(g *gathered, ev *Evidence) {
	if g.marksErr != nil {
		j.failf(CheckLogTime, "%v", g.marksErr)
		return
	}
	m := g.marks.before(j.r.Index)
	if m == nil || ev == nil || len(ev.TimeMarks) == 0 || ev.TimeMarks[0].Index >= j.r.Index {
		j.skipf(CheckLogTime, "not checked: the evidence has no time mark from before the entry")
		return
	}
	j.verdict.LogTime = m.mark.Time
	j.at = &j.verdict.LogTime
	w := &j.words
	j.pass(CheckLogTime, w.join("logged at or after ", w.time(*j.at), ", by the time mark at index ", w.decimal(m.receipt.Index)))
}

func (j *judgement) forks(g *gathered) {
	if err := g.checkForks(j.r); err != nil {
		j.failf(CheckCheckpointSigned, "%v", err)
	}
}

// signature verifies the statement's signature by key, which is nil where no
// trusted source names it: then the entry's own key must do.
func (j *judgement) signature(key *trial.PublicKey) {
	if key == nil {
		if key = j.log.key; key == nil {
			j.failf(CheckSignature, "the signer's public key is neither in the authority receipts nor in the entry")
			return
		}
	}
	if !hintIs(j.r.KeyHint, key) {
		j.failf(CheckSignature, "the receipt's hint is not the id of the signer's key %s", key.ID)
		return
	}
	j.result(CheckSignature, verifySignature(j.r, j.st, key), j.words.join("signed with the key ", j.r.KeyHint))
}

// timeMark judges the notary's own statements, which belong to no trial.
func (j *judgement) timeMark() {
	j.signature(j.v.trust.Notary)
	p := &proven{receipt: j.r, statement: j.st}
	if _, err := j.v.markBody(p); err != nil {
		j.failf(CheckKeyEnrolled, "%v", err)
	} else {
		j.pass(CheckKeyEnrolled, "the notary's own key of the trust folder")
		j.verdict.Signer = &Signer{KeyID: j.v.trust.Notary.ID}
	}
	for _, name := range []CheckName{CheckCharter, CheckKeyNotRevoked, CheckValidityPeriod} {
		j.skipf(name, "not checked: a time mark belongs to no trial")
	}
}

// conclude fills in what was not reached and words the summary.
func (j *judgement) conclude() *Verdict {
	v := j.verdict
	failed := 0
	for i, c := range v.Checks {
		switch c.Outcome {
		case Failed:
			failed++
		case "":
			v.Checks[i] = Check{Name: checkOrder[i], Outcome: NotChecked, Detail: "not checked: an earlier check failed"}
		default:
		}
	}
	if v.Verified = failed == 0; v.Verified {
		v.Summary = j.verifiedSummary()
		return v
	}
	for _, name := range causeOrder {
		if c := v.Check(name); c.Outcome == Failed {
			v.Summary = fmt.Sprintf("Not verified: %s (%s)", c.Detail, c.Name)
			break
		}
	}
	switch {
	case failed == 2:
		v.Summary += "; 1 more check failed"
	case failed > 2:
		v.Summary += fmt.Sprintf("; %d more checks failed", failed-1)
	}
	return v
}

func (j *judgement) verifiedSummary() string {
	w := &j.words
	signer, when, later := "", "", ""
	if who := j.verdict.Signer; who != nil && who.Name != "" {
		signer = w.join(", signed by ", who.Name, ", ", who.Of())
	}
	if j.at != nil {
		when = w.join(", logged at or after ", w.time(*j.at))
	} else if j.st.Predicate.Kind != trial.KindTimeMark {
		when = "; validity period not checked"
	}
	if c := j.verdict.Check(CheckKeyNotRevoked); c.Outcome == NotChecked && j.st.Predicate.Kind != trial.KindCharter && j.st.Predicate.Kind != trial.KindTimeMark {
		later = "; later revocations not known"
	}
	same := ""
	for _, f := range j.verdict.Files {
		if f.Outcome == SameData {
			same = string(SameData) + ": "
		}
	}
	return w.join("Verified: ", same, string(j.st.Predicate.Kind), ", entry ", w.decimal(j.r.Index), " of ", j.r.Checkpoint.Origin, signer, when, later)
}
