package trial

// Limits of the lists in the bodies about the trial itself.
const (
	maxObligations = 64
	maxBaseline    = 5000 // documents, sites and locks of a baseline, each
	maxOwnRules    = 100
	maxClauses     = 20
	maxExempt      = 100
)

func (r *reader) statementID() ID { return r.hash(ReasonBadIdentifier) }

func (r *reader) documentKind() Kind {
	return oneOf(r, []Kind{KindProtocol, KindProtocolAmendment, KindICF, KindSAP})
}

func (r *reader) version() string {
	return r.identifier(isVersion, "a version label of at most 32 characters, such as 3.1 or 2.1-FR")
}

// listIn reads a list of at least one and at most limit values that may repeat.
func listIn[T any](r *reader, limit int, value func() T) []T {
	var out []T
	r.begin('[')
	for r.more() {
		if len(out) == limit {
			r.failf(ReasonTooLarge, "got more than %d entries", limit)
			return nil
		}
		out = append(out, value())
	}
	r.notEmpty(len(out))
	return out
}

// distinct reads a list of many values, each once.
func distinct[T comparable](r *reader, limit int, value func() T) []T {
	seen := make(map[T]struct{})
	return listIn(r, limit, func() T {
		v := value()
		if _, dup := seen[v]; dup && r.refusal == nil {
			r.failf(ReasonDuplicateValue, "listed more than once")
		}
		seen[v] = struct{}{}
		return v
	})
}

func (r *reader) delegation() *DelegationBody {
	b := new(DelegationBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "from":
			b.From = r.line(maxName)
		case "to":
			b.To = r.line(maxName)
		case "obligations":
			b.Obligations = listOf(r, maxObligations, func() string { return r.line(maxName) })
		case "keys":
			b.Keys = distinct(r, maxBaseline, func() KeyID { return r.hash(ReasonBadIdentifier) })
		case "begins":
			b.Begins = r.time()
		case "ends":
			t := r.time()
			b.Ends = &t
		default:
			r.unknown()
		}
	}
	r.require("from", b.From != "")
	r.require("to", b.To != "")
	r.require("obligations", len(b.Obligations) > 0)
	r.require("begins", !b.Begins.IsZero())
	switch {
	case r.refusal != nil:
	case b.From == b.To:
		r.failAtf("to", ReasonBadValue, "nobody delegates to itself")
	case b.Ends != nil && !b.Begins.Before(*b.Ends):
		r.failAtf("ends", ReasonBadTime, "want a time after begins")
	}
	return b
}

func (r *reader) baseline() *BaselineBody {
	b := new(BaselineBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "asOf":
			b.AsOf = r.date()
		case "documents":
			b.Documents = listIn(r, maxBaseline, r.baselineDocument)
		case "participants":
			sites := make(map[string]struct{})
			b.Participants = listIn(r, maxSites, func() BaselineSite { return r.baselineSite(sites) })
		case "sealed":
			b.Sealed = distinct(r, maxBaseline, func() Commitment { return r.hash(ReasonBadDigest) })
		case "locks":
			b.Locks = listIn(r, maxBaseline, r.baselineLock)
		case "unblinded":
			b.Unblinded = r.boolean()
		case "registered":
			b.Registered = r.boolean()
		default:
			r.unknown()
		}
	}
	r.require("asOf", b.AsOf != "")
	return b
}

func (r *reader) baselineDocument() BaselineDocument {
	var d BaselineDocument
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "kind":
			d.Kind = r.documentKind()
		case "document":
			d.Document = r.document()
		case "version":
			d.Version = r.version()
		case "sites":
			d.Sites = r.siteList()
		default:
			r.unknown()
		}
	}
	r.require("kind", d.Kind != "")
	r.require("version", d.Version != "")
	return d
}

func (r *reader) baselineSite(seen map[string]struct{}) BaselineSite {
	var s BaselineSite
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "site":
			s.Site = r.siteID()
		case "first":
			s.First = r.date()
		default:
			r.unknown()
		}
	}
	r.require("site", s.Site != "")
	r.require("first", s.First != "")
	if _, dup := seen[s.Site]; dup && r.refusal == nil {
		r.failAtf("site", ReasonDuplicateValue, "listed more than once")
	}
	seen[s.Site] = struct{}{}
	return s
}

func (r *reader) baselineLock() BaselineLock {
	var l BaselineLock
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "label":
			l.Label = r.line(maxName)
		case "type":
			l.Type = oneOf(r, lockTypes)
		case "date":
			l.Date = r.date()
		default:
			r.unknown()
		}
	}
	r.require("label", l.Label != "")
	r.require("type", l.Type != "")
	r.require("date", l.Date != "")
	return l
}

var severities = []Severity{SeverityCritical, SeverityMajor, SeverityMinor}

// ownRules reads the sponsor's rules. What their expressions say is checked by
// who compiles them.
func (r *reader) ownRules() []OwnRule {
	seen := make(map[string]struct{})
	return listIn(r, maxOwnRules, func() OwnRule {
		rule := r.ownRule()
		if _, dup := seen[rule.ID]; dup && r.refusal == nil {
			r.failAtf("id", ReasonDuplicateValue, "another rule has this id")
		}
		seen[rule.ID] = struct{}{}
		return rule
	})
}

func (r *reader) ruleID() string {
	return r.identifier(isRuleID, "a rule's id: at most 40 letters, digits and . _ -")
}

func (r *reader) ownRule() OwnRule {
	var o OwnRule
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "id":
			o.ID = r.ruleID()
		case "title":
			o.Title = r.line(maxName)
		case "clauses":
			o.Clauses = listOf(r, maxClauses, func() string { return r.line(maxName) })
		case "severity":
			o.Severity = oneOf(r, severities)
		case "trigger":
			o.Trigger = listOf(r, maxKinds, r.triggerKind)
		case "when":
			o.When = r.text()
		case "expression":
			o.Expression = r.text()
		case "message":
			o.Message = r.text()
		default:
			r.unknown()
		}
	}
	r.require("id", o.ID != "")
	r.require("title", o.Title != "")
	r.require("severity", o.Severity != "")
	r.require("trigger", len(o.Trigger) > 0)
	r.require("expression", o.Expression != "")
	r.require("message", o.Message != "")
	return o
}

// triggerKind reads a kind that a rule looks at. It must be known: a rule that
// never looks would pass for one that is kept.
func (r *reader) triggerKind() Kind {
	k := Kind(r.identifier(isKind, "a kind: at most 40 lowercase letters, digits or -"))
	if r.refusal == nil && (!k.Known() || k == KindTimeMark) {
		r.failf(ReasonUnknownKind, "no rule can look at this kind")
	}
	return k
}

var transferWhats = []TransferWhat{TransferSponsorship, TransferTMF, TransferData, TransferOther}

func (r *reader) transfer() *TransferBody {
	b := new(TransferBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "from":
			b.From = r.line(maxName)
		case "to":
			b.To = r.line(maxName)
		case "date":
			b.Date = r.date()
		case "what":
			b.What = oneOf(r, transferWhats)
		default:
			r.unknown()
		}
	}
	r.require("from", b.From != "")
	r.require("to", b.To != "")
	r.require("date", b.Date != "")
	r.require("what", b.What != "")
	if r.refusal == nil && b.From == b.To {
		r.failAtf("to", ReasonBadValue, "want another organisation than from")
	}
	return b
}

func (r *reader) redaction() *RedactionBody {
	b := new(RedactionBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "statement":
			b.Statement = r.statementID()
		case "legalBasis":
			b.LegalBasis = r.line(maxName)
		default:
			r.unknown()
		}
	}
	r.require("statement", !b.Statement.IsZero())
	r.require("legalBasis", b.LegalBasis != "")
	return b
}

func (r *reader) findingResponse() *FindingResponseBody {
	b := new(FindingResponseBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "rule":
			b.Rule = r.ruleID()
		case "statement":
			b.Statement = r.statementID()
		case "cause":
			b.Cause = r.text()
		case "capa":
			b.CAPA = r.line(maxName)
		default:
			r.unknown()
		}
	}
	r.require("rule", b.Rule != "")
	r.require("statement", !b.Statement.IsZero())
	r.require("cause", b.Cause != "")
	return b
}

var verdicts = []Verdict{VerdictIdentical, VerdictSameData, VerdictDataDiffer, VerdictNotComparable, VerdictNotNotarized}

func (r *reader) verification() *VerificationBody {
	b := new(VerificationBody)
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "statements":
			b.Statements = r.ids(maxLineage)
		case "verdict":
			b.Verdict = oneOf(r, verdicts)
		case "note":
			b.Note = r.text()
		default:
			r.unknown()
		}
	}
	r.require("verdict", b.Verdict != "")
	return b
}
