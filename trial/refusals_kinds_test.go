package trial

import "strings"

func inBody(name string) string { return "predicate.body." + name }

const anySubject = `"sha256":"` + anyHex + `"`

// add puts a member before another one.
func add(before, member string) func(string) string {
	return swap(`"`+before+`":`, member+`,"`+before+`":`)
}

// conductCases are about the bodies of what happens in a trial.
func conductCases() []refusalCase {
	const (
		lock, ip, veff = KindDatabaseLock, KindIPEvent, KindVersionEffective
	)
	return []refusalCase{
		{"plan's unknown field", KindSAP, add("title", `"phase":"3"`), ReasonUnknownField, inBody("phase"), false},
		{"authority without country", KindAuthorityDecision, cut(`"country":"DE",`), ReasonMissingField, inBody("country"), false},
		{"authority's decision", KindAuthorityDecision, set("decision", "maybe"), ReasonBadValue, inBody("decision"), false},
		{"effective without versions", veff, cut(`"statements":\[[^]]*\],`), ReasonMissingField, inBody("statements"), false},
		{"effective version no id", veff, with(`"statements":\["[0-9a-f]*"`, `"statements":["1.0"`), ReasonBadIdentifier, inBody("statements[0]"), false},
		{"effective on no date", veff, set("date", "2026-02-30"), ReasonBadTime, inBody("date"), true},
		{"effective at no site", veff, cut(`"site":"701",`), ReasonMissingField, "predicate.site", false},
		{"exempt for another reason", veff, add("date", `"exempt":"in a hurry"`), ReasonBadValue, inBody("exempt"), false},
		{"seal by another scheme", KindRandomisationSeal, set("scheme", "sha256(file)"), ReasonBadValue, inBody("scheme"), false},
		{"seal without scheme", KindRandomisationSeal, cut(`"scheme":"[^"]*"`), ReasonMissingField, inBody("scheme"), false},
		{"reveal of no seal", KindRandomisationReveal, cut(`"seal":"[^"]*",`), ReasonMissingField, inBody("seal"), false},
		{"reveal with a short salt", KindRandomisationReveal, with(`"body":\{(.*)"salt":"[^"]*"`, `"body":{$1"salt":"AAAA"`), ReasonBadValue, inBody("salt"), false},
		{"reveal with a salt of zeros", KindRandomisationReveal, with(`"body":\{(.*)"salt":"[^"]*"`, `"body":{$1"salt":"`+strings.Repeat("A", 43)+`="`), ReasonMissingField, inBody("salt"), false},
		{"reveal superseded", KindRandomisationReveal, add("declaredTime", `"supersedes":"`+anyHex+`","reason":"x"`), ReasonFieldNotAllowed, "predicate.supersedes", false},
		{"first participant's name", KindFirstParticipant, swap(`"body":{`, `"body":{"participant":"701-1015",`), ReasonUnknownField, inBody("participant"), false},
		{"first participant at no site", KindFirstParticipant, cut(`"site":"701",`), ReasonMissingField, "predicate.site", false},
		{"consents not counted", KindConsentManifest, cut(`"consents":[0-9]+,`), ReasonMissingField, inBody("consents"), false},
		{"consents counted in halves", KindConsentManifest, with(`"consents":[0-9]+`, `"consents":1.5`), ReasonBadNumber, inBody("consents"), false},
		{"consents with participants", KindConsentManifest, add("consents", `"participants":["701-1015"]`), ReasonUnknownField, inBody("participants"), false},
		{"nobody withdrew", KindConsentWithdrawal, with(`"withdrawn":1`, `"withdrawn":0`), ReasonBadNumber, inBody("withdrawn"), false},
		{"withdrawn for part", KindConsentWithdrawal, set("scope", "some"), ReasonBadValue, inBody("scope"), false},
		{"lock without members", lock, with(`"members":\[[^]]*\]`, `"members":[]`), ReasonBadValue, inBody("members"), false},
		{"lock's member twice", lock, with(`"members":\[("[^"]*")\]`, `"members":[$1,$1]`), ReasonDuplicateValue, inBody("members[1]"), false},
		{"lock's type", lock, set("type", "firm"), ReasonBadValue, inBody("type"), false},
		{"lock of an empty scope", lock, with(`"scope":\{[^}]*\}`, `"scope":{}`), ReasonBadValue, inBody("scope"), false},
		{"lock of more than there is", lock, with(`"scope":\{`, `"scope":{"countries":["DE"],`), ReasonUnknownField, inBody("scope.countries"), false},
		{"lock's dataset twice", lock, with(`"datasets":\["DM"\]`, `"datasets":["DM","DM"]`), ReasonDuplicateValue, inBody("scope.datasets[1]"), false},
		{"lock without label", lock, cut(`"label":"[^"]*",`), ReasonMissingField, inBody("label"), false},
		{"unlock of nothing", KindDatabaseUnlock, cut(`"lock":"[^"]*",`), ReasonMissingField, inBody("lock"), false},
		{"unlock of a site no site", KindDatabaseUnlock, swap(`"sites":["701"]`, `"sites":["7 01"]`), ReasonBadIdentifier, inBody("scope.sites[0]"), false},
		{"unlock without reason", KindDatabaseUnlock, cut(`"reason":"[^"]*",`), ReasonMissingReason, "predicate.reason", false},
		{"unblinding of a site", KindUnblinding, set("scope", "site"), ReasonBadValue, inBody("scope"), false},
		{"unblinding without reason", KindUnblinding, cut(`"reason":"[^"]*",`), ReasonMissingReason, "predicate.reason", false},
		{"unblinding superseded", KindUnblinding, add("reason", `"supersedes":"`+anyHex+`"`), ReasonFieldNotAllowed, "predicate.supersedes", false},
		{"safety report's type", KindSafetyReport, set("type", "rumour"), ReasonBadValue, inBody("type"), false},
		{"safety report not received", KindSafetyReport, cut(`"received":"[^"]*",`), ReasonMissingField, inBody("received"), false},
		{"product event", ip, set("event", "theft"), ReasonBadValue, inBody("event"), false},
		{"product event of nothing", ip, with(`"items":\[[^]]*\]`, `"items":[]`), ReasonBadValue, inBody("items"), false},
		{"product item twice", ip, with(`"items":\[("[^"]*"),"[^"]*"\]`, `"items":[$1,$1]`), ReasonDuplicateValue, inBody("items[1]"), false},
		{"product item no URI", ip, with(`"items":\["[^"]*"`, `"items":["kit 7"`), ReasonBadIdentifier, inBody("items[0]"), false},
		{"product item SSCC's check digit", ip, swap(`"106141412345678908"`, `"106141412345678907"`), ReasonBadIdentifier, inBody("items[1]"), true},
		{"product from a GLN's check digit", ip, set("source", "4012345000008"), ReasonBadIdentifier, inBody("source"), true},
		{"product from nowhere", ip, cut(`"source":"[^"]*",`), ReasonMissingField, inBody("source"), false},
		{"product to nowhere", ip, cut(`"destination":"[^"]*",`), ReasonMissingField, inBody("destination"), false},
		{"product to where it is", ip, set("source", "701"), ReasonBadValue, inBody("destination"), true},
		{"product dispensed to a place", ip, set("event", "dispensing"), ReasonBadValue, inBody("destination"), false},
		{"audit trail of no day", KindAuditTrail, cut(`"date":"[^"]*",`), ReasonMissingField, inBody("date"), false},
		{"audit trail not counted", KindAuditTrail, cut(`"records":[0-9]+,`), ReasonMissingField, inBody("records"), false},
	}
}

// aboutCases are about subjects: what each kind is about, and that no digest of
// what can be guessed gets in.
func aboutCases() []refusalCase {
	const digest = "subject[0].digest"
	sha := with(`"tn-commitment-v1":"[0-9a-f]*"`, anySubject)
	beside := with(`"tn-commitment-v1":`, anySubject+`,"tn-commitment-v1":`)
	renamed := with(`"name":"[^"]*"`, `"name":"list.csv"`)
	twice := swap(`"subject":[`, `"subject":[{"name":"x",`+`"digest":{`+anySubject+`}},`)
	var cases []refusalCase
	for _, k := range []Kind{KindRandomisationSeal, KindConsentManifest, KindConsentWithdrawal, KindUnblinding} {
		cases = append(cases,
			refusalCase{string(k) + " by SHA-256", k, sha, ReasonBadDigest, digest, false},
			refusalCase{string(k) + " with SHA-256 beside", k, beside, ReasonBadDigest, digest, false},
			refusalCase{string(k) + " by a file's name", k, renamed, ReasonBadName, "subject", false},
			refusalCase{string(k) + " with a file", k, twice, ReasonBadName, "subject", false},
			refusalCase{string(k) + " of a manifest", k, add("declaredTime", `"manifest":{"files":2}`), ReasonFieldNotAllowed, "predicate.manifest", false},
		)
	}
	for _, k := range []Kind{
		KindBaseline, KindVersionEffective, KindFirstParticipant, KindLastVisit, KindCloseout, KindDelegation, KindDatabaseUnlock,
		KindFindingResponse, KindRedaction,
	} {
		cases = append(cases,
			refusalCase{string(k) + " about something else", k, with(`"sha256":"[0-9a-f]*"`, anySubject), ReasonBadDigest, digest, true},
			refusalCase{string(k) + " about a file", k, renamed, ReasonBadName, "subject", false},
		)
	}
	return append(cases,
		refusalCase{"a file's commitment", KindDataset, with(`"sha256":`, `"tn-commitment-v1":"`+anyHex+`","sha256":`), ReasonBadDigest, digest, false},
		refusalCase{"a file's audit root", KindSafetyReport, with(`"sha256":`, `"tn-audit-v1":`), ReasonBadDigest, digest, false},
		refusalCase{"reveal without commitment", KindRandomisationReveal, with(`,"tn-commitment-v1":"[0-9a-f]*"`, ``), ReasonBadDigest, digest, false},
		refusalCase{"reveal without SHA-256", KindRandomisationReveal, with(`"sha256":"[0-9a-f]*",`, ``), ReasonBadDigest, digest, false},
		refusalCase{"reveal of a root too", KindRandomisationReveal, with(`"sha256":`, `"tn-audit-v1":"`+anyHex+`","sha256":`), ReasonBadDigest, digest, false},
		refusalCase{"reveal of two files", KindRandomisationReveal, twice, ReasonBadName, "subject", false},
		refusalCase{"audit trail under another name", KindAuditTrail, renamed, ReasonBadName, "subject[0].name", false},
		refusalCase{"audit trail with SHA-256", KindAuditTrail, with(`"tn-audit-v1":`, anySubject+`,"tn-audit-v1":`), ReasonBadDigest, digest, false},
		refusalCase{"audit trail's export committed", KindAuditTrail, with(`"sha256":`, `"tn-commitment-v1":`), ReasonBadDigest, "subject[1].digest", false},
		refusalCase{"verification of a root", KindVerification, with(`"sha256":`, `"tn-audit-v1":`), ReasonBadDigest, digest, false},
	)
}

// trialCases are about the bodies that concern the trial as a whole, and the
// charter's own rules.
func trialCases() []refusalCase {
	const c, b, d = KindCharter, KindBaseline, KindDelegation
	rule := func(change func(string) string) func(string) string {
		return func(doc string) string {
			return swap(`"blindingGuard"`, `"rules":[`+change(goodRule)+`],"blindingGuard"`)(doc)
		}
	}
	return []refusalCase{
		{"rule's id", c, rule(swap(`"OWN-1"`, `"own rule"`)), ReasonBadIdentifier, inBody("rules[0].id"), false},
		{"rule twice", c, rule(func(r string) string { return r + "," + r }), ReasonDuplicateValue, inBody("rules[1].id"), true},
		{"rule of no severity", c, rule(swap(`"minor"`, `"grave"`)), ReasonBadValue, inBody("rules[0].severity"), false},
		{"rule for no kind", c, rule(swap(`["dataset"]`, `[]`)), ReasonBadValue, inBody("rules[0].trigger"), false},
		{"rule for an unknown kind", c, rule(swap(`["dataset"]`, `["data-set"]`)), ReasonUnknownKind, inBody("rules[0].trigger[0]"), false},
		{"rule for time marks", c, rule(swap(`["dataset"]`, `["time-mark"]`)), ReasonUnknownKind, inBody("rules[0].trigger[0]"), false},
		{"rule without expression", c, rule(swap(`"expression":"facts.sapInEffect",`, ``)), ReasonMissingField, inBody("rules[0].expression"), false},
		{"rule without message", c, rule(swap(`,"message":"A plan comes first"`, ``)), ReasonMissingField, inBody("rules[0].message"), false},
		{"rule's unknown field", c, rule(swap(`"id"`, `"off":true,"id"`)), ReasonUnknownField, inBody("rules[0].off"), false},
		{"nobody exempt", c, swap(`"blindingGuard"`, `"unblindingExempt":[],"blindingGuard"`), ReasonBadValue, inBody("unblindingExempt"), false},
		{"exempt twice", c, swap(`"blindingGuard"`, `"unblindingExempt":["DMC","DMC"],"blindingGuard"`), ReasonDuplicateValue, inBody("unblindingExempt[1]"), false},
		{"parameter below the least", c, swap(`"endorsementDays":7`, `"endorsementDays":-9007199254740992`), ReasonNumberTooLarge, inBody("parameters.endorsementDays"), false},
		{"endorsed twice in one role", c, swap(`"biostatistician"`, `"sponsor-medical"`), ReasonDuplicateValue, inBody("endorsements.protocol[1]"), false},

		{"baseline of no day", b, cut(`"asOf":"[^"]*",`), ReasonMissingField, inBody("asOf"), false},
		{"baseline's document kind", b, with(`"documents":\[\{"kind":"protocol"`, `"documents":[{"kind":"dataset"`), ReasonBadValue, inBody("documents[0].kind"), false},
		{"baseline's document without version", b, cut(`"version":"0.9",`), ReasonMissingField, inBody("documents[0].version"), false},
		{"baseline's site twice", b, with(`"participants":\[(\{[^}]*\})\]`, `"participants":[$1,$1]`), ReasonDuplicateValue, inBody("participants[1].site"), true},
		{"baseline's seal", b, add("registered", `"sealed":["x"]`), ReasonBadDigest, inBody("sealed[0]"), false},
		{"baseline's lock", b, add("registered", `"locks":[{"label":"1","type":"final"}]`), ReasonMissingField, inBody("locks[0].date"), false},
		{"baseline superseded", b, add("signedTime", `"supersedes":"`+anyHex+`","reason":"x"`), ReasonFieldNotAllowed, "predicate.supersedes", false},

		{"delegation to itself", d, set("to", "Sponsor AG"), ReasonBadValue, inBody("to"), true},
		{"delegation of nothing", d, with(`"obligations":\[[^]]*\]`, `"obligations":[]`), ReasonBadValue, inBody("obligations"), false},
		{"delegation without begin", d, cut(`"begins":"[^"]*",`), ReasonMissingField, inBody("begins"), false},
		{"delegation that ends before", d, set("ends", "2020-01-01T00:00:00Z"), ReasonBadTime, inBody("ends"), true},
		{"delegation's key", d, with(`"keys":\["[^"]*"`, `"keys":["x"`), ReasonBadIdentifier, inBody("keys[0]"), false},

		{"response to no rule", KindFindingResponse, cut(`"rule":"[^"]*",`), ReasonMissingField, inBody("rule"), false},
		{"response without cause", KindFindingResponse, cut(`"cause":"[^"]*",`), ReasonMissingField, inBody("cause"), false},
		{"verdict", KindVerification, set("verdict", "fine"), ReasonBadValue, inBody("verdict"), false},
		{"transfer to itself", KindTransfer, set("to", "Sponsor AG"), ReasonBadValue, inBody("to"), true},
		{"transfer of what", KindTransfer, set("what", "everything"), ReasonBadValue, inBody("what"), false},
		{"redaction without basis", KindRedaction, cut(`,"legalBasis":"[^"]*"`), ReasonMissingField, inBody("legalBasis"), false},
		{"redaction without reason", KindRedaction, cut(`"reason":"[^"]*",`), ReasonMissingReason, "predicate.reason", false},
		{"closeout with a field", KindCloseout, add("salt", `"body":{"final":true}`), ReasonUnknownField, inBody("final"), false},
		{"last visit with a field", KindLastVisit, add("salt", `"body":{"visit":7}`), ReasonUnknownField, inBody("visit"), false},
	}
}

const goodRule = `{"id":"OWN-1","title":"A plan before data","clauses":["SOP 12"],"severity":"minor","trigger":["dataset"],` +
	`"when":"act.site != ''","expression":"facts.sapInEffect","message":"A plan comes first"}`
