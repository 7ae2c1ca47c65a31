package rules

import (
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// answer logs a response to a finding.
func (y *story) answer(name, rule string, to *trial.Statement) {
	y.Helper()
	y.add(name, "qa", "", trial.KindFindingResponse, &trial.FindingResponseBody{Rule: rule, Statement: to.ID, Cause: "an upgrade", CAPA: "CAPA-7"},
		subject("statement", trial.SHA256(to.ID)))
}

func TestResponses(t *testing.T) {
	y := tell(t)
	y.running()
	y.data("data 1", "701", "AE", 1)
	y.pass(40 * day)
	body := extract("AE")
	late := y.write("edc", "701", trial.KindDataset, body, declared(y.now.Add(-20*day)))
	y.answer("before", "R12", late)
	y.feed("late", late)
	y.answer("of another rule", "R01", late)
	y.answer("of no rule", "X", late)
	const gap = "R12 major on late: This extract came 40 days after the one before it; at most 35 days are agreed."
	const behind = "R13 minor on late: The declared time is 20 days behind the log."
	y.want(gap, behind)
	y.answer("answer", "R12", late)
	y.want(gap+" Answered by answer.", behind)
	y.answer("better answer", "R12", late)
	y.want(gap+" Answered by better answer.", behind)
}

// An unlock and the unblinding of a participant without a reason are malformed, so
// that what R09 and R11 say of reasons is a second line.
func TestReasonIsForm(t *testing.T) {
	y := tell(t)
	p := trial.Predicate{
		Charter: y.charter.Statement.ID, Declared: trial.NewInstant(y.now, "Etc/UTC"), Signed: trial.NewInstant(y.now, "Etc/UTC"),
		Signer:  trial.Signer{KeyID: pub(t, "qa").ID, Name: "qa", Role: trial.RoleQA, Organisation: sponsorName},
		Meaning: trial.MeaningAuthorship,
	}
	for kind, body := range map[trial.Kind]any{
		trial.KindDatabaseUnlock: &trial.UnlockBody{Lock: trial.ID{1}},
		trial.KindUnblinding:     &trial.UnblindingBody{Scope: trial.UnblindParticipant},
	} {
		st := &trial.Statement{Predicate: p, Subjects: []trial.Subject{{Name: "participant", Digests: trial.Commitment(sum(1)).Digests()}}}
		if kind == trial.KindDatabaseUnlock {
			st.Subjects = nil
		}
		st.Predicate.Kind, st.Predicate.Body = kind, body
		if _, err := trial.MarshalStatement(st); err == nil {
			t.Errorf("%s: accepted without a reason", kind)
		}
		st.Predicate.Reason = "a query"
		if kind == trial.KindDatabaseUnlock {
			st.Subjects = []trial.Subject{{Name: "statement", Digests: trial.SHA256(trial.ID{1})}}
		}
		if _, err := trial.MarshalStatement(st); err != nil {
			t.Errorf("%s with a reason: %v", kind, err)
		}
	}
}
