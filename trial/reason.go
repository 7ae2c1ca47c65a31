package trial

import (
	"errors"
	"fmt"
	"slices"
)

// Reason is why something was refused, from one fixed list. It is sent as
// google.rpc.ErrorInfo.reason, so a value is never renamed.
type Reason string

// Reasons that concern the form of a document.
const (
	ReasonMalformedEnvelope  Reason = "MALFORMED_ENVELOPE"
	ReasonMalformedStatement Reason = "MALFORMED_STATEMENT" // not JSON, or a value of another type
	ReasonMalformedManifest  Reason = "MALFORMED_MANIFEST"
	ReasonMalformedList      Reason = "MALFORMED_LIST" // an as-of list
	ReasonMalformedKey       Reason = "MALFORMED_KEY"  // not a P-256 key in canonical form
	ReasonDuplicateField     Reason = "DUPLICATE_FIELD"
	ReasonUnknownField       Reason = "UNKNOWN_FIELD"
	ReasonMissingField       Reason = "MISSING_FIELD"
	ReasonFieldNotAllowed    Reason = "FIELD_NOT_ALLOWED" // known, but not for this kind
	ReasonNumberTooLarge     Reason = "NUMBER_TOO_LARGE"
	ReasonBadNumber          Reason = "BAD_NUMBER"
	ReasonBadUTF8            Reason = "BAD_UTF8"
	ReasonForbiddenCharacter Reason = "FORBIDDEN_CHARACTER"
	ReasonBadDigest          Reason = "BAD_DIGEST"
	ReasonBadIdentifier      Reason = "BAD_IDENTIFIER"
	ReasonBadName            Reason = "BAD_NAME"  // a subject's name: absolute, "..", backslash
	ReasonBadTime            Reason = "BAD_TIME"  // not RFC 3339 UTC, not a date, not a zone name
	ReasonBadValue           Reason = "BAD_VALUE" // not of the closed list, or contradicts another field
	ReasonDuplicateValue     Reason = "DUPLICATE_VALUE"
	ReasonMissingReason      Reason = "MISSING_REASON" // supersedes without reason
	ReasonBadRule            Reason = "BAD_RULE"       // an own rule of the charter that cannot be used
	ReasonUnknownParameter   Reason = "UNKNOWN_PARAMETER"
	ReasonTooLarge           Reason = "TOO_LARGE"
	ReasonTooDeep            Reason = "TOO_DEEP"
)

// Reasons that concern the act, its signer and its trial.
const (
	ReasonBadSignature       Reason = "BAD_SIGNATURE"
	ReasonBadPossessionProof Reason = "BAD_POSSESSION_PROOF"
	ReasonUnknownKind        Reason = "UNKNOWN_KIND"
	ReasonKindNotAllowed     Reason = "KIND_NOT_ALLOWED" // not for this key, whatever its enrolment
	ReasonUnknownTrial       Reason = "UNKNOWN_TRIAL"
	ReasonAmbiguousTrial     Reason = "AMBIGUOUS_TRIAL"
	ReasonOtherTrial         Reason = "OTHER_TRIAL"
	ReasonRegistryMismatch   Reason = "REGISTRY_MISMATCH"
	ReasonUnknownSite        Reason = "UNKNOWN_SITE"
	ReasonUnknownRole        Reason = "UNKNOWN_ROLE"
	ReasonUnknownRulePack    Reason = "UNKNOWN_RULE_PACK" // no pack at hand has the digest
	ReasonRoleNotAllowed     Reason = "ROLE_NOT_ALLOWED"
	ReasonSignerMismatch     Reason = "SIGNER_MISMATCH" // printed name or organisation differ from the enrolment
	ReasonUnknownKey         Reason = "UNKNOWN_KEY"
	ReasonKeyOtherSite       Reason = "KEY_OTHER_SITE"
	ReasonKeyOtherKind       Reason = "KEY_OTHER_KIND"
	ReasonKeyNotActive       Reason = "KEY_NOT_ACTIVE" // waits for the endorsement of the site's investigator
	ReasonKeyNotYetValid     Reason = "KEY_NOT_YET_VALID"
	ReasonKeyExpired         Reason = "KEY_EXPIRED"
	ReasonKeyRevoked         Reason = "KEY_REVOKED"
	ReasonKeySuspect         Reason = "KEY_SUSPECT"
	ReasonKeyInUse           Reason = "KEY_IN_USE"         // a key has one holder and one purpose in a trial
	ReasonNotDelegated       Reason = "NOT_DELEGATED"      // no delegation lets the key enrol, or not this
	ReasonKeyNotRevocable    Reason = "KEY_NOT_REVOCABLE"  // the sponsor's and the recovery key
	ReasonHolderMismatch     Reason = "HOLDER_MISMATCH"    // a holder id has one name and one type
	ReasonNotAPerson         Reason = "NOT_A_PERSON"       // only persons endorse
	ReasonUnknownStatement   Reason = "UNKNOWN_STATEMENT"  // what an act needs is not logged before it
	ReasonVoidByRecovery     Reason = "VOID_BY_RECOVERY"   // after the last trusted index, not confirmed
	ReasonAlreadyLogged      Reason = "ALREADY_LOGGED"     // a second entry of one statement has no effect
	ReasonBadManifestProof   Reason = "BAD_MANIFEST_PROOF" // the file is not in the manifest's tree
	ReasonManifestMismatch   Reason = "MANIFEST_MISMATCH"  // the manifest is not that of the statement
)

var reasons = []Reason{
	ReasonMalformedEnvelope, ReasonMalformedStatement, ReasonMalformedManifest, ReasonMalformedList,
	ReasonMalformedKey, ReasonDuplicateField, ReasonUnknownField, ReasonMissingField, ReasonFieldNotAllowed,
	ReasonNumberTooLarge, ReasonBadNumber, ReasonBadUTF8, ReasonForbiddenCharacter, ReasonBadDigest,
	ReasonBadIdentifier, ReasonBadName, ReasonBadTime, ReasonBadValue, ReasonDuplicateValue,
	ReasonMissingReason, ReasonBadRule, ReasonUnknownParameter, ReasonTooLarge, ReasonTooDeep,
	ReasonBadSignature, ReasonBadPossessionProof, ReasonUnknownKind, ReasonKindNotAllowed, ReasonUnknownTrial,
	ReasonAmbiguousTrial, ReasonOtherTrial, ReasonRegistryMismatch, ReasonUnknownSite, ReasonUnknownRole, ReasonUnknownRulePack,
	ReasonRoleNotAllowed, ReasonSignerMismatch, ReasonUnknownKey, ReasonKeyOtherSite, ReasonKeyOtherKind,
	ReasonKeyNotActive, ReasonKeyNotYetValid, ReasonKeyExpired, ReasonKeyRevoked, ReasonKeySuspect,
	ReasonKeyInUse, ReasonNotDelegated, ReasonKeyNotRevocable, ReasonHolderMismatch, ReasonNotAPerson, ReasonUnknownStatement,
	ReasonVoidByRecovery, ReasonAlreadyLogged, ReasonBadManifestProof, ReasonManifestMismatch,
}

// Reasons returns every reason of this package. The API adds those of transport.
func Reasons() []Reason { return slices.Clone(reasons) }

// Refusal is an input that is not accepted: malformed, unsigned or not
// authorised. It is never the answer to evidence that is merely late or out of
// order.
type Refusal struct {
	Reason Reason
	// Path is the place in the document, such as "subject[3].name"; empty where
	// it concerns the whole.
	Path string
	// Detail says what was wrong and what to do, in plain words, without
	// content of the statement beyond names of fields and keys.
	Detail string
}

func (r *Refusal) Error() string {
	if r.Path == "" {
		return fmt.Sprintf("%s (%s)", r.Detail, r.Reason)
	}
	return fmt.Sprintf("%s: %s (%s)", r.Path, r.Detail, r.Reason)
}

// ReasonOf returns the reason of the first [Refusal] in err's chain, or "".
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}

// refuse makes a Refusal.
func refuse(reason Reason, path, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Path: path, Detail: fmt.Sprintf(format, args...)}
}
