package chronology

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/trialnotary/trialnotary/trial"
)

// kindWords are what people call the kinds.
var kindWords = map[trial.Kind]string{
	trial.KindCharter: "Charter", trial.KindBaseline: "Baseline of a running trial", trial.KindKeyEnrolment: "Key enrolment",
	trial.KindKeyRevocation: "Key revocation", trial.KindKeyRecovery: "Recovery of the sponsor's key", trial.KindDelegation: "Delegation",
	trial.KindRegistration: "Registration", trial.KindProtocol: "Protocol", trial.KindProtocolAmendment: "Protocol amendment",
	trial.KindICF: "Consent form", trial.KindEthicsDecision: "Ethics decision", trial.KindAuthorityDecision: "Authority decision",
	trial.KindVersionEffective: "Version effective", trial.KindSAP: "Statistical analysis plan",
	trial.KindRandomisationSeal: "Randomisation list sealed", trial.KindRandomisationReveal: "Randomisation list opened",
	trial.KindFirstParticipant: "First participant", trial.KindLastVisit: "Last visit of the last participant",
	trial.KindDataset: "Dataset", trial.KindDerivedDataset: "Derived dataset", trial.KindConsentManifest: "Consents",
	trial.KindConsentWithdrawal: "Consent withdrawn", trial.KindDatabaseLock: "Database lock", trial.KindDatabaseUnlock: "Unlock",
	trial.KindUnblinding: "Unblinding", trial.KindSafetyReport: "Safety report", trial.KindIPEvent: "Product",
	trial.KindTMFDocument: "Trial master file", trial.KindAuditTrail: "Audit trail", trial.KindEndorsement: "Endorsement",
	trial.KindFindingResponse: "Answer to a finding", trial.KindVerification: "Verification", trial.KindTransfer: "Transfer",
	trial.KindRedaction: "Redaction", trial.KindCloseout: "Closeout", trial.KindTimeMark: "Time mark",
}

// KindWord returns what people call a kind.
func KindWord(k trial.Kind) string {
	if w, ok := kindWords[k]; ok {
		return w
	}
	return string(k)
}

// title says what a statement is. It holds what its signer wrote, and no more of
// it than fits on a line.
func (c *Chronology) title(st *trial.Statement) string {
	p := &st.Predicate
	text := KindWord(p.Kind)
	switch b := p.Body.(type) {
	case *trial.CharterBody:
		text = joined(text, "of "+b.SponsorOrganisation)
	case *trial.EndorsementBody:
		text = joined(text, "of "+c.named(b.Statement))
	case *trial.FindingResponseBody:
		text = fmt.Sprintf("%s: %s on %s", text, b.Rule, c.named(b.Statement))
	case *trial.UnlockBody:
		text = joined(text, "of "+c.named(b.Lock))
	case *trial.RevealBody:
		text += ": " + c.named(b.Seal)
	case *trial.VersionEffectiveBody:
		if b.Activation {
			text = "Site activated"
		}
		text = joined(text, "with "+c.namedAll(b.Statements))
	case *trial.EthicsDecisionBody:
		text = joined(decision(text, b.Decision, b.Date), "for "+c.decided(b.Approves, b.Documents))
	case *trial.AuthorityDecisionBody:
		text = joined(decision(text+" ("+b.Country+")", b.Decision, b.Date), "for "+c.decided(b.Approves, b.Documents))
	case *trial.VerificationBody:
		text = strings.TrimSuffix(text+": "+strings.ReplaceAll(string(b.Verdict), "-", " ")+". "+b.Note, ". ")
	default:
		text = plain(text, st)
	}
	return short(text)
}

func decision(text string, d trial.EthicsDecision, date string) string {
	return fmt.Sprintf("%s of %s: %s", text, date, strings.ReplaceAll(string(d), "-", " "))
}

func joined(a, b string) string { return strings.TrimSpace(a + " " + b) }

// plain is the title of a statement that speaks of no other.
func plain(text string, st *trial.Statement) string {
	p := &st.Predicate
	switch b := p.Body.(type) {
	case *trial.EnrolmentBody:
		return fmt.Sprintf("%s: %s, %s", text, b.Organisation, rolesText(b.Roles))
	case *trial.RevocationBody:
		return fmt.Sprintf("%s: %s", text, strings.ReplaceAll(string(b.Cause), "-", " "))
	case *trial.DelegationBody:
		return fmt.Sprintf("%s from %s to %s", text, b.From, b.To)
	case *trial.RegistrationBody:
		return joined(text, b.Number)
	case *trial.BaselineBody:
		return text + " as of " + b.AsOf
	case *trial.DataBody:
		return data(text, p, b)
	case *trial.LockBody:
		return fmt.Sprintf("%s %s (%s), %s", text, b.Label, b.Type, count(len(b.Members), "member"))
	case *trial.AuditTrailBody:
		return fmt.Sprintf("%s of %s, %s: %s", text, b.SourceSystem, b.Date, count(int(min(b.Records, 1<<62)), "record"))
	case *trial.AmendmentBody:
		return document(text, p) + " (" + string(b.Type) + ")"
	default:
		return conduct(text, st)
	}
}

// conduct is the title of a statement about people, products and papers.
func conduct(text string, st *trial.Statement) string {
	p := &st.Predicate
	switch b := p.Body.(type) {
	case *trial.UnblindingBody:
		text = joined(text, "of the "+string(b.Scope))
		if b.Scope == trial.UnblindParticipant {
			text = KindWord(p.Kind) + " of one participant"
		}
		if b.Emergency {
			text += ", an emergency"
		}
		if b.Recipient != "" {
			text += ", to " + b.Recipient
		}
		return text
	case *trial.ConsentManifestBody:
		return fmt.Sprintf("%s up to %s: %d", text, b.Cutoff, b.Consents)
	case *trial.ConsentWithdrawalBody:
		return fmt.Sprintf("%s: %d, %s", text, b.Withdrawn, strings.ReplaceAll(string(b.Scope), "-", " "))
	case *trial.SafetyReportBody:
		return strings.TrimSuffix(text+" ("+strings.ToUpper(string(b.Type))+") "+b.Reference, " ")
	case *trial.IPEventBody:
		return fmt.Sprintf("%s: %s of %s", text, b.Event, count(len(b.Items), "item"))
	case *trial.TMFBody:
		return joined(joined(text, b.Artifact), b.Title)
	case *trial.TransferBody:
		return fmt.Sprintf("%s of %s from %s to %s", text, b.What, b.From, b.To)
	case *trial.RedactionBody:
		return text + ": " + b.LegalBasis
	default:
		return document(text, p)
	}
}

// data names a dataset, its source and its purpose.
func data(text string, p *trial.Predicate, b *trial.DataBody) string {
	text = joined(text, b.Dataset)
	if b.SourceSystem != "" {
		text += " from " + b.SourceSystem
	}
	text += " (" + string(b.Purpose)
	if b.Migration {
		text += ", a backfill"
	}
	if b.Cutoff != "" {
		text += ", cut-off " + b.Cutoff
	}
	if p.Version != "" {
		text += ", version " + p.Version
	}
	return text + ")"
}

// document names a document by its version, and by its id where that says more
// than the kind.
func document(text string, p *trial.Predicate) string {
	if d := p.Document; d != nil {
		if d.ID != "" && !strings.EqualFold(d.ID, string(p.Kind)) && !strings.EqualFold(d.ID, "randomisation-list") && !strings.HasPrefix(strings.ToLower(text), strings.ToLower(d.ID)) {
			text += " " + d.ID
		}
		if p.Version != "" {
			text += " " + p.Version
		}
		for _, more := range []string{d.Language, d.Scope} {
			if more != "" {
				text += ", " + more
			}
		}
		return text
	}
	return joined(text, p.Version)
}

// named speaks of another statement by its index.
func (c *Chronology) named(id trial.ID) string {
	n, ok := c.names[id]
	if !ok {
		return "statement " + id.String()[:12] + "…, which is not in this view"
	}
	return fmt.Sprintf("entry %d (%s)", n.index, n.title)
}

// namedAll names at most a few.
func (c *Chronology) namedAll(ids []trial.ID) string {
	const most = 4
	var out []string
	for i, id := range ids {
		if i == most {
			out = append(out, strconv.Itoa(len(ids)-most)+" more")
			break
		}
		out = append(out, c.titled(id))
	}
	return strings.Join(out, ", ")
}

func (c *Chronology) titled(id trial.ID) string {
	if n, ok := c.names[id]; ok {
		return n.title
	}
	return "statement " + id.String()[:12] + "…"
}

func (c *Chronology) decided(ids []trial.ID, documents []trial.DocumentRef) string {
	out := c.namedAll(ids)
	for i := range documents {
		if i == 4 {
			out += ", …"
			break
		}
		if out != "" {
			out += ", "
		}
		out += documents[i].ID + " " + documents[i].Version
	}
	return out
}

func rolesText(roles []trial.Role) string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return strings.Join(out, ", ")
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// maxTitle bounds a title in characters: titles name other titles.
const maxTitle = 160

func short(s string) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) > maxTitle {
		r = append(r[:maxTitle], '…')
	}
	return string(r)
}

// detail says what else there is to say of an event.
func detail(ev *trial.Event, reason string) string {
	a := ev.Act
	switch ev.Type {
	case trial.EventNoEffect:
		if ev.Refusal != nil {
			return "No effect: " + ev.Refusal.Detail
		}
		return "No effect"
	case trial.EventLogged:
		if a.Status == trial.StatusPending {
			waits := "Waits for " + rolesText(a.Missing())
			if reason != "" {
				return reason + ". " + waits
			}
			return waits
		}
		return reason
	case trial.EventEffect:
		return "Takes effect, endorsed by " + rolesText(a.Required)
	case trial.EventVoided:
		if ev.Cause == trial.VoidKey {
			return "Void while it waited: its key is not trusted any more"
		}
		return "Void while it waited: replaced by a later one"
	case trial.EventOverdue:
		return "Overdue: still waits for " + rolesText(a.Missing())
	case trial.EventDeadline:
		if ev.Deadline == trial.DeadlineRegistration {
			return "Overdue: no registry number yet"
		}
		return "Overdue: no second signature yet"
	case trial.EventCloseout:
		return "Void: closed while it waited for " + rolesText(a.Missing())
	default:
		return reason
	}
}
