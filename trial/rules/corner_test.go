package rules

import (
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// People of one site answer for it, and not for another or the whole trial.
func TestResponsesOfASite(t *testing.T) {
	y := tell(t)
	y.running()
	late := y.data("late", "704", "AE", 1, declared(y.now.Add(-20*day)))
	const behind = "R13 minor on late: The declared time is 20 days behind the log."
	respond := func(name, who, site string) {
		y.add(name, who, site, trial.KindFindingResponse, &trial.FindingResponseBody{Rule: "R13", Statement: late.ID, Cause: "holidays"},
			subject("statement", trial.SHA256(late.ID)))
	}
	respond("of another site", "pi701", "701")
	respond("without authority", "pi701", "704")
	y.want(behind)
	respond("of its own", "pi704", "704")
	y.want(behind + " Answered by of its own.")
	respond("of the sponsor", "qa", "")
	y.want(behind + " Answered by of the sponsor.")
}

// A statement that is sent twice, and one without authority, change nothing.
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
	y.want()
}
