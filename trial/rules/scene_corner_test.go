package rules

import (
	"github.com/trialnotary/trialnotary/trial"
)

// cornerScenes are about what rarely happens, and was once judged wrongly.
var cornerScenes = []scene{
	{
		rule: "R02", name: "a number that only ties registrations together",
		tell: func(y *story) {
			_, icf, _ := y.running("registration", "participants")
			y.add("utn", "sponsor", "", trial.KindRegistration, &trial.RegistrationBody{Registry: trial.RegistryUTN, Number: "U1111-1115-2414"},
				edit(func(p *trial.Predicate) { p.Trial = trial.Registry{trial.RegistryUTN: "U1111-1115-2414"} }))
			y.participant("701", icf)
		},
		want: []string{"R02 major on participant 701: " + unregistered},
	},
	{
		rule: "R05", name: "a decision that waits for an endorsement of the charter's table",
		charter: func(b *trial.CharterBody) {
			b.Endorsements = map[trial.Kind][]trial.Role{trial.KindEthicsDecision: {trial.RoleQA}}
		},
		tell: func(y *story) {
			icf := y.icf("icf 1")
			y.protocol("protocol 1")
			waits := y.decides("decision", "701", "2026-01-05", trial.EthicsFavourable, icf)
			y.effective("start", "701", "2026-01-05", icf)
			y.endorse(waits, "qa")
			y.effective("start again", "701", "2026-01-05", icf)
		},
		want: []string{
			"R01 major on icf 1: This icf was logged before the trial's first protocol.",
			"R05 major on start: " + noDecision + "there is none.",
		},
	},
	{
		rule: "R05", name: "a second of three decisions for the trial, after a site's was withdrawn",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.decides("for all 1", "", "2026-01-02", trial.EthicsFavourable, second)
			y.decides("withdrawal", "701", "2026-01-03", trial.EthicsWithdrawn, second)
			y.decides("for all 2", "", "2026-01-04", trial.EthicsFavourable, second)
			y.decides("for all 3", "", "2026-01-06", trial.EthicsFavourable, second)
			y.effective("start", "701", "2026-01-05", second)
		},
	},
	{
		rule: "R12", name: "a backfill between two extracts",
		tell: func(y *story) {
			y.running()
			y.data("data 1", "701", "AE", 1)
			y.pass(30 * day)
			y.backfill("backfill", "701")
			y.pass(10 * day)
			y.data("data 2", "701", "AE", 2)
		},
		want: []string{"R12 major on data 2: This extract came 40 days after the one before it; at most 35 days are agreed."},
	},
	{
		rule: "R12", name: "a backfill before the first extract",
		tell: func(y *story) {
			y.running()
			y.backfill("backfill 1", "701")
			y.pass(30 * day)
			y.backfill("backfill 2", "701")
			y.pass(30 * day)
			y.data("data", "701", "AE", 2)
		},
	},
	{
		rule: "R14", name: "the investigator of another site",
		charter: func(b *trial.CharterBody) {
			b.Endorsements = map[trial.Kind][]trial.Role{trial.KindICF: {trial.RoleInvestigator}}
		},
		tell: func(y *story) {
			y.protocol("protocol 1")
			form := y.add("icf of 701", "cra", "701", trial.KindICF, nil, document("ICF", "1"))
			y.feed("elsewhere", y.write("pi704", "", trial.KindEndorsement, &trial.EndorsementBody{Statement: form.ID, Decision: trial.DecisionEndorsed}))
			y.feed("of its own site", y.write("pi704", "704", trial.KindEndorsement, &trial.EndorsementBody{Statement: form.ID, Decision: trial.DecisionEndorsed}))
			y.pass(8 * day)
			y.endorse(form, "pi701")
		},
		want: []string{"R14 major on icf of 701 by a time mark: This icf was not endorsed within 7 days and lacks a signature of: investigator. Closed by pi701's signature."},
	},
	{
		rule: "R14", name: "an investigator under a document of the whole trial",
		charter: func(b *trial.CharterBody) {
			b.Endorsements = map[trial.Kind][]trial.Role{trial.KindICF: {trial.RoleInvestigator}}
		},
		tell: func(y *story) {
			y.protocol("protocol 1")
			y.endorse(y.icf("icf"), "pi704")
			y.pass(8 * day)
		},
	},
	{
		rule: "R15", name: "a member outside the second lock's own scope",
		tell: func(y *story) {
			y.running()
			d701, d704 := y.data("data 701", "701", "AE", 1), y.data("data 704", "704", "AE", 2)
			y.lock("lock 1", trial.DataScope{}, d701, d704)
			y.lock("lock 2", at("701"), d701, y.data("data 704 b", "704", "AE", 3, replaces(d704)))
		},
		want: []string{
			"R10 major on data 704 b: " + whileLocked,
			"R15 critical on lock 2 by stat's signature: " + outside + "1. The first: AE of site 704 from EDC: changed.",
		},
	},
	{
		rule: "R15", name: "a change that a lock of another scope carries along",
		tell: func(y *story) {
			y.running()
			d701, d704 := y.data("data 701", "701", "AE", 1), y.data("data 704", "704", "AE", 2)
			y.lock("lock 1", trial.DataScope{Sites: []string{"704"}}, d704)
			b := y.data("data 704 b", "704", "AE", 3, replaces(d704))
			y.lock("lock 2", at("701"), d701, b)
			y.lock("lock 3", trial.DataScope{}, d701, b)
		},
		want: []string{
			"R10 major on data 704 b: " + whileLocked,
			"R15 critical on lock 3 by stat's signature: " + outside + "1. The first: AE of site 704 from EDC: changed.",
		},
	},
	{
		rule: "R15", name: "files without a name, exported again with the same content",
		tell: func(y *story) {
			y.running()
			var old, again []*trial.Statement
			for i := range byte(2) {
				old = append(old, y.add("file", "edc", "701", trial.KindDataset, extract(""), table(i, 10+i)))
			}
			lock := y.lock("lock 1", trial.DataScope{}, old...)
			y.unlock("unlock", lock, at("704"))
			for i := range byte(2) {
				again = append(again, y.add("file again", "edc", "701", trial.KindDataset, extract(""), table(20+i, 10+i), replaces(old[i])))
			}
			y.lock("lock 2", trial.DataScope{}, again...)
		},
		want: []string{"R10 major on file again: " + whileLocked, "R10 major on file again: " + whileLocked},
	},
	{
		rule: "R04", name: "a plan that is endorsed after its author's key was lost, and by one that is lost then",
		tell: func(y *story) {
			y.running("sap")
			plan := y.add("sap", "stat", "", trial.KindSAP, nil, document("SAP", "1"))
			revoke := func(who string, cause trial.RevocationCause) {
				y.feed("revocation of "+who, y.sign("sponsor", trial.Predicate{Kind: trial.KindKeyRevocation, Reason: "gone",
					Body: &trial.RevocationBody{Key: pub(y, who).ID, Cause: cause}}, nil))
			}
			revoke("stat", trial.CauseLeft)
			y.endorse(plan, "cmo")
			revoke("cmo", trial.CauseCompromised) // undoes nothing that took effect
			lock := y.add("lock", "dm", "", trial.KindDatabaseLock,
				&trial.LockBody{Label: "1", Type: trial.LockFinal, Members: ids([]*trial.Statement{y.data("data", "701", "AE", 1)})})
			y.endorse(lock, "both")
		},
	},
	{
		rule: "R11", name: "an unlock that waits while another lock takes effect",
		tell: func(y *story) {
			y.running()
			data := y.data("data 1", "701", "AE", 1)
			lock := y.lock("lock 1", trial.DataScope{}, data)
			unlock := y.add("unlock", "dm", "", trial.KindDatabaseUnlock, &trial.UnlockBody{Lock: lock.ID}, because("a query"), subject("statement", trial.SHA256(lock.ID)))
			y.lock("lock 2", trial.DataScope{}, data)
			y.endorse(unlock, "qa")
			y.data("data 2", "701", "AE", 2)
		},
		want: []string{"R11 major on unlock by qa's signature: " + noLock, "R10 major on data 2: " + whileLocked},
	},
	{
		rule: "R10", name: "a site that two locks cover, of which one is opened",
		tell: func(y *story) {
			y.running()
			data := y.data("data 1", "701", "AE", 1)
			all := y.lock("lock 1", trial.DataScope{}, data)
			part := y.lock("lock 2", at("701"), data)
			y.unlock("unlock 1", all, at("701"))
			y.data("still locked", "701", "AE", 2)
			y.unlock("unlock 2", part, trial.DataScope{})
			y.data("open", "701", "AE", 3)
			y.data("not opened", "704", "AE", 4)
		},
		want: []string{"R10 major on still locked: " + whileLocked, "R10 major on not opened: " + whileLocked},
	},
	{
		rule: "R06", name: "translations of a form, each effective for itself",
		tell: func(y *story) {
			_, icf, _ := y.running()
			german := y.icf("icf de", inLanguage("de"))
			y.consents("too early", "701", german)
			y.decides("decision", "701", "2026-01-05", trial.EthicsFavourable, german)
			y.effective("start", "701", "2026-01-05", german)
			y.consents("german", "701", german)
			y.consents("original", "701", icf)
		},
		want: []string{"R06 major on too early: The consent form of this consent-manifest was not effective at site 701."},
	},
	{
		rule: "R14", name: "an act that is replaced at the moment when it would be overdue",
		tell: func(y *story) {
			y.running("sap")
			first := y.add("sap 1", "stat", "", trial.KindSAP, nil, document("SAP", "1"))
			y.pass(7 * day)
			y.pass(0) // the same log time once more
			second := y.add("sap 2", "stat", "", trial.KindSAP, nil, document("SAP", "2"), file(2))
			y.endorse(first, "cmo")
			y.endorse(second, "cmo")
			y.pass(30 * day)
		},
		want: []string{"R14 major on sap 1 by sap 2: This sap was replaced by another while it lacked a signature of: sponsor-medical."},
	},
	{
		rule: "R12", name: "data of one name from two sources",
		tell: func(y *story) {
			y.running()
			lab := extract("LB")
			lab.SourceSystem, lab.Origin = "Lab", trial.OriginLab
			y.add("lab 1", "edc", "701", trial.KindDataset, lab, file(1))
			y.data("edc 1", "701", "LB", 2)
			y.pass(20 * day)
			y.data("edc 2", "701", "LB", 3)
			y.pass(20 * day)
			y.add("lab 2", "edc", "701", trial.KindDataset, lab, file(4))
		},
		want: []string{"R12 major on lab 2: This extract came 40 days after the one before it; at most 35 days are agreed."},
	},
}

// backfill logs migrated data.
func (y *story) backfill(name, site string) {
	y.Helper()
	body := extract("AE")
	body.Migration = true
	y.add(name, "edc", site, trial.KindDataset, body, file(99))
}
