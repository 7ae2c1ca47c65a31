package receipt

import (
	"fmt"
	"sync"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// Verifier verifies many receipts against one trust folder. It remembers what
// it verified (checkpoints, authority receipts, folds), which changes no
// verdict. It is safe for concurrent use.
type Verifier struct {
	trust *Trust
	log   *LogVerifier

	mu sync.Mutex
	// receipts and chains are keyed by the SHA-256 of all that they depend on,
	// within this trust folder. Guarded by mu.
	receipts map[[32]byte]provenOrError
	chains   map[[32]byte]*chain
}

// NewVerifier returns a Verifier for a trust folder.
func NewVerifier(t *Trust) *Verifier {
	return &Verifier{
		trust: t, log: newLogVerifier(t.LogKeys, t.Policy),
		receipts: map[[32]byte]provenOrError{}, chains: map[[32]byte]*chain{},
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
	j := &judgement{v: v, r: r, verdict: &Verdict{Index: r.Index}, checks: map[CheckName]Check{}}
	j.log = v.log.check(r)
	j.reportLog()
	st, err := r.Statement()
	if err != nil {
		j.failf(CheckStatementForm, "the statement cannot be read: %v", err)
		return j.conclude()
	}
	j.st, j.verdict.Statement = st, st
	j.passf(CheckStatementForm, "a well-formed statement, id %s", st.ID)
	j.files(files)
	j.kind()
	g := v.gather(ev)
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
	log     *logChecks
	at      *time.Time // log time, nil where it is not known
	verdict *Verdict
	checks  map[CheckName]Check
}

func (j *judgement) set(name CheckName, o Outcome, format string, args []any) {
	if j.checks[name].Outcome == Failed {
		return // the first failure is the one to tell
	}
	j.checks[name] = Check{Name: name, Outcome: o, Detail: fmt.Sprintf(format, args...)}
}

func (j *judgement) passf(name CheckName, format string, args ...any) {
	j.set(name, Passed, format, args)
}

func (j *judgement) failf(name CheckName, format string, args ...any) {
	j.set(name, Failed, format, args)
}

func (j *judgement) skipf(name CheckName, format string, args ...any) {
	j.set(name, NotChecked, format, args)
}

// resultf reports a check that is an error or passed.
func (j *judgement) resultf(name CheckName, err error, format string, args ...any) {
	if err != nil {
		j.failf(name, "%v", err)
		return
	}
	j.passf(name, format, args...)
}

// reportLog reports what the log's keys say.
func (j *judgement) reportLog() {
	r, c := j.r, j.log
	j.resultf(CheckEntry, c.entry, "the log entry is that of this statement, signature and key")
	j.resultf(CheckIndexes, c.indexes, "both say index %d", r.Index)
	j.resultf(CheckSizeAndRoot, c.sizeRoot, "tree size %d and root are the checkpoint's", r.Size)
	j.resultf(CheckInclusion, c.inclusion, "entry %d is in the log's tree of %d entries", r.Index, r.Checkpoint.Size)
	j.resultf(CheckCheckpointSigned, c.checkpoint, "the log %s signed the checkpoint", r.Checkpoint.Origin)
	switch {
	case c.checkpoint != nil:
		j.skipf(CheckWitnessPolicy, "not checked: the checkpoint's own signature does not stand")
	case c.witness != nil:
		j.failf(CheckWitnessPolicy, "%v (%d of %d known did)", c.witness, len(c.witnessed.signed), j.v.trust.Policy.Witnesses())
	case !j.v.trust.Policy.HasQuorum():
		j.passf(CheckWitnessPolicy, "quorum none: the policy asks for no witness")
	default:
		j.passf(CheckWitnessPolicy, "the quorum of witnesses had seen the checkpoint by %s", formatTime(c.witnessed.by))
		j.verdict.WitnessTime = c.witnessed.by
	}
}

func (j *judgement) kind() {
	if k := j.st.Predicate.Kind; !k.Known() {
		j.failf(CheckKind, "kind not understood: %q", k)
		return
	}
	j.passf(CheckKind, "%s", j.st.Predicate.Kind)
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
	t := m.mark.Time
	j.at, j.verdict.LogTime = &t, t
	j.passf(CheckLogTime, "logged at or after %s, by the time mark at index %d", formatTime(t), m.receipt.Index)
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
	if hint := key.ID.String(); hint != j.r.KeyHint {
		j.failf(CheckSignature, "the receipt's hint is not the id of the signer's key %s", hint)
		return
	}
	j.resultf(CheckSignature, verifySignature(j.r, j.st, key), "signed with the key %s", key.ID)
}

// timeMark judges the notary's own statements, which belong to no trial.
func (j *judgement) timeMark() {
	j.signature(j.v.trust.Notary)
	p := &proven{receipt: j.r, statement: j.st}
	if _, err := j.v.markBody(p); err != nil {
		j.failf(CheckKeyEnrolled, "%v", err)
	} else {
		j.passf(CheckKeyEnrolled, "the notary's own key of the trust folder")
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
	for _, name := range checkOrder {
		c, ok := j.checks[name]
		if !ok {
			c = Check{Name: name, Outcome: NotChecked, Detail: "not checked: an earlier check failed"}
		}
		if c.Outcome == Failed {
			failed++
		}
		v.Checks = append(v.Checks, c)
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
	if failed > 1 {
		v.Summary += fmt.Sprintf("; %d more checks failed", failed-1)
	}
	return v
}

func (j *judgement) verifiedSummary() string {
	s := fmt.Sprintf("Verified: %s, entry %d of %s", j.st.Predicate.Kind, j.r.Index, j.r.Checkpoint.Origin)
	if who := j.verdict.Signer; who != nil && who.Name != "" {
		s += fmt.Sprintf(", signed by %s, %s", who.Name, who.Of())
	}
	if j.at != nil {
		s += ", logged at or after " + formatTime(*j.at)
	} else if j.st.Predicate.Kind != trial.KindTimeMark {
		s += "; validity period not checked"
	}
	if c := j.verdict.Check(CheckKeyNotRevoked); c.Outcome == NotChecked && j.st.Predicate.Kind != trial.KindCharter && j.st.Predicate.Kind != trial.KindTimeMark {
		s += "; later revocations not known"
	}
	return s
}

func formatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
