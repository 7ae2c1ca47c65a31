package trial

// FreeText is a text of a body that a person wrote, with its place.
type FreeText struct {
	Path string // such as "predicate.body.title"
	Text string
}

// FreeTexts returns the texts of a body in which somebody could have written
// anything, those that are there.
func FreeTexts(body any) []FreeText {
	var out []FreeText
	add := func(field, text string) {
		if text != "" {
			out = append(out, FreeText{"predicate.body." + field, text})
		}
	}
	switch b := body.(type) {
	case *ProtocolBody:
		add("title", b.Title)
	case *AmendmentBody:
		add("title", b.Title)
	case *ICFBody:
		add("title", b.Title)
	case *SAPBody:
		add("title", b.Title)
	case *TMFBody:
		add("title", b.Title)
	case *EthicsDecisionBody:
		add("reference", b.Reference)
	case *AuthorityDecisionBody:
		add("reference", b.Reference)
	case *DataBody:
		add("dataset", b.Dataset)
		add("sourceSystem", b.SourceSystem)
	default:
		actTexts(body, add)
	}
	return out
}

// actTexts are the free texts of bodies about acts.
func actTexts(body any, add func(field, text string)) {
	switch b := body.(type) {
	case *LockBody:
		add("label", b.Label)
	case *UnblindingBody:
		add("recipient", b.Recipient)
	case *SafetyReportBody:
		add("reference", b.Reference)
	case *IPEventBody:
		add("eventId", b.EventID)
	case *AuditTrailBody:
		add("sourceSystem", b.SourceSystem)
	case *FindingResponseBody:
		add("cause", b.Cause) // a CAPA's reference looks like an id in most quality systems
	case *VerificationBody:
		add("note", b.Note)
	case *RedactionBody:
		add("legalBasis", b.LegalBasis)
	}
}
