package timeline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/trialnotary/trialnotary/trial"
)

// draft is a statement before it is signed.
type draft struct {
	trial.Predicate
	subjects []trial.Subject
}

// kindsOf tells which kind an event's type is of; a derived dataset's follows from
// its object.
var kindsOf = map[string]trial.Kind{
	"PROTOCOL": trial.KindProtocol, "PROTOCOL_AMENDMENT": trial.KindProtocolAmendment, "ICF": trial.KindICF, "SAP": trial.KindSAP,
	"REGISTRY_ID": trial.KindRegistration, "IRB_APPROVAL": trial.KindEthicsDecision,
	"SITE_ACTIVATED": trial.KindVersionEffective, "VERSION_EFFECTIVE": trial.KindVersionEffective,
	"RAND_LIST_SEAL": trial.KindRandomisationSeal, "RAND_LIST_REVEAL": trial.KindRandomisationReveal,
	"FIRST_PARTICIPANT": trial.KindFirstParticipant, "LAST_PARTICIPANT_LAST_VISIT": trial.KindLastVisit,
	"DATASET": trial.KindDataset, "DB_LOCK": trial.KindDatabaseLock, "DB_UNLOCK": trial.KindDatabaseUnlock,
	"UNBLINDING": trial.KindUnblinding, "INSPECTION_EXPORT": trial.KindVerification, "CLOSEOUT": trial.KindCloseout,
}

// acts fill in what is particular to a type of events.
var acts = map[string]func(*writer, *Event, *draft) error{
	"PROTOCOL": (*writer).document, "PROTOCOL_AMENDMENT": (*writer).document, "ICF": (*writer).document, "SAP": (*writer).document,
	"REGISTRY_ID": (*writer).registration, "IRB_APPROVAL": (*writer).ethics,
	"SITE_ACTIVATED": (*writer).effective, "VERSION_EFFECTIVE": (*writer).effective,
	"RAND_LIST_SEAL": (*writer).sealed, "RAND_LIST_REVEAL": (*writer).revealed,
	"FIRST_PARTICIPANT": (*writer).bare, "LAST_PARTICIPANT_LAST_VISIT": (*writer).bare, "CLOSEOUT": (*writer).bare,
	"DATASET": (*writer).dataset, "DB_LOCK": (*writer).locked, "DB_UNLOCK": (*writer).unlocked,
	"UNBLINDING": (*writer).unblinded, "INSPECTION_EXPORT": (*writer).inspected,
}

var needsObject = map[string]bool{
	"PROTOCOL": true, "PROTOCOL_AMENDMENT": true, "ICF": true, "SAP": true, "IRB_APPROVAL": true, "RAND_LIST_SEAL": true,
	"RAND_LIST_REVEAL": true, "DATASET": true, "DB_LOCK": true,
}

func (w *writer) bare(*Event, *draft) error { return nil }

func sum(name, text string) ([32]byte, error) {
	var out [32]byte
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(out) {
		return out, fmt.Errorf("%s: got %q, want 64 hexadecimal characters", name, text)
	}
	return [32]byte(b), nil
}

// file takes the event's file as the subject.
func (d *draft) file(o *Object) error {
	digest, err := sum("object.sha256", o.SHA256)
	if err != nil {
		return err
	}
	d.subjects = []trial.Subject{{Name: path.Base(o.File), Digests: trial.SHA256(digest)}}
	return nil
}

// commit takes a commitment as the subject.
func (d *draft) commit(name, field, text string) error {
	digest, err := sum(field, text)
	if err != nil {
		return err
	}
	d.subjects = []trial.Subject{{Name: name, Digests: trial.Commitment(digest).Digests()}}
	return nil
}

// replaces resolves the file that is replaced.
func (w *writer) replaces(o *Object, d *draft) error {
	if o.Supersedes == "" {
		return nil
	}
	id, ok := w.byFile[o.Supersedes]
	if !ok {
		return fmt.Errorf("object.supersedes: no statement in effect carries the file %s", o.Supersedes)
	}
	d.Supersedes = id
	if d.Reason == "" {
		d.Reason = "a newer version"
	}
	return nil
}

func (w *writer) document(e *Event, d *draft) error {
	o := e.Object
	d.Version = o.Version
	d.Document = &trial.Document{ID: strings.TrimSuffix(e.Type, "_AMENDMENT")}
	if o.Scope != "" && o.Scope != "global" {
		d.Document.Scope = o.Scope
	}
	if e.Type == "PROTOCOL_AMENDMENT" {
		b := &trial.AmendmentBody{Type: trial.AmendmentNonSubstantial}
		if o.Substantial {
			b.Type = trial.AmendmentSubstantial
		}
		d.Body = b
	}
	if err := w.replaces(o, d); err != nil {
		return err
	}
	return d.file(o)
}

func (w *writer) registration(e *Event, d *draft) error {
	if e.Registry != "ClinicalTrials.gov" {
		return fmt.Errorf("registry: got %q, want ClinicalTrials.gov", e.Registry)
	}
	d.Body = &trial.RegistrationBody{Registry: trial.RegistryNCT, Number: e.Value}
	return nil
}

func (w *writer) ethics(e *Event, d *draft) error {
	b := &trial.EthicsDecisionBody{Committee: "Ethics committee of site " + e.Site, Decision: trial.EthicsFavourable, Date: e.ApprovalDate}
	for _, name := range e.Approves {
		id, ok := w.byVersion[name]
		if !ok {
			return fmt.Errorf("approves: no version %q is in effect", name)
		}
		b.Approves = append(b.Approves, id)
	}
	d.Body = b
	return d.file(e.Object)
}

func (w *writer) effective(e *Event, d *draft) error {
	b := &trial.VersionEffectiveBody{Activation: e.Type == "SITE_ACTIVATED"}
	for _, of := range []struct{ name, version string }{{"PROTOCOL", e.Protocol}, {"ICF", e.ICF}} {
		if of.version == "" {
			continue
		}
		id, ok := w.byVersion[of.name+" "+of.version]
		if !ok {
			return fmt.Errorf("no version \"%s %s\" is in effect", of.name, of.version)
		}
		b.Statements = append(b.Statements, id)
	}
	d.Body = b
	return nil
}

func (w *writer) sealed(e *Event, d *draft) error {
	d.Document, d.Version = &trial.Document{ID: "randomisation-list"}, e.Object.Version
	d.Body = &trial.SealBody{Scheme: trial.CommitmentScheme}
	return d.commit("randomisation-list", "object.commitment", e.Object.Commitment)
}

func (w *writer) revealed(e *Event, d *draft) error {
	if w.options.Read == nil {
		return errors.New("object.salt_file: there is no folder to read it from")
	}
	text, err := w.options.Read(e.Object.SaltFile)
	if err != nil {
		return fmt.Errorf("reading object.salt_file: %w", err)
	}
	salt, err := sum("object.salt_file", strings.TrimSpace(string(text)))
	if err != nil {
		return err
	}
	d.Body = &trial.RevealBody{Seal: w.seal, Salt: salt}
	digest, err := sum("object.sha256", e.Object.SHA256)
	if err != nil {
		return err
	}
	commitment, err := sum("object.commitment", e.Object.Commitment)
	if err != nil {
		return err
	}
	d.subjects = []trial.Subject{{Name: path.Base(e.Object.File), Digests: append(trial.SHA256(digest), trial.Commitment(commitment).Digests()...)}}
	return nil
}

func (w *writer) dataset(e *Event, d *draft) error {
	o := e.Object
	b := &trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeRoutine, Dataset: o.Domain, SourceSystem: e.Actor, Cutoff: o.Cutoff}
	if e.Role == string(trial.RoleEDCSystem) {
		b.Origin = trial.OriginEDC
	}
	switch {
	case o.Kind == "DATASET_DERIVED" || o.Kind == "DEFINE_XML":
		d.Kind, b.Purpose = trial.KindDerivedDataset, trial.PurposeSubmission
	case o.Final:
		b.Purpose = trial.PurposeLock
	}
	d.Body = b
	if o.DerivedFrom != "" {
		id, ok := w.byFile[o.DerivedFrom]
		if !ok {
			return fmt.Errorf("object.derived_from: no statement in effect carries the file %s", o.DerivedFrom)
		}
		d.Lineage = []trial.ID{id}
	}
	if err := w.replaces(o, d); err != nil {
		return err
	}
	return d.file(o)
}

func (w *writer) locked(e *Event, d *draft) error {
	b := &trial.LockBody{Label: e.Lock, Type: trial.LockFinal}
	for _, site := range slices.Sorted(maps.Keys(e.Object.Members)) {
		id, ok := w.byFile[e.Object.Members[site]]
		if !ok {
			return fmt.Errorf("object.members: no statement in effect carries the file %s", e.Object.Members[site])
		}
		b.Members = append(b.Members, id)
	}
	if e.SupersedesLock != "" {
		id, ok := w.locks[e.SupersedesLock]
		if !ok {
			return fmt.Errorf("supersedes_lock: no lock %q is in effect", e.SupersedesLock)
		}
		d.Supersedes, d.Reason = id, "a later lock"
	}
	d.Body = b
	return d.file(e.Object)
}

func (w *writer) unlocked(e *Event, d *draft) error {
	id, ok := w.locks[e.Unlocks]
	if !ok {
		return fmt.Errorf("unlocks: no lock %q is in effect", e.Unlocks)
	}
	b := &trial.UnlockBody{Lock: id}
	scope, ok := e.Scope.(map[string]any)
	if e.Scope != nil && !ok {
		return errors.New("scope: want sites and domains")
	}
	for name, value := range scope {
		list, err := words(value)
		switch {
		case err != nil:
			return fmt.Errorf("scope.%s: %w", name, err)
		case name == "sites":
			b.Scope.Sites = list
		case name == "domains":
			b.Scope.Datasets = list
		default:
			return fmt.Errorf("scope: unknown field %q", name)
		}
	}
	d.Body = b
	return nil
}

func words(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, errors.New("want a list of texts")
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, errors.New("want a list of texts")
		}
	}
	return out, nil
}

func (w *writer) unblinded(e *Event, d *draft) error {
	switch e.Scope {
	case "trial":
		d.Body = &trial.UnblindingBody{Scope: trial.UnblindTrial}
		return nil
	case "subject":
		d.Body = &trial.UnblindingBody{Scope: trial.UnblindParticipant, Emergency: strings.HasPrefix(e.Reason, "emergency")}
		return d.commit("participant", "subject_commitment", e.Commitment)
	}
	return fmt.Errorf("scope: got %v, want trial or subject", e.Scope)
}

func (w *writer) inspected(e *Event, d *draft) error {
	d.Body = &trial.VerificationBody{Verdict: trial.VerdictSameData, Note: e.Note}
	return nil
}
