package rules

import (
	"github.com/trialnotary/trialnotary/trial"
)

// documentScenes are about protocols, consent forms and analysis plans.
var documentScenes = []scene{
	{
		rule: "R01", name: "data before the protocol",
		tell: func(y *story) { y.data("data", "701", "AE", 1) },
		want: []string{"R01 major on data: This dataset was logged before the trial's first protocol."},
	},
	{
		rule: "R01", name: "data after a protocol that nobody endorsed yet",
		tell: func(y *story) {
			y.add("protocol", "cmo", "", trial.KindProtocol, nil, document("P", "1"))
			y.data("data", "701", "AE", 1)
		},
	},
	{
		rule: "R01", name: "what needs no protocol",
		tell: func(y *story) {
			y.add("letter", "cra", "", trial.KindTMFDocument, nil)
			y.register()
			y.add("transfer", "cra", "", trial.KindTransfer,
				&trial.TransferBody{From: sponsorName, To: "Another", Date: "2026-01-05", What: trial.TransferTMF})
		},
	},
	{
		rule: "R01", name: "data after a baseline",
		tell: func(y *story) {
			y.add("baseline", "dm", "", trial.KindBaseline, &trial.BaselineBody{AsOf: "2026-01-01"})
			y.data("data", "701", "AE", 1)
		},
	},
	{
		rule: "R03", name: "a version that replaces the current one",
		tell: func(y *story) {
			p, _, _ := y.running()
			second := y.protocol("protocol 2", replaces(p))
			y.amendment("amendment 3", replaces(second))
		},
	},
	{
		rule: "R03", name: "a version that replaces nothing",
		tell: func(y *story) {
			y.running()
			y.protocol("protocol 2")
		},
		want: []string{"R03 major on protocol 2 by stat's signature: This version took effect without replacing the version that was current: protocol 1."},
	},
	{
		rule: "R03", name: "a version behind the current one",
		tell: func(y *story) {
			p, _, _ := y.running()
			y.amendment("amendment 2", replaces(p))
			y.amendment("amendment 3", replaces(p))
		},
		want: []string{"R03 major on amendment 3 by stat's signature: This version took effect without replacing the version that was current: amendment 2."},
	},
	{
		rule: "R03", name: "a first version that replaces another document",
		tell: func(y *story) {
			p, _, _ := y.running()
			y.icf("leaflet", document("Leaflet", "1"), replaces(p))
		},
		want: []string{"R03 major on leaflet: This version says that it replaces a statement that is no version of this document in effect."},
	},
	{
		rule: "R03", name: "a version that never took effect, replaced",
		tell: func(y *story) {
			void := y.add("protocol 1a", "cmo", "", trial.KindProtocol, nil, document("P", "1a"))
			y.protocol("protocol 1", replaces(void))
		},
		want: []string{
			"R03 major on protocol 1 by stat's signature: This version says that it replaces a statement that is no version of this document in effect.",
			"R14 major on protocol 1a by protocol 1: This protocol was replaced by another while it lacked a signature of: biostatistician.",
		},
	},
	{
		rule: "R03", name: "a translation",
		tell: func(y *story) {
			y.running()
			german := y.icf("icf 1 de", inLanguage("de"))
			y.icf("icf 2 de", inLanguage("de"), replaces(german))
		},
	},
	{
		rule: "R03", name: "a translation that says to replace the original",
		tell: func(y *story) {
			_, icf, _ := y.running()
			y.icf("icf 1 de", inLanguage("de"), replaces(icf))
		},
		want: []string{"R03 major on icf 1 de: This version says that it replaces a statement that is no version of this document in effect."},
	},
	{
		rule: "R03", name: "a country's branch of an earlier version, and its own versions",
		tell: func(y *story) {
			p, _, _ := y.running()
			second := y.amendment("amendment 2", replaces(p))
			german := y.amendment("amendment 1 DE", scoped("DE"), replaces(p))
			y.amendment("amendment 2 DE", scoped("DE"), replaces(german))
			y.amendment("amendment 3 DE", scoped("DE"), replaces(second))
			y.amendment("amendment 3", replaces(second))
		},
	},
	{
		rule: "R03", name: "a country's version behind its own current one",
		tell: func(y *story) {
			p, _, _ := y.running()
			german := y.amendment("amendment 1 DE", scoped("DE"), replaces(p))
			y.amendment("amendment 2 DE", scoped("DE"), replaces(german))
			y.amendment("amendment 3 DE", scoped("DE"), replaces(german))
		},
		want: []string{"R03 major on amendment 3 DE by stat's signature: This version took effect without replacing the version that was current: amendment 2 DE."},
	},
	{
		rule: "R03", name: "a site's branch beside the trial's form",
		tell: func(y *story) {
			_, icf, _ := y.running()
			second := y.icf("icf 2", replaces(icf))
			y.add("icf 1 at 701", "pi701", "701", trial.KindICF, nil, document("ICF", "1-701"), replaces(icf))
			y.icf("icf 3", replaces(second))
		},
	},
	{
		rule: "R03", name: "a version for all that replaces a country's branch",
		tell: func(y *story) {
			p, _, _ := y.running()
			german := y.amendment("amendment 1 DE", scoped("DE"), replaces(p))
			y.amendment("amendment 2", replaces(german))
		},
		want: []string{"R03 major on amendment 2 by stat's signature: This version took effect without replacing the version that was current: protocol 1."},
	},
	{
		rule: "R03", name: "data, whose versions are not judged",
		tell: func(y *story) {
			y.running()
			first := y.data("data 1", "701", "AE", 1)
			y.data("data 2", "701", "AE", 2, replaces(first))
			y.data("data 3", "701", "AE", 3, replaces(first))
		},
	},
	{
		rule: "R03", name: "a document that a baseline names",
		tell: func(y *story) {
			b := y.add("baseline", "dm", "", trial.KindBaseline, &trial.BaselineBody{AsOf: "2026-01-01", Documents: []trial.BaselineDocument{
				{Kind: trial.KindProtocol, Document: &trial.Document{ID: "P"}, Version: "3"},
			}})
			y.amendment("amendment 4", replaces(b))
		},
	},
	{
		rule: "R16", name: "a plan replaced after unblinding",
		tell: func(y *story) {
			y.running("sap")
			plan := y.sap("sap 1")
			y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.unblind("unblinding")
			y.sap("sap 2", replaces(plan))
		},
		want: []string{"R16 critical on sap 2 by cmo's signature: A statistical analysis plan was replaced after the trial had been unblinded."},
	},
	{
		rule: "R16", name: "a plan replaced before unblinding, and after that of one participant",
		tell: func(y *story) {
			y.running("sap")
			first := y.sap("sap 1")
			second := y.sap("sap 2", replaces(first))
			y.endorse(y.emergency("emergency"), "qa")
			y.sap("sap 3", replaces(second))
		},
	},
	{
		rule: "R16", name: "another plan after unblinding",
		tell: func(y *story) {
			y.running()
			y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.unblind("unblinding")
			y.sap("explorative plan 1", document("Explorative SAP", "1"))
		},
	},
}

// amendment logs an amendment that takes effect.
func (y *story) amendment(name string, options ...option) *trial.Statement {
	y.Helper()
	return y.signedBy("stat", y.add(name, "cmo", "", trial.KindProtocolAmendment, &trial.AmendmentBody{Type: trial.AmendmentSubstantial},
		append([]option{document("P", name)}, options...)...))
}
