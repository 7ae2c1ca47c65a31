package rules

import (
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// dataScenes are about extracts and their times.
var dataScenes = []scene{
	{
		rule: "R12", name: "extracts in their cadence",
		tell: func(y *story) {
			y.running()
			y.data("data 1", "701", "AE", 1)
			y.pass(35 * day)
			y.data("data 2", "701", "AE", 2)
		},
	},
	{
		rule: "R12", name: "an extract that is late",
		tell: func(y *story) {
			y.running()
			y.data("data 1", "701", "AE", 1)
			y.data("other data", "704", "AE", 1)
			y.data("more data", "701", "DM", 1)
			y.pass(35*day + time.Second)
			y.data("data 2", "701", "AE", 2)
			y.data("first of its source", "701", "VS", 1)
		},
		want: []string{"R12 major on data 2: This extract came 36 days after the one before it; at most 35 days are agreed."},
	},
	{
		rule: "R12", name: "a cadence of the charter's", charter: func(b *trial.CharterBody) {
			b.Parameters = map[string]int64{trial.ParameterCadenceDays: 7, trial.ParameterGraceDays: 0}
		},
		tell: func(y *story) {
			y.running()
			y.data("data 1", "701", "AE", 1)
			y.pass(9 * day)
			y.data("data 2", "701", "AE", 2)
		},
		want: []string{"R12 major on data 2: This extract came 9 days after the one before it; at most 7 days are agreed."},
	},
	{
		rule: "R12", name: "a site's last visit with an extract overdue",
		tell: func(y *story) {
			y.running()
			y.data("data 701", "701", "AE", 1)
			y.data("data 704", "704", "AE", 1)
			y.pass(40 * day)
			y.add("last visit", "cra", "701", trial.KindLastVisit, nil)
		},
		want: []string{"R12 major on last visit: Series of extracts that were overdue: 1. The first: AE of site 701 from EDC."},
	},
	{
		rule: "R12", name: "closeout with extracts overdue",
		tell: func(y *story) {
			y.running()
			y.data("data 704", "704", "AE", 1)
			y.data("data 701", "701", "AE", 1)
			y.pass(40 * day)
			y.add("closeout", "cra", "", trial.KindCloseout, nil)
		},
		want: []string{"R12 major on closeout: Series of extracts that were overdue: 2. The first: AE of site 701 from EDC."},
	},
	{
		rule: "R12", name: "an extract after the last visit, of the site and of the trial",
		tell: func(y *story) {
			y.running()
			y.data("data 701", "701", "AE", 1)
			y.data("data 704", "704", "AE", 1)
			y.add("last visit 701", "cra", "701", trial.KindLastVisit, nil)
			y.pass(10 * day)
			y.add("last visit", "cra", "", trial.KindLastVisit, nil)
			y.pass(40 * day)
			y.data("last data 701", "701", "AE", 2)
			y.data("last data 704", "704", "AE", 2)
			y.add("closeout", "cra", "", trial.KindCloseout, nil)
		},
	},
	{
		rule: "R12", name: "data that are migrated, and derived data",
		tell: func(y *story) {
			y.running()
			y.data("data", "701", "AE", 1)
			y.derived("derived 1", false)
			y.pass(60 * day)
			body := extract("AE")
			body.Migration = true
			y.add("migrated", "edc", "701", trial.KindDataset, body)
			y.derived("derived 2", false)
		},
	},
	{
		rule: "R13", name: "declared ahead, as far as a clock and a time mark may be",
		tell: func(y *story) {
			y.running()
			y.data("data", "701", "AE", 1, declared(y.now.Add(6*time.Minute)))
		},
	},
	{
		rule: "R13", name: "declared too far ahead",
		tell: func(y *story) {
			y.running()
			y.data("data", "701", "AE", 1, declared(y.now.Add(7*time.Minute)))
		},
		want: []string{"R13 minor on data: The declared time is 420 seconds ahead of the log."},
	},
	{
		rule: "R13", name: "declared behind, as far as data and documents may be",
		tell: func(y *story) {
			y.running()
			y.data("data", "701", "AE", 1, declared(y.now.Add(-14*day)))
			y.add("letter", "cra", "", trial.KindTMFDocument, nil, declared(y.now.Add(-30*day)))
		},
	},
	{
		rule: "R13", name: "declared too far behind",
		tell: func(y *story) {
			y.running()
			y.data("data", "701", "AE", 1, declared(y.now.Add(-14*day-time.Second)))
			y.derived("derived", false, declared(y.now.Add(-15*day)))
			y.add("letter", "cra", "", trial.KindTMFDocument, nil, declared(y.now.Add(-31*day)))
		},
		want: []string{
			"R13 minor on data: The declared time is 15 days behind the log.",
			"R13 minor on derived: The declared time is 15 days behind the log.",
			"R13 minor on letter: The declared time is 31 days behind the log.",
		},
	},
	{
		rule: "R13", name: "a migration, once",
		tell: func(y *story) {
			y.running()
			for i, behind := range []time.Duration{3 * day, 100 * day, 90 * day, 200 * day} {
				body := extract("AE")
				body.Migration = true
				y.add("migrated "+string(rune('1'+i)), "edc", "701", trial.KindDataset, body, declared(y.now.Add(-behind)))
			}
		},
		want: []string{"R13 minor on migrated 2: These migrated data are declared 100 days behind the log; this stands for all data that are migrated."},
	},
}

// derived logs derived data, for submission or not.
func (y *story) derived(name string, submission bool, options ...option) *trial.Statement {
	y.Helper()
	b := &trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeRoutine, Dataset: "ADSL", SourceSystem: "SAS"}
	if submission {
		b.Purpose = trial.PurposeSubmission
	}
	return y.add(name, "stat", "", trial.KindDerivedDataset, b, options...)
}

// pendingScenes are about acts that wait for endorsement.
var pendingScenes = []scene{
	{
		rule: "R14", name: "endorsed in time",
		tell: func(y *story) {
			y.running("sap")
			plan := y.add("sap 1", "stat", "", trial.KindSAP, nil, document("SAP", "1"))
			y.pass(7 * day)
			y.endorse(plan, "cmo")
			y.pass(day)
		},
	},
	{
		rule: "R14", name: "overdue, and endorsed after all",
		tell: func(y *story) {
			y.running("sap")
			plan := y.add("sap 1", "stat", "", trial.KindSAP, nil, document("SAP", "1"))
			y.pass(8 * day)
			y.endorse(plan, "cmo")
			y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1)) // the plan is in effect: no R04
		},
		want: []string{"R14 major on sap 1 by a time mark: This sap was not endorsed within 7 days and lacks a signature of: sponsor-medical. Closed by cmo's signature."},
	},
	{
		rule: "R14", name: "overdue, then replaced: one finding that stays open",
		tell: func(y *story) {
			y.running("sap")
			y.add("sap 1a", "stat", "", trial.KindSAP, nil, document("SAP", "1a"))
			y.pass(8 * day)
			y.sap("sap 1b")
		},
		want: []string{"R14 major on sap 1a by a time mark: This sap was not endorsed within 7 days and lacks a signature of: sponsor-medical."},
	},
	{
		rule: "R14", name: "a lock with one signature, replaced",
		tell: func(y *story) {
			y.running()
			data := y.data("data", "701", "AE", 1)
			first := y.add("lock 1a", "dm", "", trial.KindDatabaseLock, &trial.LockBody{Label: "1", Type: trial.LockFinal, Members: ids([]*trial.Statement{data})})
			y.signedBy("stat", y.add("lock 1b", "dm", "", trial.KindDatabaseLock,
				&trial.LockBody{Label: "1", Type: trial.LockFinal, Members: ids([]*trial.Statement{data})}, file(2)))
			y.endorse(first, "stat")
		},
		want: []string{"R14 major on lock 1a by lock 1b: This database-lock was replaced by another while it lacked a signature of: biostatistician."},
	},
	{
		rule: "R14", name: "locks of other labels and scopes, which replace nothing that waits",
		tell: func(y *story) {
			y.running()
			data := ids([]*trial.Statement{y.data("data", "701", "AE", 1)})
			var locks []*trial.Statement
			for i, b := range []trial.LockBody{
				{Label: "1", Type: trial.LockSoft, Scope: trial.DataScope{Sites: []string{"704"}}},
				{Label: "2", Type: trial.LockSoft, Scope: trial.DataScope{Sites: []string{"701"}}, Members: data},
			} {
				if b.Members == nil {
					b.Members = ids([]*trial.Statement{y.data("data 704", "704", "AE", 1)})
				}
				locks = append(locks, y.add("lock "+b.Label, "dm", "", trial.KindDatabaseLock, &b, file(byte(i))))
			}
			for _, l := range locks {
				y.endorse(l, "stat")
			}
		},
	},
	{
		rule: "R14", name: "one person with two roles signs for one of them",
		tell: func(y *story) {
			y.running()
			y.add("lock 1", "both", "", trial.KindDatabaseLock,
				&trial.LockBody{Label: "1", Type: trial.LockFinal, Members: ids([]*trial.Statement{y.data("data", "701", "AE", 1)})})
			y.pass(8 * day)
		},
		want: []string{"R14 major on lock 1 by a time mark: This database-lock was not endorsed within 7 days and lacks a signature of: biostatistician."},
	},
	{
		rule: "R14", name: "nobody of the roles signed", charter: func(b *trial.CharterBody) {
			b.Endorsements = map[trial.Kind][]trial.Role{trial.KindICF: {trial.RoleQA, trial.RoleInvestigator}}
		},
		tell: func(y *story) {
			y.protocol("protocol 1")
			y.icf("icf 1")
			y.pass(8 * day)
		},
		want: []string{"R14 major on icf 1 by a time mark: This icf was not endorsed within 7 days and lacks a signature of: qa and 1 more."},
	},
	{
		rule: "R14", name: "closeout",
		tell: func(y *story) {
			y.running()
			plan := y.add("sap 2", "stat", "", trial.KindSAP, nil, document("Other SAP", "1"))
			y.add("closeout", "cra", "", trial.KindCloseout, nil)
			y.endorse(plan, "cmo") // too late: it is void
		},
		want: []string{"R14 major on sap 2 by closeout: This sap met the closeout while it lacked a signature of: sponsor-medical."},
	},
	{
		rule: "R14", name: "void because its key was compromised",
		tell: func(y *story) {
			y.running()
			y.add("sap 2", "stat", "", trial.KindSAP, nil, document("Other SAP", "1"))
			y.feed("revocation", y.sign("sponsor", trial.Predicate{Kind: trial.KindKeyRevocation, Reason: "stolen",
				Body: &trial.RevocationBody{Key: pub(y, "stat").ID, Cause: trial.CauseCompromised}}, nil))
			y.pass(8 * day)
		},
	},
}
