package rpc

import (
	"net/http"
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/trialnotary/trialnotary/trial"
)

// Reasons of transport. With trial.Reasons they are the one fixed list of this
// API; none is ever renamed.
const (
	reasonUnauthenticated  trial.Reason = "UNAUTHENTICATED"
	reasonNotPermitted     trial.Reason = "NOT_PERMITTED"
	reasonNotFound         trial.Reason = "NOT_FOUND"
	reasonReservedMetadata trial.Reason = "RESERVED_METADATA"
	reasonBadRequest       trial.Reason = "BAD_REQUEST"
	reasonBadPageToken     trial.Reason = "BAD_PAGE_TOKEN"
	reasonNotReceipt       trial.Reason = "NOT_A_RECEIPT"
	reasonMessageTooLarge  trial.Reason = "MESSAGE_TOO_LARGE"
	reasonNoSuchPath       trial.Reason = "NO_SUCH_PATH"
	reasonMethod           trial.Reason = "METHOD_NOT_ALLOWED"
	reasonMediaType        trial.Reason = "UNSUPPORTED_MEDIA_TYPE"
	reasonOverloaded       trial.Reason = "OVERLOADED"
	reasonRateLimited      trial.Reason = "RATE_LIMITED"
	reasonLogStopped       trial.Reason = "LOG_STOPPED"
	reasonStorageFull      trial.Reason = "STORAGE_FULL"
	reasonUnavailable      trial.Reason = "TRY_AGAIN"
	reasonCancelled        trial.Reason = "CANCELLED"
	reasonDeadline         trial.Reason = "DEADLINE_EXCEEDED"
	reasonUnreadable       trial.Reason = "STATEMENT_UNREADABLE"
	reasonInternal         trial.Reason = "INTERNAL"
)

// ReasonInfo is one reason of the fixed list, as docs/api.md and the API page
// show it.
type ReasonInfo struct {
	Reason  trial.Reason
	Code    codes.Code
	HTTP    int
	Meaning string
}

// CodeName is the gRPC code as the specification spells it.
func (r ReasonInfo) CodeName() string { return codeNames[r.Code] }

var codeNames = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.InvalidArgument: "INVALID_ARGUMENT", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.NotFound: "NOT_FOUND", codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL",
	codes.Unavailable: "UNAVAILABLE", codes.Unauthenticated: "UNAUTHENTICATED",
	codes.DataLoss: "DATA_LOSS",
}

// Reasons returns every reason that a refusal of this API can have.
func Reasons() []ReasonInfo {
	out := slices.Clone(reasonTable)
	for i := range out {
		out[i].HTTP = httpStatus(out[i].Reason, out[i].Code)
	}
	return out
}

// reasonTable gives each reason its code. The tests hold it equal to
// trial.Reasons and the reasons above, and docs/api.md equal to it.
var reasonTable = []ReasonInfo{
	{Reason: reasonUnauthenticated, Code: codes.Unauthenticated, Meaning: "No credential, or one that is not known, doubled or contradicted by another."},
	{Reason: reasonNotPermitted, Code: codes.PermissionDenied, Meaning: "The caller's role does not allow this call, this kind or this site."},
	{Reason: reasonNotFound, Code: codes.NotFound, Meaning: "There is no such thing, or it is not visible to this caller."},
	{Reason: reasonReservedMetadata, Code: codes.InvalidArgument, Meaning: "A header or metadata key that only the notary itself may use."},
	{Reason: reasonBadRequest, Code: codes.InvalidArgument, Meaning: "A field, parameter or body that cannot be read."},
	{Reason: reasonBadPageToken, Code: codes.InvalidArgument, Meaning: "Not a page token of this query and caller, or an old one: start again without."},
	{Reason: reasonNotReceipt, Code: codes.InvalidArgument, Meaning: "What was to be verified is no receipt, or no evidence file, at all."},
	{Reason: reasonMessageTooLarge, Code: codes.ResourceExhausted, Meaning: "A gRPC message above the limit."},
	{Reason: reasonNoSuchPath, Code: codes.NotFound, Meaning: "No such HTTP path, or not in its one spelling."},
	{Reason: reasonMethod, Code: codes.Unimplemented, Meaning: "The HTTP path takes another method; Allow names it."},
	{Reason: reasonMediaType, Code: codes.InvalidArgument, Meaning: "The HTTP body has another Content-Type or is compressed."},
	{Reason: reasonOverloaded, Code: codes.Unavailable, Meaning: "Too much in flight. Send the same bytes again."},
	{Reason: reasonRateLimited, Code: codes.ResourceExhausted, Meaning: "Too many calls, or wrong credentials, in a short time. Send the same bytes again after the time that RetryInfo says."},
	{Reason: reasonLogStopped, Code: codes.Unavailable, Meaning: "The log takes no entries at present. Send the same bytes again."},
	{Reason: reasonStorageFull, Code: codes.Unavailable, Meaning: "The notary's disk is full. Reads go on. Send the same bytes again later."},
	{Reason: reasonUnavailable, Code: codes.Unavailable, Meaning: "The notary cannot answer now, or is shutting down; a submission may have been logged. Send the same bytes again."},
	{Reason: reasonCancelled, Code: codes.Canceled, Meaning: "The caller went away; a submission may have been logged. Send the same bytes again."},
	{Reason: reasonDeadline, Code: codes.DeadlineExceeded, Meaning: "The call took too long; a submission may have been logged. Send the same bytes again."},
	{Reason: reasonUnreadable, Code: codes.DataLoss, Meaning: "The notary's copy of a statement is damaged: its operator has to restore it. The message names the statement."},
	{Reason: reasonInternal, Code: codes.Internal, Meaning: "A fault of the notary; the operator finds it under the request id."},

	{Reason: trial.ReasonMalformedEnvelope, Code: codes.InvalidArgument, Meaning: "Not a DSSE envelope with one signature and the fixed payload type."},
	{Reason: trial.ReasonMalformedStatement, Code: codes.InvalidArgument, Meaning: "Not JSON, or a value of another type."},
	{Reason: trial.ReasonMalformedManifest, Code: codes.InvalidArgument, Meaning: "Not a manifest or proof file."},
	{Reason: trial.ReasonMalformedList, Code: codes.InvalidArgument, Meaning: "Not an as-of list."},
	{Reason: trial.ReasonMalformedKey, Code: codes.InvalidArgument, Meaning: "Not a P-256 key in canonical form."},
	{Reason: trial.ReasonDuplicateField, Code: codes.InvalidArgument, Meaning: "A field or parameter is given more than once."},
	{Reason: trial.ReasonUnknownField, Code: codes.InvalidArgument, Meaning: "A field or parameter that does not exist."},
	{Reason: trial.ReasonMissingField, Code: codes.InvalidArgument, Meaning: "A required field is missing."},
	{Reason: trial.ReasonFieldNotAllowed, Code: codes.InvalidArgument, Meaning: "A field that this kind does not have."},
	{Reason: trial.ReasonNumberTooLarge, Code: codes.InvalidArgument, Meaning: "An integer above 2^53."},
	{Reason: trial.ReasonBadNumber, Code: codes.InvalidArgument, Meaning: "A number in a form that is not accepted."},
	{Reason: trial.ReasonBadUTF8, Code: codes.InvalidArgument, Meaning: "Text that is not valid UTF-8."},
	{Reason: trial.ReasonForbiddenCharacter, Code: codes.InvalidArgument, Meaning: "A control, bidirectional or other character that text may not hold."},
	{Reason: trial.ReasonBadDigest, Code: codes.InvalidArgument, Meaning: "A digest of another length, case or name."},
	{Reason: trial.ReasonBadIdentifier, Code: codes.InvalidArgument, Meaning: "An identifier of another shape, or with a wrong check digit."},
	{Reason: trial.ReasonBadName, Code: codes.InvalidArgument, Meaning: "A subject's name that is absolute or leaves its folder."},
	{Reason: trial.ReasonBadTime, Code: codes.InvalidArgument, Meaning: "Not RFC 3339 in UTC, not a date, or not a time zone."},
	{Reason: trial.ReasonBadValue, Code: codes.InvalidArgument, Meaning: "A value that is not of its closed list, or contradicts another field."},
	{Reason: trial.ReasonDuplicateValue, Code: codes.InvalidArgument, Meaning: "A list holds a value twice."},
	{Reason: trial.ReasonMissingReason, Code: codes.InvalidArgument, Meaning: "A statement replaces another without saying why."},
	{Reason: trial.ReasonBadRule, Code: codes.InvalidArgument, Meaning: "An own rule of a charter that cannot be used: the message names the rule, the place and why."},
	{Reason: trial.ReasonUnknownParameter, Code: codes.InvalidArgument, Meaning: "A parameter of a charter that no rule looks at."},
	{Reason: trial.ReasonTooLarge, Code: codes.InvalidArgument, Meaning: "A document, field or list above its limit."},
	{Reason: trial.ReasonTooDeep, Code: codes.InvalidArgument, Meaning: "JSON nested too deep."},

	{Reason: trial.ReasonBadSignature, Code: codes.InvalidArgument, Meaning: "The signature does not verify under the key that the statement names."},
	{Reason: trial.ReasonBadPossessionProof, Code: codes.InvalidArgument, Meaning: "The new key's own signature does not verify."},
	{Reason: trial.ReasonUnknownKind, Code: codes.InvalidArgument, Meaning: "A kind that this notary does not know."},
	{Reason: trial.ReasonKindNotAllowed, Code: codes.PermissionDenied, Meaning: "A kind that this key never signs."},
	{Reason: trial.ReasonUnknownTrial, Code: codes.NotFound, Meaning: "No such trial; answered as NOT_FOUND."},
	{Reason: trial.ReasonAmbiguousTrial, Code: codes.FailedPrecondition, Meaning: "A registry number that more than one trial claims: use the charter's id."},
	{Reason: trial.ReasonOtherTrial, Code: codes.FailedPrecondition, Meaning: "What the statement names belongs to another trial."},
	{Reason: trial.ReasonRegistryMismatch, Code: codes.FailedPrecondition, Meaning: "A registry number that neither the charter nor a registration has."},
	{Reason: trial.ReasonUnknownSite, Code: codes.FailedPrecondition, Meaning: "A site that the charter does not have."},
	{Reason: trial.ReasonUnknownRole, Code: codes.InvalidArgument, Meaning: "A role that neither the fixed list nor the charter has."},
	{Reason: trial.ReasonUnknownRulePack, Code: codes.FailedPrecondition, Meaning: "A charter names a pack of rules that this notary does not have."},
	{Reason: trial.ReasonRoleNotAllowed, Code: codes.PermissionDenied, Meaning: "The holder's organisation or type cannot have this role."},
	{Reason: trial.ReasonSignerMismatch, Code: codes.PermissionDenied, Meaning: "The printed name or organisation differs from the enrolment."},
	{Reason: trial.ReasonUnknownKey, Code: codes.PermissionDenied, Meaning: "The signing key is not enrolled in this trial."},
	{Reason: trial.ReasonKeyOtherSite, Code: codes.PermissionDenied, Meaning: "The signing key is enrolled for other sites."},
	{Reason: trial.ReasonKeyOtherKind, Code: codes.PermissionDenied, Meaning: "The signing key is enrolled for other kinds."},
	{Reason: trial.ReasonKeyNotActive, Code: codes.PermissionDenied, Meaning: "The signing key waits for the endorsement of its site's investigator."},
	{Reason: trial.ReasonKeyNotYetValid, Code: codes.PermissionDenied, Meaning: "The signing key's period has not begun."},
	{Reason: trial.ReasonKeyExpired, Code: codes.PermissionDenied, Meaning: "The signing key's period is over."},
	{Reason: trial.ReasonKeyRevoked, Code: codes.PermissionDenied, Meaning: "The signing key is revoked."},
	{Reason: trial.ReasonKeySuspect, Code: codes.PermissionDenied, Meaning: "The signing key is suspect since an earlier entry."},
	{Reason: trial.ReasonKeyInUse, Code: codes.FailedPrecondition, Meaning: "The key has another holder or purpose in this trial, or is enrolled in another trial."},
	{Reason: trial.ReasonNotDelegated, Code: codes.PermissionDenied, Meaning: "No delegation in force lets the key enrol, or not this holder, site or kind."},
	{Reason: trial.ReasonKeyNotRevocable, Code: codes.FailedPrecondition, Meaning: "The sponsor's and the recovery key are not revoked but recovered."},
	{Reason: trial.ReasonHolderMismatch, Code: codes.FailedPrecondition, Meaning: "The holder id belongs to another name or type."},
	{Reason: trial.ReasonNotAPerson, Code: codes.PermissionDenied, Meaning: "Only a person's key endorses."},
	{Reason: trial.ReasonUnknownStatement, Code: codes.FailedPrecondition, Meaning: "A statement that this one names is not logged."},
	{Reason: trial.ReasonVoidByRecovery, Code: codes.FailedPrecondition, Meaning: "Void since the sponsor's key was recovered."},
	{Reason: trial.ReasonAlreadyLogged, Code: codes.FailedPrecondition, Meaning: "A second entry of one statement has no effect."},
	{Reason: trial.ReasonBadManifestProof, Code: codes.InvalidArgument, Meaning: "The file is not in the manifest's tree."},
	{Reason: trial.ReasonManifestMismatch, Code: codes.InvalidArgument, Meaning: "The manifest is not that of the statement."},
}

var reasonCodes = func() map[trial.Reason]codes.Code {
	m := make(map[trial.Reason]codes.Code, len(reasonTable))
	for _, r := range reasonTable {
		m[r.Reason] = r.Code
	}
	return m
}()

// codeOf returns a reason's code. A reason that the table lacks is a fault of
// ours that the tests find; the caller is told that the request was not taken.
func codeOf(r trial.Reason) codes.Code {
	if c, ok := reasonCodes[r]; ok {
		return c
	}
	return codes.InvalidArgument
}

// httpStatus returns the HTTP status of a reason: that of its code, but for what
// only HTTP has.
func httpStatus(r trial.Reason, c codes.Code) int {
	if r == reasonMethod {
		return http.StatusMethodNotAllowed
	}
	if r == reasonMediaType {
		return http.StatusUnsupportedMediaType
	}
	switch c {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Canceled:
		return 499 // as everywhere; nobody is left to read it
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.Unimplemented:
		return http.StatusNotImplemented
	default:
		return http.StatusInternalServerError
	}
}
