package trial

// Facts are what the rules look at beside the act itself: the state of the trial
// just before an event, as far as it concerns the event's act. A fact that says
// nothing about acts of that kind is false, zero or empty.
type Facts struct {
	// ProtocolLogged: a protocol was logged before, or a baseline.
	ProtocolLogged bool
	// Registered: the charter, a registration or a baseline gave the trial a
	// number in a public registry. The sponsor's own and a UTN are none.
	Registered bool
	// RegisteredDaysAfter is, for a registration, the number of days begun since
	// the first participant's log time; -1 where there was none yet.
	RegisteredDaysAfter int64
	// FirstOfTrial: no participant took part before the act.
	FirstOfTrial bool

	// HasHead: there is a version in effect of the same family (protocol with its
	// amendments, consent form, analysis plan), document, scope, site and language.
	HasHead bool
	// Head is that version: a statement, or the baseline that named it.
	Head ID
	// Supersedes: the act says that it replaces a statement.
	Supersedes bool
	// SupersedesHead: and that is Head.
	SupersedesHead bool
	// SupersedesAncestor: and that is a version, in effect now or earlier, of the
	// same family, document and language, in whichever scope and of whichever site.
	SupersedesAncestor bool
	// SupersedesBaseline: and that is a baseline that names the document.
	SupersedesBaseline bool
	// Branch: and that is an ancestor of another scope or site, and the act is of
	// a scope or site of its own: a country's or site's branch.
	Branch bool
	// SAPInEffect: there is a statistical analysis plan in effect.
	SAPInEffect bool

	// Decisions has one element for each version that becomes effective at a site.
	Decisions []DecisionFact
	// Exempt: the versions need no decision of an ethics committee.
	Exempt bool
	// ICFEffective: the consent form that the act names is effective at its site;
	// where it names none, any is.
	ICFEffective bool

	// Sealed: a randomisation list was sealed.
	Sealed bool
	// CommitmentMatches: the list that is revealed has the commitment that was
	// sealed, and the seal is in effect.
	CommitmentMatches bool

	// LockInEffect: for an unlock, the lock that it names is in effect; else any
	// lock is that is not interim.
	LockInEffect bool
	// Locked: a lock in effect covers the site and dataset of the act.
	Locked bool
	// InsideUnlock: each such lock was opened by an unlock for that site and
	// dataset.
	InsideUnlock bool
	// UnlockOpen: an unlock of a lock in effect is open.
	UnlockOpen bool
	// LineageToLock: the data derive from a lock in effect, directly or through
	// derived datasets.
	LineageToLock bool
	// LineageSupersededLock: the data derive from a lock that another lock
	// replaced.
	LineageSupersededLock bool

	// Unblinded: the whole trial was unblinded.
	Unblinded bool
	// UnblindingExempt: the recipient is one of the charter's unblindingExempt.
	UnblindingExempt bool
	// EmergencySecondMissing: no other person has endorsed the unblinding of a
	// participant.
	EmergencySecondMissing bool

	// SecondLock: the lock is not interim, and one before it covered some of the
	// same data.
	SecondLock bool
	// MembersMissing holds the lock's members that are not notarized as data. In a
	// view that withholds statements, a member that is none of the others is not
	// among them.
	MembersMissing []string
	// MembersStale holds those that are not the current version.
	MembersStale []string
	// MembersOutside holds what was added, removed or changed since the lock
	// before, outside every unlock.
	MembersOutside []string

	// GapDays is the number of days begun since the last extract of the same site,
	// source and dataset; -1 where there is none, or where the gap is not judged. A
	// backfill is no extract that keeps the cadence, unless there was no other yet.
	GapDays int64
	// SeriesOverdue holds, at a last visit or closeout, the sites, sources and
	// datasets whose next extract is overdue.
	SeriesOverdue []string

	// AheadSeconds is how far the declared time is ahead of the log time, and
	// BehindDays the number of days begun that it is behind it; else 0.
	AheadSeconds int64
	BehindDays   int64
	// Migration: the data are a declared backfill.
	Migration bool
	// FirstMigration: and the first such that is behind the log for longer than
	// the parameter backdatingDataDays.
	FirstMigration bool

	// PendingTooLong: the act was replaced, is overdue or meets a closeout while it
	// is pending.
	PendingTooLong bool
	// MissingRoles holds the roles whose endorsement a pending act lacks.
	MissingRoles []string
}

// DecisionFact says whether an ethics committee approved a version before it
// became effective at a site.
type DecisionFact struct {
	// Version is the statement that becomes effective.
	Version ID
	// Known: it is logged.
	Known bool
	// Found: there is a favourable decision for the site or for the trial.
	Found bool
	// Date is that of the decision, and EffectiveDate that from which the version
	// is effective: 2026-01-02.
	Date          string
	EffectiveDate string
	// DatedInTime: the decision is dated no later than the effective date.
	DatedInTime bool
	// LoggedInTime: and was logged before that date had ended everywhere.
	LoggedInTime bool
}
