package notary

import (
	"context"
	"errors"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// ErrNotFound means that the store holds no such thing.
var ErrNotFound = errors.New("not found")

// Errors of a Store, which a driver wraps.
var (
	// ErrStoreFull means that the disk has no room. What was to be written was
	// not; what was stored is untouched, and reading goes on.
	ErrStoreFull = errors.New("no room left in the store")
	// ErrStoreFailed means that the disk failed to write or to sync: what it holds
	// now is unknown, and the store takes no more writes until it is opened
	// again. Reading goes on.
	ErrStoreFailed = errors.New("the disk failed the store")
	// ErrStoreDamaged means that the store's own bytes contradict each other.
	ErrStoreDamaged = errors.New("the store is damaged")
)

// UnreadableError means that a stored statement's own bytes are damaged. It is an
// ErrStoreDamaged: of that statement, and of no other.
type UnreadableError struct {
	// Record is what else is known of the statement; at least its ID.
	Record *Record
	Err    error
}

func (e *UnreadableError) Error() string { return e.Err.Error() }
func (e *UnreadableError) Unwrap() error { return e.Err }

// Record is a statement as the store holds it.
type Record struct {
	ID       trial.ID
	Envelope trial.Envelope
	// SignerDER is the SubjectPublicKeyInfo of the key that signed it: with the
	// envelope it rebuilds the log entry.
	SignerDER []byte
	LeafHash  receipt.Hash

	// What lists select by, taken from the statement.
	Charter    trial.ID // its own ID for a charter; zero for a time mark
	Site       string   // "" is trial-wide
	Kind       trial.Kind
	Version    string
	Supersedes trial.ID
	KeyID      trial.KeyID
	// Subjects are given to Put alone. A record that was read has them in its
	// payload, for those who want them: trial.ReadSubjects.
	Subjects []trial.Subject
	Registry []string // the registry numbers that a charter or registration claims, normalised
	// Unreadable is why the payload cannot be read, an ErrStoreDamaged. The envelope
	// has none then. Only a Query that asks for such records gets them.
	Unreadable error

	// Authority tells that the statement may change who may sign what.
	Authority bool

	// Logged tells that Index and LogTime are known.
	Logged  bool
	Index   uint64
	LogTime time.Time // of the governing time mark; zero before the first
}

// Placed tells where a stored statement was logged.
type Placed struct {
	ID      trial.ID
	Index   uint64
	LogTime time.Time
}

// Query selects logged statements in log order.
type Query struct {
	Charter *trial.ID  // nil: every trial
	Digest  string     // a sha256 digest of a subject, "" for any
	Site    string     // "" for any
	Kind    trial.Kind // "" for any
	From    time.Time  // log time at or after; zero for any
	Until   time.Time  // log time before; zero for any
	Visible *Visible   // nil: everything
	After   int64      // only indexes above it; -1 from the start
	Below   uint64     // only indexes below it: the log size of the first page; 0 for any
	Limit   int        // at most so many, at least 1
	// MaxBytes ends the list behind the statement with which the payloads come to
	// more than so many bytes; 0 is no bound.
	MaxBytes int64
	// Unreadable also gives statements whose payload cannot be read, and holds each
	// payload against its statement's ID. Without it such a statement fails the list,
	// which is for those who need all of every statement. So it does with Digest in
	// any case: nobody knows whether it is about the file.
	Unreadable bool
}

// Visible narrows a Query to what a caller may see: any one of the grants.
type Visible struct {
	Grants []VisibleGrant
}

// VisibleGrant shows a trial's statements: all of them, or those of the sites,
// the trial-wide ones and those of authority. The zero VisibleGrant shows
// nothing.
type VisibleGrant struct {
	AllTrials bool
	Charter   trial.ID
	AllSites  bool
	Sites     []string
}

// Store keeps statements, the index over them and the high-water mark. All
// methods are safe for concurrent use.
type Store interface {
	MarkStore
	// Put stores new statements durably in one transaction before it returns. A
	// statement whose ID is held already is left as it is, since the first
	// envelope counts, and its ID is returned. On an error nothing was stored;
	// ErrStoreFull tells that there was no room for it.
	Put(ctx context.Context, records []*Record) (held []trial.ID, err error)
	// Place records indexes in one transaction. Placing the same index again is
	// no error; of two indexes for one ID the lower counts, and of two log times
	// for one index the last.
	Place(ctx context.Context, placed []Placed) error
	// Get returns one statement, logged or not, or ErrNotFound.
	Get(ctx context.Context, id trial.ID) (*Record, error)
	// List returns logged statements in log order.
	List(ctx context.Context, q Query) ([]*Record, error)
	// Pending returns every statement that is stored but not placed, oldest
	// first.
	Pending(ctx context.Context) ([]*Record, error)
	// Drop forgets statements that were never placed.
	Drop(ctx context.Context, ids []trial.ID) error
	// ByLeaf returns the statement with this leaf hash, or ErrNotFound.
	ByLeaf(ctx context.Context, leaf receipt.Hash) (*Record, error)
	// Authority returns a trial's logged authority statements, the charter
	// first, in log order; ErrNotFound where the charter is not logged.
	Authority(ctx context.Context, charter trial.ID) ([]*Record, error)
	// MarkBefore returns the last logged time mark below index, or ErrNotFound.
	MarkBefore(ctx context.Context, index uint64) (*Record, error)
	// CountTrial returns the number of a trial's logged statements at indexes above
	// after and below below, without reading them.
	CountTrial(ctx context.Context, charter trial.ID, after int64, below uint64) (uint64, error)
	// Trials returns the charters that claim a registry number, in log order.
	Trials(ctx context.Context, registry string) ([]trial.ID, error)
	// Placed returns the index up to which every lower entry of the log is
	// known to be placed: recovery scans from there.
	PlacedUpTo(ctx context.Context) (uint64, error)
	// SetPlacedUpTo moves it.
	SetPlacedUpTo(ctx context.Context, size uint64) error
	// Check reads the whole database and returns what is damaged. It calls Pause
	// between its pieces.
	Check(ctx context.Context) error
	Close() error
}
