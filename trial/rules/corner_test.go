package rules

import (
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// People of one site answer for it, and not for another or the whole trial.
func TestResponsesOfASite(t *testing.T) {
	y := tell(t)
	y.running()
	late := y.data("late", "704", "AE", 1, declared(y.now.Add(-20*day)))
	const behind = "R13 minor on late: The declared time is 20 days behind the log."
	const vain = "NO-EFFECT major on without authority: This finding-response was logged and has no effect: the key is not enrolled for this site."
	respond := func(name, who, site string) {
		y.add(name, who, site, trial.KindFindingResponse, &trial.FindingResponseBody{Rule: "R13", Statement: late.ID, Cause: "holidays"},
			subject("statement", trial.SHA256(late.ID)))
	}
	respond("of another site", "pi701", "701")
	respond("without authority", "pi701", "704")
	y.want(behind, vain)
	respond("of its own", "pi704", "704")
	y.want(behind+" Answered by of its own.", vain)
	respond("of the sponsor", "qa", "")
	y.want(behind+" Answered by of the sponsor.", vain)
}

// A statement that is sent twice, and one without authority, change nothing. The
// second is a finding.
func TestNoEffect(t *testing.T) {
	y := tell(t)
	y.running("sap")
	plan := y.add("sap", "stat", "", trial.KindSAP, nil, document("SAP", "1"))
	sign := y.write("cmo", "", trial.KindEndorsement, &trial.EndorsementBody{Statement: plan.ID, Decision: trial.DecisionEndorsed})
	y.feed("sap again", plan)
	y.feed("signature", sign)
	y.feed("signature again", sign)
	y.feed("charter again", y.charter.Statement)
	y.add("of no site's investigator", "pi701", "704", trial.KindCloseout, nil)
	y.add("by a system", "edc", "", trial.KindEndorsement, &trial.EndorsementBody{Statement: plan.ID, Decision: trial.DecisionEndorsed})
	for i := range y.names {
		if y.names[i] == "sap again" {
			y.names[i] = "sap"
		}
	}
	data := y.data("data", "701", "AE", 1)
	y.lock("lock", trial.DataScope{}, data)
	y.feed("data", data) // no R10, no R12
	y.pass(8 * day)
	y.want(
		"NO-EFFECT major on of no site's investigator: This closeout was logged and has no effect: the key is not enrolled for this site.",
		"NO-EFFECT major on by a system: This endorsement was logged and has no effect: only persons endorse.",
	)
}

// What lands behind its key's revocation has a receipt, a finding and no effect;
// the finding is answered as any other.
func TestBehindRevocation(t *testing.T) {
	y := tell(t)
	y.running()
	y.feed("revocation", y.sign("sponsor", trial.Predicate{Kind: trial.KindKeyRevocation, Reason: "replaced",
		Body: &trial.RevocationBody{Key: pub(y, "edc").ID, Cause: trial.CauseLeft}}, nil))
	data := y.data("data", "701", "AE", 1)
	const vain = "NO-EFFECT major on data: This dataset was logged and has no effect: "
	got := y.findings()
	if len(got) != 1 || !strings.HasPrefix(got[0], vain) || !strings.Contains(got[0], "revoked") {
		t.Fatalf("got %q, want one that begins with %q and says that the key is revoked", got, vain)
	}
	y.add("answer", "qa", "", trial.KindFindingResponse,
		&trial.FindingResponseBody{Rule: AuthorityRule, Statement: data.ID, Cause: "sent by the old system"}, subject("statement", trial.SHA256(data.ID)))
	y.want(got[0] + " Answered by answer.")
}

// No pack and no charter can take the engine's rule away.
func TestAuthorityRuleIsReserved(t *testing.T) {
	own := []trial.OwnRule{{ID: AuthorityRule, Title: "x", Severity: trial.SeverityMinor, Expression: "true", Message: "x"}}
	_, err := Compile(Default(), own, nil)
	if want := (&Error{Rule: AuthorityRule, Reason: "another rule has this id: give it one of its own"}).Error(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
