package trial

import "time"

// Logged is a statement at its place in the log.
type Logged struct {
	Statement *Statement
	Index     uint64
	// Time is the log time: that of the last time mark before Index, zero before
	// the first one.
	Time time.Time
}

// EventType is what happened to an act in a trial.
type EventType string

// The types of events. An act that needs no endorsement is logged and takes
// effect at one index.
const (
	// EventLogged: the act was logged, and its signer had the authority.
	EventLogged EventType = "logged"
	// EventNoEffect: the act was logged and has no effect. Event.Refusal says
	// why.
	EventNoEffect EventType = "no-effect"
	// EventEffect: the act takes effect.
	EventEffect EventType = "effect"
	// EventVoided: the act was pending, and can take effect no more. Event.Cause
	// says why.
	EventVoided EventType = "voided"
	// EventOverdue: the act is pending for longer than the parameter
	// endorsementDays. It may still take effect.
	EventOverdue EventType = "overdue"
	// EventDeadline: what had to follow the act did not follow in time.
	// Event.Deadline says what.
	EventDeadline EventType = "deadline"
	// EventLastVisit: the last visit of a site's or of all participants takes
	// effect.
	EventLastVisit EventType = "last-visit"
	// EventCloseout: a site or the trial closes. It happens to the closeout and to
	// each act that is still pending there, which is void from then on.
	EventCloseout EventType = "closeout"
)

// Deadline is what has to follow an act in time.
type Deadline string

// The deadlines.
const (
	// DeadlineRegistration: a registry number, after the trial's first
	// participant.
	DeadlineRegistration Deadline = "registration"
	// DeadlineSecondSignature: another person's endorsement, after the unblinding
	// of one participant.
	DeadlineSecondSignature Deadline = "second-signature"
)

// VoidCause is why a pending act is void.
type VoidCause string

// The causes.
const (
	// VoidReplaced: another act of the same kind and target was logged.
	VoidReplaced VoidCause = "replaced"
	// VoidKey: its key was revoked as compromised, or is suspect or without
	// authority at the act's index by what became known since.
	VoidKey VoidCause = "key"
)

// Event is something that happened to an act at an index of the log.
type Event struct {
	Type EventType
	Act  *Act
	// Index is where it happened: the act's own, or that of the endorsement, act,
	// revocation, closeout or time mark that brought it about.
	Index uint64
	Time  time.Time
	// Refusal belongs to EventNoEffect, Deadline to EventDeadline and Cause to
	// EventVoided.
	Refusal  *Refusal
	Deadline Deadline
	Cause    VoidCause
}

// Status is how far an act has come.
type Status string

// The statuses.
const (
	// StatusPending: the act waits for endorsement.
	StatusPending Status = "pending"
	// StatusEffective: the act took effect.
	StatusEffective Status = "effective"
	// StatusVoid: the act waited for endorsement and can take effect no more.
	StatusVoid Status = "void"
	// StatusNoEffect: the act was logged without authority, or before.
	StatusNoEffect Status = "no-effect"
)

// Act is a statement in the state of its trial. What Apply's judge is handed
// belongs to the state and must not be changed.
type Act struct {
	Statement *Statement
	Index     uint64
	Time      time.Time
	// Standing is the signer's at Index; zero without authority.
	Standing Standing
	// Required holds the roles that must sign before the act takes effect.
	Required []Role
	// Endorsed holds the endorsements that count, in log order.
	Endorsed []Endorsement
	Status   Status
	// EffectIndex is where the act took effect. It says something while Status is
	// effective.
	EffectIndex uint64
	// Overdue: the act was pending for longer than endorsementDays.
	Overdue bool
}

// Endorsement is a person's signature under another statement.
type Endorsement struct {
	Statement ID // of the endorsement
	Index     uint64
	HolderID  string
	Name      string
	Roles     []Role // as enrolled at Index
	KeyID     KeyID
}
