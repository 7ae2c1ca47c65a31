package trial

// bodies makes and reads the body of each kind.
var bodies = map[Kind]bodyForm{
	KindCharter:             bodyOf((*reader).charter),
	KindBaseline:            bodyOf((*reader).baseline),
	KindKeyEnrolment:        bodyOf((*reader).enrolment),
	KindKeyRevocation:       bodyOf((*reader).revocation),
	KindKeyRecovery:         bodyOf((*reader).recovery),
	KindDelegation:          bodyOf((*reader).delegation),
	KindRegistration:        bodyOf((*reader).registration),
	KindProtocol:            bodyOf((*reader).protocol),
	KindProtocolAmendment:   bodyOf((*reader).amendment),
	KindICF:                 bodyOf((*reader).icf),
	KindEthicsDecision:      bodyOf((*reader).ethicsDecision),
	KindAuthorityDecision:   bodyOf((*reader).authorityDecision),
	KindVersionEffective:    bodyOf((*reader).versionEffective),
	KindSAP:                 bodyOf((*reader).sap),
	KindRandomisationSeal:   bodyOf((*reader).seal),
	KindRandomisationReveal: bodyOf((*reader).reveal),
	KindFirstParticipant:    bodyOf((*reader).firstParticipant),
	KindLastVisit:           bodyOf(noFields[LastVisitBody]),
	KindDataset:             bodyOf((*reader).data),
	KindDerivedDataset:      bodyOf((*reader).data),
	KindConsentManifest:     bodyOf((*reader).consentManifest),
	KindConsentWithdrawal:   bodyOf((*reader).consentWithdrawal),
	KindDatabaseLock:        bodyOf((*reader).lock),
	KindDatabaseUnlock:      bodyOf((*reader).unlock),
	KindUnblinding:          bodyOf((*reader).unblinding),
	KindSafetyReport:        bodyOf((*reader).safetyReport),
	KindIPEvent:             bodyOf((*reader).ipEvent),
	KindTMFDocument:         bodyOf((*reader).tmf),
	KindAuditTrail:          bodyOf((*reader).auditTrail),
	KindEndorsement:         bodyOf((*reader).endorsement),
	KindFindingResponse:     bodyOf((*reader).findingResponse),
	KindVerification:        bodyOf((*reader).verification),
	KindTransfer:            bodyOf((*reader).transfer),
	KindRedaction:           bodyOf((*reader).redaction),
	KindCloseout:            bodyOf(noFields[CloseoutBody]),
	KindTimeMark:            bodyOf((*reader).timeMark),
}

type bodyForm struct {
	fresh func() any
	read  func(*reader) any
}

func bodyOf[T any](read func(*reader) *T) bodyForm {
	return bodyForm{func() any { return new(T) }, func(r *reader) any { return read(r) }}
}

// parseBody reads the body of a known kind.
func parseBody(r *reader, kind Kind) any { return bodies[kind].read(r) }

// NewBody returns an empty body of a kind, such as a *DataBody, to be filled in;
// nil where the kind is not known.
func NewBody(kind Kind) any {
	b, ok := bodies[kind]
	if !ok {
		return nil
	}
	return b.fresh()
}

// noFields reads the body of a kind that has no fields.
func noFields[T any](r *reader) *T {
	r.begin('{')
	for r.next() {
		r.unknown()
	}
	return new(T)
}

func (r *reader) registration() *RegistrationBody {
	b := new(RegistrationBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "registry":
			b.Registry = oneOf(r, registries)
		case "number":
			b.Number = r.line(maxName)
		case "date":
			b.Date = r.date()
		default:
			r.unknown()
		}
	}
	r.require("registry", b.Registry != "")
	r.require("number", b.Number != "")
	if r.refusal == nil && !schemes[b.Registry](b.Number) {
		r.failAtf("number", ReasonBadIdentifier, "want a number of the registry %s", b.Registry)
	}
	return b
}

func (r *reader) country() string {
	return r.identifier(isCountry, "a country code of two capital letters")
}

func (r *reader) countries() []string { return listOf(r, maxCountries, r.country) }

func (r *reader) protocol() *ProtocolBody {
	b := new(ProtocolBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "title":
			b.Title = r.line(maxText)
		case "countries":
			b.Countries = r.countries()
		default:
			r.unknown()
		}
	}
	return b
}

var amendmentTypes = []AmendmentType{AmendmentSubstantial, AmendmentNonSubstantial, AmendmentUrgent}

func (r *reader) amendment() *AmendmentBody {
	b := new(AmendmentBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "type":
			b.Type = oneOf(r, amendmentTypes)
		case "title":
			b.Title = r.line(maxText)
		case "countries":
			b.Countries = r.countries()
		default:
			r.unknown()
		}
	}
	r.require("type", b.Type != "")
	return b
}

func (r *reader) icf() *ICFBody {
	b := new(ICFBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "title":
			b.Title = r.line(maxText)
		case "protocol":
			b.Protocol = r.hash(ReasonBadIdentifier)
		case "countries":
			b.Countries = r.countries()
		default:
			r.unknown()
		}
	}
	return b
}

var ethicsDecisions = []EthicsDecision{
	EthicsFavourable, EthicsConditional, EthicsUnfavourable, EthicsAcknowledged, EthicsNotRequired, EthicsWithdrawn,
	EthicsRequestsChange,
}

func (r *reader) ethicsDecision() *EthicsDecisionBody {
	b := new(EthicsDecisionBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "committee":
			b.Committee = r.line(maxName)
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
	r.require("committee", b.Committee != "")
	r.require("decision", b.Decision != "")
	r.require("date", b.Date != "")
	return b
}

func (r *reader) documentRefs() []DocumentRef {
	var out []DocumentRef
	r.begin('[')
	for r.more() {
		if len(out) == maxLineage {
			r.failf(ReasonTooLarge, "got more than %d entries", maxLineage)
			return nil
		}
		var d DocumentRef
		r.begin('{')
		for r.next() {
			switch string(r.name) {
			case "id":
				d.ID = r.identifier(isDocument, "a document's id of at most 128 characters")
			case "version":
				d.Version = r.identifier(isVersion, "a version label of at most 32 characters, such as 3.1 or 2.1-FR")
			default:
				r.unknown()
			}
		}
		r.require("id", d.ID != "")
		r.require("version", d.Version != "")
		out = append(out, d)
	}
	r.notEmpty(len(out))
	return out
}

var (
	dataOrigins  = []DataOrigin{OriginSite, OriginEDC, OriginLab, OriginEPRO, OriginIRT, OriginSponsor}
	dataPurposes = []DataPurpose{PurposeRoutine, PurposeInterim, PurposeDMC, PurposeLock, PurposeSubmission}
)

func (r *reader) data() *DataBody {
	b := new(DataBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "origin":
			b.Origin = oneOf(r, dataOrigins)
		case "purpose":
			b.Purpose = oneOf(r, dataPurposes)
		case "dataset":
			b.Dataset = r.line(maxName)
		case "sourceSystem":
			b.SourceSystem = r.line(maxName)
		case "extractTime":
			t := r.time()
			b.ExtractTime = &t
		case "cutoff":
			b.Cutoff = r.date()
		case "dictionaries":
			b.Dictionaries = r.dictionaries()
		case "migration":
			b.Migration = r.boolean()
		case "final":
			b.Final = r.boolean()
		case "encoding":
			b.Encoding = r.identifier(isEncoding, "the IANA name of an encoding in lower case, such as windows-1252")
		default:
			r.unknown()
		}
	}
	r.require("origin", b.Origin != "")
	r.require("purpose", b.Purpose != "")
	return b
}

// dictionaries reads versions by the names of dictionaries, such as MedDRA.
func (r *reader) dictionaries() map[string]string {
	out := make(map[string]string)
	r.begin('{')
	for r.next() {
		name := string(r.name)
		version := r.line(maxName)
		switch {
		case r.refusal != nil:
		case !word(name, 64, " ._-"):
			r.failf(ReasonBadIdentifier, "want a dictionary's name of at most 64 characters")
		case len(out) == maxMap:
			r.failf(ReasonTooLarge, "got more than %d entries", maxMap)
		default:
			out[name] = version
		}
	}
	r.notEmpty(len(out))
	return out
}

func (r *reader) tmf() *TMFBody {
	b := new(TMFBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "artifact":
			b.Artifact = r.identifier(isArtifact, "a TMF Reference Model number such as 02.01.02")
		case "title":
			b.Title = r.line(maxText)
		case "date":
			b.Date = r.date()
		default:
			r.unknown()
		}
	}
	return b
}

func (r *reader) endorsement() *EndorsementBody {
	b := new(EndorsementBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "statement":
			b.Statement = r.hash(ReasonBadIdentifier)
		case "decision":
			b.Decision = oneOf(r, []string{DecisionEndorsed})
		default:
			r.unknown()
		}
	}
	r.require("statement", !b.Statement.IsZero())
	r.require("decision", b.Decision != "")
	return b
}

func (r *reader) timeMark() *TimeMarkBody {
	b := new(TimeMarkBody)
	var size, root bool
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "origin":
			b.Origin = r.identifier(isOrigin, "a log's name: a bare host name in lower case")
		case "time":
			b.Time = r.time()
		case "size":
			b.Size, size = r.number(), true
		case "root":
			b.Root, root = r.base64x32(), true
		default:
			r.unknown()
		}
	}
	r.require("origin", b.Origin != "")
	r.require("time", !b.Time.IsZero())
	r.require("size", size)
	r.require("root", root)
	return b
}
