package trial

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// refusalCase is one way to spoil an example of docs/statements.md.
type refusalCase struct {
	name   string
	kind   Kind
	change func(doc string) string
	reason Reason
	path   string // "*" for any
	// beyondSchema: a JSON Schema cannot tell.
	beyondSchema bool
}

func swap(was, fresh string) func(string) string {
	return func(doc string) string {
		if !strings.Contains(doc, was) {
			panic("no " + was + " in " + doc)
		}
		return strings.Replace(doc, was, fresh, 1)
	}
}

func cut(pattern string) func(string) string { return with(pattern, "") }

func with(pattern, value string) func(string) string {
	re := regexp.MustCompile(pattern)
	return func(doc string) string {
		if !re.MatchString(doc) {
			panic("no " + pattern + " in " + doc)
		}
		done := false
		return re.ReplaceAllStringFunc(doc, func(m string) string {
			if done {
				return m
			}
			done = true
			return re.ReplaceAllString(m, value)
		})
	}
}

func set(field, value string) func(string) string {
	return func(doc string) string { return replaceValue(doc, field, value) }
}

func refusalCases() []refusalCase {
	var all []refusalCase
	all = append(all, formCases()...)
	all = append(all, fieldCases()...)
	all = append(all, subjectCases()...)
	all = append(all, bodyCases()...)
	all = append(all, authorityCases()...)
	all = append(all, conductCases()...)
	all = append(all, aboutCases()...)
	all = append(all, trialCases()...)
	return all
}

func formCases() []refusalCase {
	const d = KindDataset
	extra := swap(`"kind":`, `"extra":1,"kind":`)
	return []refusalCase{
		{"not JSON", d, func(string) string { return "statement" }, ReasonMalformedStatement, "", true},
		{"cut off", d, func(s string) string { return s[:len(s)-1] }, ReasonMalformedStatement, "", true},
		{"a list", d, func(s string) string { return "[" + s + "]" }, ReasonMalformedStatement, "", false},
		{"two documents", d, func(s string) string { return s + s }, ReasonMalformedStatement, "", true},
		{"too large", d, func(s string) string { return s + strings.Repeat(" ", MaxPayload) }, ReasonTooLarge, "", true},
		{"unknown field", d, swap(`{"_type"`, `{"note":"x","_type"`), ReasonUnknownField, "note", false},
		{"unknown field of the predicate", d, extra, ReasonUnknownField, "predicate.extra", false},
		{"field in another case", d, swap(`"kind":`, `"Kind":`), ReasonUnknownField, "predicate.Kind", false},
		{"field with blanks", d, swap(`"kind":`, `" kind":`), ReasonUnknownField, `predicate[" kind"]`, false},
		{"duplicate field", d, swap(`"kind":`, `"site":"701","kind":`), ReasonDuplicateField, "predicate.site", true},
		{"escaped duplicate", d, swap(`"kind":`, `"s\u0069te":"701","kind":`), ReasonDuplicateField, "predicate.site", true},
		{"duplicate in a body", d, swap(`"purpose":`, `"origin":"edc","purpose":`), ReasonDuplicateField, "predicate.body.origin", true},
		{"bad UTF-8", d, set("sourceSystem", "\xff"), ReasonBadUTF8, "*", true},
		{"lone surrogate", d, set("sourceSystem", `\udc00`), ReasonBadUTF8, "*", true},
		{"deep nesting where a string belongs", d, swap(`"site":"701"`, `"site":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)), ReasonMalformedStatement, "predicate.site", true},
		{"null", d, swap(`"site":"701"`, `"site":null`), ReasonMalformedStatement, "predicate.site", false},
		{"a number for a string", d, swap(`"site":"701"`, `"site":701`), ReasonMalformedStatement, "predicate.site", false},
		{"a string for a number", d, with(`"size":[0-9]+`, `"size":"4"`), ReasonMalformedStatement, "predicate.seen.size", false},
		{"a string for an object", d, with(`"seen":\{[^}]*\}`, `"seen":"x"`), ReasonMalformedStatement, "predicate.seen", false},
		{"a number for a boolean", d, swap(`"purpose":`, `"migration":1,"purpose":`), ReasonMalformedStatement, "predicate.body.migration", false},
		{"empty string", d, set("site", ""), ReasonBadValue, "predicate.site", false},
		{"2^53", d, with(`"size":[0-9]+`, `"size":9007199254740992`), ReasonNumberTooLarge, "predicate.seen.size", false},
		{"beyond 2^64", d, with(`"size":[0-9]+`, `"size":99999999999999999999`), ReasonNumberTooLarge, "predicate.seen.size", false},
		{"large with exponent", d, with(`"size":[0-9]+`, `"size":1e300`), ReasonNumberTooLarge, "predicate.seen.size", false},
		{"negative", d, with(`"size":[0-9]+`, `"size":-1`), ReasonBadNumber, "predicate.seen.size", false},
		{"fraction", d, with(`"size":[0-9]+`, `"size":1.5`), ReasonBadNumber, "predicate.seen.size", false},
		{"whole with exponent", d, with(`"size":[0-9]+`, `"size":1e2`), ReasonBadNumber, "predicate.seen.size", true},
		{"2^53 where nothing is understood", d, unknownKind(`{"n":[9007199254740992]}`), ReasonNumberTooLarge, "predicate.body.n[0]", true},
		{"-2^53 where nothing is understood", d, unknownKind(`{"n":-9007199254740992}`), ReasonNumberTooLarge, "predicate.body.n", true},
		{"1e17 where nothing is understood", d, unknownKind(`{"n":1e17}`), ReasonNumberTooLarge, "predicate.body.n", true},
		{"too deep where nothing is understood", d, unknownKind(strings.Repeat("[", 40) + strings.Repeat("]", 40)), ReasonTooDeep, "*", true},
		{"NUL where nothing is understood", d, unknownKind(`{"n":"\u0000"}`), ReasonForbiddenCharacter, "predicate.body.n", true},
		{"bidi name where nothing is understood", d, unknownKind("{\"n\u202e\":1}"), ReasonForbiddenCharacter, "*", true},
		{"duplicate where nothing is understood", d, unknownKind(`{"n":1,"n":2}`), ReasonDuplicateField, "predicate.body.n", true},
	}
}

func unknownKind(body string) func(string) string {
	return func(doc string) string {
		return with(`"body":\{.*\}\}\}$`, `"body":`+body+`}}`)(strings.Replace(doc, `"kind":"dataset"`, `"kind":"unknown-kind"`, 1))
	}
}

func fieldCases() []refusalCase {
	const d = KindDataset
	cases := []refusalCase{
		{"no _type", d, cut(`"_type":"[^"]*",`), ReasonMissingField, "_type", false},
		{"another _type", d, swap("/Statement/v1", "/Statement/v0.1"), ReasonMalformedStatement, "_type", false},
		{"no predicateType", d, cut(`"predicateType":"[^"]*",`), ReasonMissingField, "predicateType", false},
		{"another predicateType", d, swap("/statement/v1", "/statement/v2"), ReasonMalformedStatement, "predicateType", false},
		{"no kind", d, swap(`"kind":"dataset",`, ``), ReasonMissingField, "predicate.kind", false},
		{"kind in capitals", d, set("kind", "Dataset"), ReasonBadIdentifier, "predicate.kind", false},
		{"no charter", d, cut(`"charter":"[0-9a-f]*",`), ReasonMissingField, "predicate.charter", false},
		{"charter too short", d, set("charter", anyHex[:62]), ReasonBadIdentifier, "predicate.charter", false},
		{"charter in capitals", d, set("charter", strings.ToUpper(anyHex)), ReasonBadIdentifier, "predicate.charter", false},
		{"no signer", d, cut(`"signer":\{[^}]*\},`), ReasonMissingField, "predicate.signer", false},
		{"no signer's name", d, cut(`"name":"Cora North",`), ReasonMissingField, "predicate.signer.name", false},
		{"no signer's key", d, cut(`"keyId":"[0-9a-f]*",`), ReasonMissingField, "predicate.signer.keyId", false},
		{"no signer's role", d, cut(`"role":"[a-z-]*",`), ReasonMissingField, "predicate.signer.role", false},
		{"no signedTime", d, cut(`"signedTime":\{[^}]*\},`), ReasonMissingField, "predicate.signedTime", false},
		{"no declaredTime", d, cut(`"declaredTime":\{[^}]*\},`), ReasonMissingField, "predicate.declaredTime", false},
		{"no meaning", d, cut(`"meaning":"[a-z-]*",`), ReasonMissingField, "predicate.meaning", false},
		{"another meaning", d, set("meaning", "opinion"), ReasonBadValue, "predicate.meaning", false},
		{"no salt", d, cut(`"salt":"[^"]*",`), ReasonMissingField, "predicate.salt", false},
		{"zero salt", d, set("salt", strings.Repeat("A", 43)+"="), ReasonBadValue, "predicate.salt", false},
		{"short salt", d, set("salt", "AAAA"), ReasonBadValue, "predicate.salt", false},
		{"time with offset", d, set("utc", "2026-03-01T09:30:00+01:00"), ReasonBadTime, "predicate.signedTime.utc", false},
		{"time with microseconds", d, set("utc", "2026-03-01T09:30:00.000001Z"), ReasonBadTime, "predicate.signedTime.utc", false},
		{"30 February", d, set("utc", "2026-02-30T09:30:00Z"), ReasonBadTime, "predicate.signedTime.utc", true},
		{"leap second", d, set("utc", "2026-06-30T23:59:60Z"), ReasonBadTime, "predicate.signedTime.utc", false},
		{"no zone", d, cut(`,"zone":"Europe/Berlin"`), ReasonMissingField, "predicate.declaredTime.zone", false},
		{"zone with a path", d, set("zone", "../etc/passwd"), ReasonBadTime, "predicate.signedTime.zone", false},
		{"site with a blank", d, set("site", "7 01"), ReasonBadIdentifier, "predicate.site", false},
		{"site too long", d, set("site", strings.Repeat("7", 21)), ReasonBadIdentifier, "predicate.site", false},
		{"site far too long", d, set("site", strings.Repeat("7", 300)), ReasonTooLarge, "predicate.site", false},
		{"version too long", KindProtocol, set("version", strings.Repeat("1", 33)), ReasonBadIdentifier, "predicate.version", false},
		{"unknown registry", d, swap(`"kind":`, `"trial":{"who":"1"},"kind":`), ReasonUnknownField, "predicate.trial.who", false},
		{"empty trial", d, swap(`"kind":`, `"trial":{},"kind":`), ReasonBadValue, "predicate.trial", false},
		{"bad NCT", d, swap(`"kind":`, `"trial":{"nct":"NCT0457330"},"kind":`), ReasonBadIdentifier, "predicate.trial.nct", false},
		{"supersedes without reason", KindProtocolAmendment, cut(`"reason":"[^"]*",`), ReasonMissingReason, "predicate.reason", false},
		{"language", KindProtocol, set("language", "english language"), ReasonBadIdentifier, "predicate.document.language", false},
		{"empty document", KindProtocol, with(`"document":\{[^}]*\}`, `"document":{}`), ReasonBadValue, "predicate.document", false},
		{"empty lineage", KindDerivedDataset, with(`"lineage":\[[^]]*\]`, `"lineage":[]`), ReasonBadValue, "predicate.lineage", false},
		{"lineage twice", KindDerivedDataset, with(`"lineage":\["([^"]*)"\]`, `"lineage":["$1","$1"]`), ReasonDuplicateValue, "predicate.lineage[1]", false},
		{"lineage too long", KindDerivedDataset, longLineage, ReasonTooLarge, "predicate.lineage[999]", false},
		{"seen without size", d, cut(`"size":[0-9]+,`), ReasonMissingField, "predicate.seen.size", false},
		{"time mark with a trial", KindTimeMark, swap(`"kind":`, `"trial":{"nct":"NCT04573309"},"kind":`), ReasonFieldNotAllowed, "predicate.trial", false},
		{"time mark with a site", KindTimeMark, swap(`"kind":`, `"site":"701","kind":`), ReasonFieldNotAllowed, "predicate.site", false},
		{"charter with a charter", KindCharter, swap(`"kind":`, `"charter":"`+anyHex+`","kind":`), ReasonFieldNotAllowed, "predicate.charter", false},
		{"endorsement that supersedes", KindEndorsement, swap(`"kind":`, `"supersedes":"`+anyHex+`","reason":"x","kind":`), ReasonFieldNotAllowed, "predicate.supersedes", false},
	}
	// Each class of character that cannot be seen, in a name.
	for _, ch := range []string{`\u0000`, `\u001b`, `\n`, "\u007f", "\u0085", "\u061c", "\u200e", "\u200f", "\u2028", "\u202a", "\u202e", "\u2066", "\u2069"} {
		cases = append(cases, refusalCase{"name with " + ch, d, set("organisation", "Clinic"+ch+"North"), ReasonForbiddenCharacter, "predicate.signer.organisation", false})
	}
	return append(cases,
		refusalCase{"site with NUL", d, set("site", `701\u0000`), ReasonForbiddenCharacter, "predicate.site", false},
		refusalCase{"reason with bidi", KindProtocolAmendment, set("reason", "a\u202eb"), ReasonForbiddenCharacter, "predicate.reason", false},
	)
}

func longLineage(doc string) string {
	ids := make([]string, 1001)
	for i := range ids {
		ids[i] = `"` + anyHex[:59] + string([]byte{'a', hexDigit(i / 4096), hexDigit(i / 256), hexDigit(i / 16), hexDigit(i)}) + `"`
	}
	return with(`"lineage":\[[^]]*\]`, `"lineage":[`+strings.Join(ids, ",")+`]`)(doc)
}

func hexDigit(i int) byte { return "0123456789abcdef"[i%16] }

func subjectCases() []refusalCase {
	const d = KindDataset
	name := func(title, value string, reason Reason) refusalCase {
		return refusalCase{title, d, swap(`"dm.json"`, `"`+value+`"`), reason, "subject[0].name", false}
	}
	digest := func(title, was, fresh, path string) refusalCase {
		return refusalCase{title, d, swap(was, fresh), ReasonBadDigest, path, false}
	}
	sha := `"sha256":"` + hexOf('5') + `"`
	return []refusalCase{
		{"empty subjects", d, with(`"subject":\[.*?\],"predicateType"`, `"subject":[],"predicateType"`), ReasonMissingField, "subject", false},
		{"no name", d, swap(`"name":"dm.json",`, ``), ReasonMissingField, "subject[0].name", false},
		{"same name twice", d, swap(`"subject":[`, `"subject":[{"name":"dm.json","digest":{`+sha+`}},`), ReasonDuplicateValue, "subject[1].name", true},
		name("absolute path", "/dm.json", ReasonBadName),
		name("drive", "C:/dm.json", ReasonBadName),
		name("backslash", `a\\dm.json`, ReasonBadName),
		name("parent", "a/../dm.json", ReasonBadName),
		name("current", "./dm.json", ReasonBadName),
		name("empty segment", "a//dm.json", ReasonBadName),
		name("trailing slash", "a/", ReasonBadName),
		name("NUL", `dm\u0000.json`, ReasonForbiddenCharacter),
		name("bidi override", `dm\u202enosj.exe`, ReasonForbiddenCharacter),
		name("too long", strings.Repeat("a", 1025), ReasonTooLarge),
		digest("short digest", sha, `"sha256":"`+anyHex[:62]+`"`, "subject[0].digest.sha256"),
		digest("long digest", sha, `"sha256":"`+anyHex+`00"`, "subject[0].digest.sha256"),
		digest("digest in capitals", sha, `"sha256":"`+strings.ToUpper(anyHex)+`"`, "subject[0].digest.sha256"),
		digest("digest of another name", sha, sha+`,"md5":"`+anyHex+`"`, "subject[0].digest"),
		digest("digest's name in capitals", sha, `"SHA256":"`+anyHex+`"`, "subject[0].digest.SHA256"),
		digest("table alone", sha+",", "", "subject[0].digest"),
		digest("manifest beside sha256", sha, sha+`,"tn-manifest-v1":"`+anyHex+`"`, "subject[0].digest"),
		{"no digest", d, with(`"digest":\{[^}]*\}`, `"digest":{}`), ReasonBadDigest, "subject[0].digest", false},
		{"manifest of how many", d, with(`"digest":\{[^}]*\}`, `"digest":{"tn-manifest-v1":"`+anyHex+`"}`), ReasonMissingField, "predicate.manifest", true},
		{"manifest beside files", d, with(`"subject":\[`, `"subject":[{"name":"x","digest":{"tn-manifest-v1":"`+anyHex+`"}},`), ReasonBadDigest, "subject", false},
		{"no manifest", d, swap(`"kind":`, `"manifest":{"files":2},"kind":`), ReasonFieldNotAllowed, "predicate.manifest", false},
		{"manifest of nothing", d, swap(`"kind":`, `"manifest":{"files":0},"kind":`), ReasonBadNumber, "predicate.manifest.files", false},
		{"endorsement of a file", KindEndorsement, swap(`"name":"statement"`, `"name":"dm.json"`), ReasonBadName, "subject", false},
		{"endorsement of something else", KindEndorsement, with(`"sha256":"[0-9a-f]*"`, `"sha256":"`+anyHex+`"`), ReasonBadDigest, "subject[0].digest", true},
	}
}

func bodyCases() []refusalCase {
	return []refusalCase{
		{"unknown field of a body", KindDataset, swap(`"purpose":`, `"subjects":97,"purpose":`), ReasonUnknownField, "predicate.body.subjects", false},
		{"body a list", KindProtocol, with(`"body":\{[^}]*\}`, `"body":[]`), ReasonMalformedStatement, "predicate.body", false},
		{"body missing", KindRegistration, cut(`,"body":\{[^}]*\}`), ReasonMissingField, "predicate.body", false},
		{"no data origin", KindDataset, cut(`"origin":"edc",`), ReasonMissingField, "predicate.body.origin", false},
		{"another purpose", KindDataset, set("purpose", "fun"), ReasonBadValue, "predicate.body.purpose", false},
		{"encoding in capitals", KindDataset, swap(`"purpose":`, `"encoding":"Windows-1252","purpose":`), ReasonBadIdentifier, "predicate.body.encoding", false},
		{"encoding no name", KindDataset, swap(`"purpose":`, `"encoding":"windows 1252","purpose":`), ReasonBadIdentifier, "predicate.body.encoding", false},
		{"cutoff a time", KindDataset, set("cutoff", "2026-02-27T00:00:00Z"), ReasonBadTime, "predicate.body.cutoff", false},
		{"31 April", KindDataset, set("cutoff", "2026-04-31"), ReasonBadTime, "predicate.body.cutoff", true},
		{"dictionary's name", KindDataset, swap(`"MedDRA"`, `"Med/DRA"`), ReasonBadIdentifier, `predicate.body.dictionaries["Med/DRA"]`, false},
		{"amendment type", KindProtocolAmendment, set("type", "large"), ReasonBadValue, "predicate.body.type", false},
		{"no amendment type", KindProtocolAmendment, cut(`"type":"substantial",`), ReasonMissingField, "predicate.body.type", false},
		{"country in small letters", KindProtocolAmendment, swap(`"DE"`, `"de"`), ReasonBadIdentifier, "predicate.body.countries[0]", false},
		{"country twice", KindProtocolAmendment, swap(`"FR"`, `"DE"`), ReasonDuplicateValue, "predicate.body.countries[1]", false},
		{"no committee", KindEthicsDecision, cut(`"committee":"[^"]*",`), ReasonMissingField, "predicate.body.committee", false},
		{"another decision", KindEthicsDecision, set("decision", "maybe"), ReasonBadValue, "predicate.body.decision", false},
		{"document without version", KindEthicsDecision, swap(`"committee":`, `"documents":[{"id":"a"}],"committee":`), ReasonMissingField, "predicate.body.documents[0].version", false},
		{"TMF artifact", KindTMFDocument, set("artifact", "5.2.1"), ReasonBadIdentifier, "predicate.body.artifact", false},
		{"unknown registry", KindRegistration, set("registry", "who"), ReasonBadValue, "predicate.body.registry", false},
		{"number of another registry", KindRegistration, set("number", "NCT04573309"), ReasonBadIdentifier, "predicate.body.number", true},
		{"number not in trial", KindRegistration, set("isrctn", "ISRCTN54460429"), ReasonRegistryMismatch, "predicate.trial", true},
		{"endorsement refused", KindEndorsement, set("decision", "refused"), ReasonBadValue, "predicate.body.decision", false},
		{"mark's origin", KindTimeMark, set("origin", "notary.example/log1"), ReasonBadIdentifier, "predicate.body.origin", false},
		{"mark's root", KindTimeMark, set("root", "AAAA"), ReasonBadValue, "predicate.body.root", false},
		{"mark's time", KindTimeMark, set("time", "2026-03-01T09:30:01Z"), ReasonBadValue, "predicate.signedTime", true},
		{"mark's size", KindTimeMark, with(`"size":[0-9]+`, `"size":99`), ReasonBadDigest, "subject[0].digest", true},
		{"mark's role", KindTimeMark, set("role", "sponsor"), ReasonRoleNotAllowed, "predicate.signer.role", true},
		{"mark's meaning", KindTimeMark, swap(`"salt":`, `"meaning":"opinion","salt":`), ReasonBadValue, "predicate.meaning", false},
	}
}

func authorityCases() []refusalCase {
	const c, e = KindCharter, KindKeyEnrolment
	body := func(name string) string { return "predicate.body." + name }
	return []refusalCase{
		{"charter signed by another", c, set("keyId", anyHex), ReasonUnknownKey, "predicate.signer.keyId", true},
		{"sponsor key no key", c, set("sponsorKey", "AAAA"), ReasonMalformedKey, body("sponsorKey"), true},
		{"sponsor key not base64", c, set("sponsorKey", "MFkw!"), ReasonMalformedStatement, body("sponsorKey"), false},
		{"recovery key the sponsor's", c, sameKeys, ReasonKeyInUse, body("recoveryKey"), true},
		{"no recovery key", c, cut(`"recoveryKey":"[^"]*",`), ReasonMissingField, body("recoveryKey"), false},
		{"no proof", c, cut(`"sponsorProof":"[^"]*",`), ReasonMissingField, body("sponsorProof"), false},
		{"short proof", c, set("sponsorProof", "AAAA"), ReasonBadPossessionProof, body("sponsorProof"), false},
		{"no sites", c, with(`"sites":\[.*?\]`, `"sites":[]`), ReasonMissingField, body("sites"), false},
		{"site twice", c, swap(`"id":"704"`, `"id":"701"`), ReasonDuplicateValue, body("sites[1].id"), true},
		{"GLN", c, set("gln", "4012345000008"), ReasonBadIdentifier, body("sites[1].gln"), true},
		{"empty parameters", c, with(`"parameters":\{[^}]*\}`, `"parameters":{}`), ReasonBadValue, body("parameters"), false},
		{"empty endorsements", c, with(`"endorsements":\{[^}]*\}`, `"endorsements":{}`), ReasonBadValue, body("endorsements"), false},
		{"parameter's name", c, swap(`"endorsementDays"`, `"Endorsement-days"`), ReasonBadIdentifier, body("parameters.Endorsement-days"), false},
		{"parameter a fraction", c, swap(`"endorsementDays":7`, `"endorsementDays":7.5`), ReasonBadNumber, body("parameters.endorsementDays"), false},
		{"endorsement by an unknown role", c, swap(`"biostatistician"`, `"wizard"`), ReasonUnknownRole, body("endorsements"), true},
		{"added role of the list", c, swap(`"imaging-reader"`, `"qa"`), ReasonBadValue, body("roles[0]"), false},
		{"added role of a site", c, swap(`"imaging-reader"`, `"site-nurse"`), ReasonBadValue, body("roles[0]"), false},
		{"blinding guard", c, set("blindingGuard", "maybe"), ReasonBadValue, body("blindingGuard"), false},
		{"rule pack", c, swap(`"blindingGuard"`, `"rulePack":"x","blindingGuard"`), ReasonBadDigest, body("rulePack"), false},

		{"holder id", e, set("holderId", "u 17"), ReasonBadIdentifier, body("holderId"), false},
		{"ORCID check digit", e, set("orcid", "0000-0002-1825-0098"), ReasonBadIdentifier, body("orcid"), true},
		{"no kinds", e, with(`"kinds":\[[^]]*\]`, `"kinds":[]`), ReasonBadValue, body("kinds"), false},
		{"kinds of authority", e, swap(`"kinds":[`, `"kinds":["key-revocation",`), ReasonKindNotAllowed, body("kinds[0]"), false},
		{"kind time-mark", e, swap(`"kinds":[`, `"kinds":["time-mark",`), ReasonKindNotAllowed, body("kinds[0]"), false},
		{"neither sites nor all", e, swap(`"allSites":true,`, ``), ReasonMissingField, body("sites"), false},
		{"sites and all", e, swap(`"allSites":true,`, `"allSites":true,"sites":["701"],`), ReasonBadValue, body("sites"), false},
		{"a site's holder at all sites", e, set("organisationType", "site"), ReasonBadValue, body("allSites"), false},
		{"investigator of a sponsor", e, swap(`"roles":["regulatory"]`, `"roles":["investigator"]`), ReasonRoleNotAllowed, body("roles"), true},
		{"person in a system's role", e, swap(`"roles":["regulatory"]`, `"roles":["edc-system"]`), ReasonRoleNotAllowed, body("roles"), true},
		{"system in a person's role", e, func(s string) string {
			return set("holder", "system")(cut(`"orcid":"[^"]*",`)(s))
		}, ReasonRoleNotAllowed, body("roles"), true},
		{"until before from", e, set("until", "2020-01-01T00:00:00Z"), ReasonBadTime, body("until"), true},
		{"subject of another key", e, with(`"sha256":"[0-9a-f]*"`, `"sha256":"`+anyHex+`"`), ReasonBadDigest, "subject[0].digest", true},

		{"cause", KindKeyRevocation, set("cause", "bored"), ReasonBadValue, body("cause"), false},
		{"suspect since -1", KindKeyRevocation, with(`"suspectSince":[0-9]+`, `"suspectSince":-1`), ReasonBadNumber, body("suspectSince"), false},
		{"no last trusted index", KindKeyRecovery, cut(`"lastTrustedIndex":[0-9]+,`), ReasonMissingField, body("lastTrustedIndex"), false},
		{"confirmed twice", KindKeyRecovery, with(`"confirmed":\["([^"]*)"\]`, `"confirmed":["$1","$1"]`), ReasonDuplicateValue, body("confirmed[1]"), false},
	}
}

func sameKeys(doc string) string {
	key := regexp.MustCompile(`"sponsorKey":"([^"]*)"`).FindStringSubmatch(doc)[1]
	return replaceValue(doc, "recoveryKey", key)
}

func testSources(tb testing.TB) [][]byte {
	tb.Helper()
	names, err := filepath.Glob("*_test.go")
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// reasonNames returns the names of the constants by their values.
func reasonNames(tb testing.TB) map[Reason]string {
	tb.Helper()
	src, err := os.ReadFile("reason.go")
	if err != nil {
		tb.Fatal(err)
	}
	out := map[Reason]string{}
	for _, m := range regexp.MustCompile(`(Reason\w+)\s+Reason = "(\w+)"`).FindAllStringSubmatch(string(src), -1) {
		out[Reason(m[2])] = m[1]
	}
	return out
}
