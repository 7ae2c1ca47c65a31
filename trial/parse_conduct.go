package trial

import "strings"

// Limits of the lists in the bodies about the conduct of a trial.
const (
	maxMembers  = 10_000 // of a lock; MaxPayload ends most lists earlier
	maxDatasets = 500
	maxItems    = 5000
)

func (r *reader) sap() *SAPBody {
	b := new(SAPBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "title":
			b.Title = r.line(maxText)
		default:
			r.unknown()
		}
	}
	return b
}

func (r *reader) authorityDecision() *AuthorityDecisionBody {
	b := new(AuthorityDecisionBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "authority":
			b.Authority = r.line(maxName)
		case "country":
			b.Country = r.country()
		case "reference":
			b.Reference = r.line(maxName)
		case "decision":
			b.Decision = oneOf(r, ethicsDecisions)
		case "date":
			b.Date = r.date()
		case "approves":
			b.Approves = r.ids(maxLineage)
		case "documents":
			b.Documents = r.documentRefs()
		default:
			r.unknown()
		}
	}
	r.require("authority", b.Authority != "")
	r.require("country", b.Country != "")
	r.require("decision", b.Decision != "")
	r.require("date", b.Date != "")
	return b
}

var exemptions = []Exemption{ExemptNoApproval, ExemptUrgent}

func (r *reader) versionEffective() *VersionEffectiveBody {
	b := new(VersionEffectiveBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "statements":
			b.Statements = r.ids(maxLineage)
		case "date":
			b.Date = r.date()
		case "activation":
			b.Activation = r.boolean()
		case "exempt":
			b.Exempt = oneOf(r, exemptions)
		default:
			r.unknown()
		}
	}
	r.require("statements", len(b.Statements) > 0)
	return b
}

func (r *reader) seal() *SealBody {
	b := new(SealBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "scheme":
			b.Scheme = oneOf(r, []string{CommitmentScheme})
		default:
			r.unknown()
		}
	}
	r.require("scheme", b.Scheme != "")
	return b
}

func (r *reader) reveal() *RevealBody {
	b := new(RevealBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "seal":
			b.Seal = r.statementID()
		case "salt":
			b.Salt = r.base64x32()
		default:
			r.unknown()
		}
	}
	r.require("seal", !b.Seal.IsZero())
	r.require("salt", b.Salt != [32]byte{})
	return b
}

func (r *reader) firstParticipant() *FirstParticipantBody {
	b := new(FirstParticipantBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "icf":
			b.ICF = r.statementID()
		default:
			r.unknown()
		}
	}
	return b
}

func (r *reader) consentManifest() *ConsentManifestBody {
	b := new(ConsentManifestBody)
	var consents bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "icf":
			b.ICF = r.statementID()
		case "consents":
			b.Consents, consents = r.number(), true
		case "cutoff":
			b.Cutoff = r.date()
		default:
			r.unknown()
		}
	}
	r.require("consents", consents)
	r.require("cutoff", b.Cutoff != "")
	return b
}

var withdrawalScopes = []WithdrawalScope{WithdrawnAllData, WithdrawnFutureData}

func (r *reader) consentWithdrawal() *ConsentWithdrawalBody {
	b := new(ConsentWithdrawalBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "withdrawn":
			if b.Withdrawn = r.number(); r.refusal == nil && b.Withdrawn == 0 {
				r.failf(ReasonBadNumber, "want at least one")
			}
		case "date":
			b.Date = r.date()
		case "scope":
			b.Scope = oneOf(r, withdrawalScopes)
		default:
			r.unknown()
		}
	}
	r.require("withdrawn", b.Withdrawn != 0)
	r.require("date", b.Date != "")
	r.require("scope", b.Scope != "")
	return b
}

func (r *reader) dataScope() DataScope {
	var s DataScope
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "sites":
			s.Sites = r.siteList()
		case "datasets":
			s.Datasets = listOf(r, maxDatasets, func() string { return r.line(maxName) })
		default:
			r.unknown()
		}
	}
	if s.Sites == nil && s.Datasets == nil {
		r.failf(ReasonBadValue, "empty: leave the field out where it is all of the data")
	}
	return s
}

var lockTypes = []LockType{LockInterim, LockSoft, LockFinal}

func (r *reader) lock() *LockBody {
	b := new(LockBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "label":
			b.Label = r.line(maxName)
		case "type":
			b.Type = oneOf(r, lockTypes)
		case "scope":
			b.Scope = r.dataScope()
		case "members":
			b.Members = r.ids(maxMembers)
		default:
			r.unknown()
		}
	}
	r.require("label", b.Label != "")
	r.require("type", b.Type != "")
	r.require("members", len(b.Members) > 0)
	return b
}

func (r *reader) unlock() *UnlockBody {
	b := new(UnlockBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "lock":
			b.Lock = r.statementID()
		case "scope":
			b.Scope = r.dataScope()
		default:
			r.unknown()
		}
	}
	r.require("lock", !b.Lock.IsZero())
	return b
}

var unblindingScopes = []UnblindingScope{UnblindTrial, UnblindParticipant}

func (r *reader) unblinding() *UnblindingBody {
	b := new(UnblindingBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "scope":
			b.Scope = oneOf(r, unblindingScopes)
		case "emergency":
			b.Emergency = r.boolean()
		case "recipient":
			b.Recipient = r.line(maxName)
		default:
			r.unknown()
		}
	}
	r.require("scope", b.Scope != "")
	return b
}

var safetyReportTypes = []SafetyReportType{SafetySUSAR, SafetySAE, SafetyDSUR, SafetyUSM, SafetyOther}

func (r *reader) safetyReport() *SafetyReportBody {
	b := new(SafetyReportBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "type":
			b.Type = oneOf(r, safetyReportTypes)
		case "received":
			b.Received = r.date()
		case "country":
			b.Country = r.country()
		case "reference":
			b.Reference = r.line(maxName)
		default:
			r.unknown()
		}
	}
	r.require("type", b.Type != "")
	r.require("received", b.Received != "")
	return b
}

var ipEvents = []IPEvent{IPShipment, IPReceipt, IPDispensing, IPReturn, IPDestruction}

func (r *reader) ipEvent() *IPEventBody {
	b := new(IPEventBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "event":
			b.Event = oneOf(r, ipEvents)
		case "eventId":
			b.EventID = r.line(maxName)
		case "items":
			b.Items = distinct(r, maxItems, func() string {
				return r.identifier(isItem, "an EPC or Digital Link URI, an SSCC, or the commitment to a lot in hexadecimal")
			})
		case "source":
			b.Source = r.placeID()
		case "destination":
			b.Destination = r.placeID()
		case "time":
			t := r.time()
			b.Time = &t
		default:
			r.unknown()
		}
	}
	r.require("event", b.Event != "")
	r.require("items", len(b.Items) > 0)
	moves := b.Event == IPShipment || b.Event == IPReturn
	r.require("source", b.Source != "" || b.Event == IPReceipt)
	r.require("destination", b.Destination != "" || !moves && b.Event != IPReceipt)
	switch {
	case r.refusal != nil:
	case b.Destination != "" && !moves && b.Event != IPReceipt:
		r.failAtf("destination", ReasonBadValue, "what is dispensed or destroyed goes nowhere")
	case b.Source == b.Destination:
		r.failAtf("destination", ReasonBadValue, "want another place than source")
	}
	return b
}

// placeID reads a place: a GLN, which has 13 digits, or a site's id.
func (r *reader) placeID() string {
	return r.identifier(isPlace, "a site's id, or a GLN of 13 digits with its check digit")
}

func isPlace(s string) bool {
	if shaped(s, "ddddddddddddd") {
		return gs1(s)
	}
	return isSite(s)
}

// isItem tells whether s names a product or a package of products: as a URI, by
// an SSCC, or only by the commitment to a lot.
func isItem(s string) bool {
	switch {
	case shaped(s, "dddddddddddddddddd"):
		return gs1(s)
	case len(s) == 64 && lowerHex(s):
		return true
	}
	for _, prefix := range []string{"urn:epc:id:", "urn:epc:class:", "urn:epc:idpat:", "https://id.gs1.org/"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return rest != "" && !strings.ContainsFunc(rest, func(c rune) bool { return c <= ' ' || c > '~' })
		}
	}
	return false
}

func (r *reader) auditTrail() *AuditTrailBody {
	b := new(AuditTrailBody)
	var records bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "date":
			b.Date = r.date()
		case "records":
			b.Records, records = r.number(), true
		case "sourceSystem":
			b.SourceSystem = r.line(maxName)
		default:
			r.unknown()
		}
	}
	r.require("date", b.Date != "")
	r.require("records", records)
	r.require("sourceSystem", b.SourceSystem != "")
	return b
}
