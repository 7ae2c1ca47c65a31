// Package notary is the Trial Notary's service: it takes signed statements,
// makes them durable, logs a commitment to each and answers with a receipt that
// it has verified itself; and it gives receipts, statements and trust material
// back.
//
// It owns the two flows, Submit and Verify, and the Log and Store interfaces
// under them. It promises that a statement is durable before its entry is added
// to the log, that a statement has one entry and one receipt however often it is
// sent, and that no receipt is returned which does not verify. It does not log,
// reads no file or setting, and must never import a transport, a database
// driver or a log driver.
package notary

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Errors of a Service, beside ErrOverloaded, ErrLogStopped, ErrNotFound and
// *trial.Refusal. They are matched with errors.Is.
var (
	// ErrUnavailable means that the service cannot answer now. Of Submit it
	// means that the statement may be stored and logged already: send the same
	// bytes again and the first receipt comes back.
	ErrUnavailable = errors.New("send the same bytes again")
	// ErrDatabaseBehind means that the log holds entries whose statements the
	// database does not: the database was restored from an older moment.
	ErrDatabaseBehind = errors.New("the database is older than the log")
	// ErrLogBehind means that the database places statements at indexes that
	// the log does not have: the log was restored from an older moment.
	ErrLogBehind = errors.New("the log is older than the database")
	// ErrDamaged means that log and database contradict each other.
	ErrDamaged = errors.New("log and database contradict each other")
	// ErrNotReceipt means that what was to be verified is no receipt at all.
	ErrNotReceipt = errors.New("not a receipt")
	// ErrNotEvidence means that what came beside a receipt is no evidence file.
	ErrNotEvidence = errors.New("not an evidence file")
)

// Config is what a Service is made of. Log, Store, Key, LogKey and Policy are
// required; every other field has a usable zero value.
type Config struct {
	Log   Log
	Store Store
	// Key is the notary's own statement key, P-256: it signs time marks and
	// as-of lists. Its public half is the trust folder's notary.pub.
	Key crypto.Signer
	// LogKey is the log's verifier key.
	LogKey receipt.LogKey
	// Policy is the C2SP tlog-policy that the trust folders carry.
	Policy []byte

	// Clock returns the time of time marks; nil is time.Now.
	Clock func() time.Time
	// Elapsed returns the time that passed since some moment, by a clock that
	// nobody sets and that does not stand still while the machine sleeps; nil is
	// what Clock says has passed, which for time.Now is such a clock but for the
	// sleep.
	Elapsed func() time.Duration
	// ClockJump is how far Clock may run ahead of Elapsed before no statement is
	// taken (ErrClock); 0 is one hour, negative is no bound.
	ClockJump time.Duration
	// ClockGap is how far Clock may be ahead of the newest time mark, or of
	// Confirmed, when the service is opened; 0 is 30 days, negative is no bound.
	ClockGap time.Duration
	// Confirmed is a time that an operator confirmed to have come; zero is none.
	Confirmed time.Time
	// MarkInterval is the age at which a time mark is followed by another, as
	// soon as there is something to log; 0 is one minute.
	MarkInterval time.Duration
	// MaxInFlight bounds the statements between admission and receipt; above
	// it Submit fails with ErrOverloaded. One of more than 2 KiB counts once for
	// every 2 KiB. 0 is 8,192.
	MaxInFlight int
	// BatchSize bounds the statements of one store transaction; 0 is 1,024.
	BatchSize int
	// Linger is how long the committer waits for company after the first
	// statement of a batch; 0 is 5 ms, negative is not at all. With
	// thousands of callers it waits up to four times as long.
	Linger time.Duration
	// CachedTrials bounds the trials whose authority is held in memory; 0 is
	// 1,024.
	CachedTrials int
	// ViewMemory bounds the bytes of the folded trials that are held for GetTrial,
	// ListFindings, GetChronology and WatchTrial: a few kilobytes a statement. One that
	// is in use stays, however large. 0 is 256 MiB.
	ViewMemory int64

	// FreeSpace returns the free bytes where log and database live; it is asked
	// at most every 100 ms. Nil keeps no reserve and leaves the condition out.
	FreeSpace func() (uint64, error)
	// MinFree is the reserve of free space in bytes: a statement that would not
	// fit above it, beside those in flight, is not begun (ErrStoreFull), and
	// below it Health reports the condition disk-space as not OK. What is in
	// flight ends within it. 0 is 256 MiB.
	MinFree uint64
	// Packs are the packs of rules that a charter may name; nil is the default one
	// alone.
	Packs *rules.Packs
	// Observer is told how long things took; nil observes nothing.
	Observer Observer
}

// Observer receives measurements. Its methods are called on the hot path, by
// many goroutines, and must return at once.
type Observer interface {
	// Stage tells how long a stage of one submission or one receipt took; ctx is
	// its caller's, or one without values.
	Stage(ctx context.Context, s Stage, began time.Time, took time.Duration)
	// Traced is asked once a submission whether its context is to be among those
	// that Batch is told.
	Traced(ctx context.Context) bool
	// Batch tells how long a stage took that a batch went through at once. traced
	// are the contexts of those of its submissions that are traced.
	Batch(traced []context.Context, s Stage, began time.Time, took time.Duration)
	// Outcome tells how a submission ended.
	Outcome(o Outcome)
}

// Stage is a part of a submission whose duration is measured.
type Stage string

// The stages of a submission, in order.
const (
	StageParse     Stage = "parse"
	StageVerify    Stage = "verify"     // find the key, verify the signature
	StageAdmit     Stage = "admit"      // look the statement up, judge it
	StageQueue     Stage = "queue"      // of a batch's first: until the batch is taken
	StageStore     Stage = "store"      // one transaction for a batch
	StageAdd       Stage = "add"        // from adding a batch to its last index
	StagePlace     Stage = "place"      // one transaction for a batch
	StagePublish   Stage = "publish"    // until a checkpoint covers the entry
	StageProve     Stage = "prove"      // inclusion proof and receipt
	StageSelfCheck Stage = "self-check" // verify the receipt
	StageEvidence  Stage = "evidence"   // what goes beside the receipt
)

// Stages returns every stage, in order.
func Stages() []Stage {
	return []Stage{
		StageParse, StageVerify, StageAdmit, StageQueue, StageStore, StageAdd, StagePlace,
		StagePublish, StageProve, StageSelfCheck, StageEvidence,
	}
}

// Outcome is how a submission ended.
type Outcome string

// The outcomes of a submission.
const (
	OutcomeLogged      Outcome = "logged"
	OutcomeRepeated    Outcome = "repeated" // the same act again
	OutcomeRefused     Outcome = "refused"
	OutcomeOverloaded  Outcome = "overloaded"
	OutcomeUnavailable Outcome = "unavailable"
	OutcomeCancelled   Outcome = "cancelled" // the caller went away; the act did not
)

// Outcomes returns every outcome.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeLogged, OutcomeRepeated, OutcomeRefused, OutcomeOverloaded, OutcomeUnavailable, OutcomeCancelled,
	}
}

// Result is a logged statement with its receipt. It is shared, and nothing that it
// points to may be changed.
type Result struct {
	Record *Record
	// Bundle is the receipt: a Sigstore bundle v0.3 as JSON text. It is nil where
	// Inclusion is set.
	Bundle []byte
	// Inclusion is the verified place of the record's entry, where the caller
	// asked for ProofOnly and sent the envelope that was logged.
	Inclusion *receipt.Inclusion
	// Evidence is the further evidence as JSON text: the governing time mark
	// and the authority chain.
	Evidence []byte
	// EvidenceSHA256 is the SHA-256 of Evidence in lowercase hexadecimal.
	EvidenceSHA256 string
}

// Form is how much of a receipt a caller asks for.
type Form int

// The forms of a receipt.
const (
	WholeReceipt Form = iota
	// ProofOnly leaves out what the caller has just sent. Where another envelope
	// of the same statement was logged, the answer is the whole receipt.
	ProofOnly
)

// Allow is the transport's authorisation of a submission: it is asked once the
// statement is parsed and before anything is looked up or stored. Its error is
// returned as it is.
type Allow func(st *trial.Statement) error

// Condition is one aspect of the service's health.
type Condition struct {
	Name   string // "log", "store", "time-mark", "clock", "receipts", "full-check", "disk-space"
	OK     bool
	Detail string // in plain words, without content of any trial
}

// CheckReport counts what a full check read.
type CheckReport struct {
	Entries    uint64 // log entries read back
	Statements int    // statements compared with their entries
	Marks      int    // time marks among them
	Trials     int    // authority folds run again
	Pending    int    // statements stored and not yet logged
	NoEffect   int    // authority statements that have a receipt and no effect
}
