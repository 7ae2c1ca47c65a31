package rules

import (
	"github.com/trialnotary/trialnotary/trial"
)

const noDecision = "A version became effective at site 701 without a favourable ethics decision that was logged before and is dated no later: "

// approvalScenes are about ethics committees and consent.
var approvalScenes = []scene{
	{
		rule: "R05", name: "no decision",
		tell: func(y *story) {
			_, icf, _ := y.running()
			y.effective("start", "701", "2026-01-05", y.icf("icf 2", replaces(icf)))
		},
		want: []string{"R05 major on start: " + noDecision + "there is none."},
	},
	{
		rule: "R05", name: "a decision for another site, one against it, and one that came later",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.decides("decision", "704", "2026-01-05", trial.EthicsFavourable, second)
			y.decides("refusal", "701", "2026-01-05", trial.EthicsUnfavourable, second)
			y.effective("start", "701", "2026-01-05", second)
			y.decides("late decision", "701", "2026-01-05", trial.EthicsFavourable, second)
		},
		want: []string{"R05 major on start: " + noDecision + "there is none."},
	},
	{
		rule: "R05", name: "a decision that was withdrawn",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.decides("decision", "701", "2026-01-05", trial.EthicsFavourable, second)
			y.decides("withdrawal", "701", "2026-01-05", trial.EthicsWithdrawn, second)
			y.effective("start", "701", "2026-01-05", second)
		},
		want: []string{"R05 major on start: " + noDecision + "there is none."},
	},
	{
		rule: "R05", name: "a decision that is dated later",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.decides("decision", "701", "2026-01-06", trial.EthicsFavourable, second)
			y.effective("start", "701", "2026-01-05", second)
		},
		want: []string{"R05 major on start: " + noDecision + "it is dated later."},
	},
	{
		rule: "R05", name: "a decision that was filed late",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.pass(2 * day) // the 5th ends everywhere on the 6th at noon
			y.decides("decision", "701", "2026-01-05", trial.EthicsFavourable, second)
			y.effective("start", "701", "2026-01-05", second)
		},
		want: []string{"R05 minor on start: Late filing: an ethics decision is dated in time, but was logged only after the version became effective at site 701."},
	},
	{
		rule: "R05", name: "a decision that was filed on the evening of the day",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.pass(day)
			y.decides("decision", "701", "2026-01-05", trial.EthicsFavourable, second)
			y.effective("start", "701", "2026-01-05", second)
		},
	},
	{
		rule: "R05", name: "decisions for the trial, with conditions, taken note of, and by version",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			third := y.icf("icf 3", replaces(second))
			y.decides("for all", "", "2026-01-05", trial.EthicsConditional, second)
			y.add("by version", "cra", "701", trial.KindEthicsDecision, &trial.EthicsDecisionBody{Committee: "Ethics Committee",
				Decision: trial.EthicsAcknowledged, Date: "2026-01-05", Documents: []trial.DocumentRef{{ID: "ICF", Version: "icf 3"}}})
			y.effective("start", "701", "2026-01-05", second, third)
		},
	},
	{
		rule: "R05", name: "what needs no decision",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			for _, e := range []trial.Exemption{trial.ExemptNoApproval, trial.ExemptUrgent} {
				y.add("start", "cra", "701", trial.KindVersionEffective, &trial.VersionEffectiveBody{Statements: ids([]*trial.Statement{second}), Exempt: e})
			}
		},
	},
	{
		rule: "R06", name: "a form that is not effective",
		tell: func(y *story) {
			_, icf, _ := y.running()
			y.consents("consents", "701", y.icf("icf 2", replaces(icf)))
		},
		want: []string{"R06 major on consents: The consent form of this consent-manifest was not effective at site 701."},
	},
	{
		rule: "R06", name: "no form at all",
		tell: func(y *story) {
			y.protocol("protocol 1")
			y.register()
			y.seal("seal", 9)
			y.participant("701", nil)
		},
		want: []string{"R06 major on participant 701: The consent form of this first-participant was not effective at site 701."},
	},
	{
		rule: "R06", name: "a form that another replaced at the site",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.decides("decision", "701", "2026-01-05", trial.EthicsFavourable, second)
			y.effective("start", "701", "2026-01-05", second)
			y.consents("consents 701", "701", icf)
			y.consents("consents 704", "704", icf)
		},
		want: []string{"R06 major on consents 701: The consent form of this consent-manifest was not effective at site 701."},
	},
	{
		rule: "R06", name: "the form that is effective, named or not",
		tell: func(y *story) {
			_, icf, _ := y.running("participants")
			y.participant("701", icf)
			y.participant("704", nil)
			y.consents("consents", "701", icf)
		},
	},
}

func (y *story) consents(name, site string, icf *trial.Statement) {
	y.Helper()
	y.add(name, "pi"+site, site, trial.KindConsentManifest, &trial.ConsentManifestBody{ICF: icf.ID, Consents: 3, Cutoff: "2026-01-05"},
		subject("consents", trial.Commitment(sum(5)).Digests()))
}

const (
	unregistered = "The first participant of the trial came before any number of a public registry."
	notSealed    = "The first participant of the trial came before the randomisation list was sealed."
	notTheSealed = "The randomisation list that was revealed is not the one that was sealed, or the seal is not in effect."
	notLocked    = "The trial was unblinded while the database was not locked."
	noSecond     = "No other person endorsed the unblinding of a participant within 7 days."
)

// conductScenes are about registration, randomisation and blinding.
var conductScenes = []scene{
	{
		rule: "R02", name: "a participant before registration",
		tell: func(y *story) {
			y.running("registration")
			y.register()
		},
		want: []string{"R02 major on participant 701: " + unregistered},
	},
	{
		rule: "R02", name: "registered before", tell: func(y *story) { y.running() },
	},
	{
		rule: "R02", name: "registered within 21 days", charter: parameter(trial.ParameterRegistrationDays, 21),
		tell: func(y *story) {
			y.running("registration")
			y.pass(21 * day)
			y.register()
			y.pass(day)
		},
	},
	{
		rule: "R02", name: "not registered within 21 days", charter: parameter(trial.ParameterRegistrationDays, 21),
		tell: func(y *story) {
			y.running("registration")
			y.pass(22 * day)
			y.register()
		},
		want: []string{"R02 major on participant 701 by a time mark: No number of a public registry followed the first participant within 21 days."},
	},
	{
		rule: "R02", name: "no registration wanted", charter: parameter(trial.ParameterRegistrationDays, -1),
		tell: func(y *story) {
			y.running("registration")
			y.pass(100 * day)
		},
	},
	{
		rule: "R07", name: "no list sealed",
		tell: func(y *story) { y.running("seal") },
		want: []string{"R07 critical on participant 701: " + notSealed},
	},
	{
		rule: "R07", name: "a seal that nobody endorsed",
		tell: func(y *story) {
			_, icf, _ := y.running("seal", "participants")
			y.add("seal", "ustat", "", trial.KindRandomisationSeal, &trial.SealBody{Scheme: trial.CommitmentScheme},
				subject("randomisation-list", trial.Commitment(sum(9)).Digests()))
			y.participant("701", icf)
		},
		want: []string{"R07 critical on participant 701: " + notSealed},
	},
	{
		rule: "R07", name: "a trial without a list", charter: func(b *trial.CharterBody) { b.RandomisationList = false },
		tell: func(y *story) { y.running("seal") },
	},
	{
		rule: "R08", name: "the list that was sealed",
		tell: func(y *story) {
			_, _, seal := y.running()
			y.reveal("reveal", seal, 9)
		},
	},
	{
		rule: "R08", name: "another list",
		tell: func(y *story) {
			_, _, seal := y.running()
			y.reveal("reveal", seal, 8)
		},
		want: []string{"R08 critical on reveal: " + notTheSealed},
	},
	{
		rule: "R08", name: "a seal that is none, and one that is not in effect",
		tell: func(y *story) {
			p, _, _ := y.running()
			y.reveal("reveal", p, 9)
			pending := y.add("seal 2", "ustat", "", trial.KindRandomisationSeal, &trial.SealBody{Scheme: trial.CommitmentScheme},
				subject("randomisation-list", trial.Commitment(sum(10)).Digests()))
			y.reveal("reveal 2", pending, 10)
		},
		want: []string{"R08 critical on reveal: " + notTheSealed, "R08 critical on reveal 2: " + notTheSealed},
	},
	{
		rule: "R09", name: "unblinded before the lock",
		tell: func(y *story) {
			y.running()
			y.unblind("unblinding")
		},
		want: []string{"R09 critical on unblinding: " + notLocked},
	},
	{
		rule: "R09", name: "unblinded with an interim lock only",
		tell: func(y *story) {
			y.running()
			y.lockOf(trial.LockInterim, "snapshot", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.unblind("unblinding")
		},
		want: []string{"R09 critical on unblinding: " + notLocked},
	},
	{
		rule: "R09", name: "unblinded while an unlock is open",
		tell: func(y *story) {
			y.running()
			lock := y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.unlock("unlock", lock, trial.DataScope{Sites: []string{"701"}})
			y.unblind("unblinding")
		},
		want: []string{"R09 critical on unblinding: The trial was unblinded while an unlock was open."},
	},
	{
		rule: "R09", name: "unblinded after the lock",
		tell: func(y *story) {
			y.running()
			y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.unblind("unblinding")
		},
	},
	{
		rule: "R09", name: "an emergency with a second signature in time",
		tell: func(y *story) {
			y.running()
			e := y.emergency("emergency")
			y.pass(7 * day)
			y.endorse(e, "qa")
			y.pass(day)
		},
	},
	{
		rule: "R09", name: "an emergency whose second signature is late, or by the same person",
		tell: func(y *story) {
			y.running()
			e := y.emergency("emergency")
			y.endorse(e, "pi701")
			y.pass(8 * day)
			y.endorse(e, "qa")
		},
		want: []string{"R09 critical on emergency by a time mark: " + noSecond},
	},
	{
		rule: "R09", name: "the monitoring committee and the independent statistician", charter: func(b *trial.CharterBody) {
			b.UnblindingExempt = []string{"Monitoring Committee", "h-ustat"}
		},
		tell: func(y *story) {
			y.running()
			for _, who := range []string{"Monitoring Committee", "h-ustat", "h-dm"} {
				y.add("unblinding for "+who, "ustat", "", trial.KindUnblinding, &trial.UnblindingBody{Scope: trial.UnblindTrial, Recipient: who})
			}
		},
		want: []string{"R09 critical on unblinding for h-dm: " + notLocked},
	},
}

func (y *story) reveal(name string, seal *trial.Statement, n byte) {
	y.Helper()
	digests := append(trial.SHA256(sum(1)), trial.Commitment(sum(n)).Digests()...)
	y.add(name, "ustat", "", trial.KindRandomisationReveal, &trial.RevealBody{Seal: seal.ID, Salt: sum(3)}, subject("list.csv", digests))
}
