package notary

import (
	"context"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// Service is the notary. All methods are safe for concurrent use.
type Service struct{}

// Open recovers what a crash left behind, which is the normal start, and
// returns a Service that takes submissions. It fails with ErrDatabaseBehind,
// ErrLogBehind or ErrDamaged where log and database do not fit together. The
// caller closes Log and Store after Close.
func Open(ctx context.Context, c Config) (*Service, error) { panic("") }

// Submit logs one signed statement and returns its receipt. See the package
// documentation for the errors: *trial.Refusal, the error of allow,
// ErrOverloaded, ErrUnavailable, or the context's.
func (s *Service) Submit(ctx context.Context, env *trial.Envelope, allow Allow) (*Result, error) {
	panic("")
}

// Receipt returns the receipt of a logged statement, proven under the newest
// checkpoint. It fails with ErrNotFound where it is not logged.
func (s *Service) Receipt(ctx context.Context, id trial.ID) (*Result, error) { panic("") }

// Statement returns a logged statement, or ErrNotFound.
func (s *Service) Statement(ctx context.Context, id trial.ID) (*Record, error) { panic("") }

// List returns logged statements in log order.
func (s *Service) List(ctx context.Context, q Query) ([]*Record, error) { panic("") }

// FindSubject returns the logged statements about a file, in log order;
// q.Digest is required.
func (s *Service) FindSubject(ctx context.Context, q Query) ([]*Record, error) { panic("") }

// Checkpoint returns the newest published checkpoint.
func (s *Service) Checkpoint() receipt.Checkpoint { panic("") }

// Resolve returns the trial that a charter's id or a registry number names. It
// fails with ErrNotFound, or with a *trial.Refusal AMBIGUOUS_TRIAL where more
// than one charter claims the number.
func (s *Service) Resolve(ctx context.Context, name string) (trial.ID, error) { panic("") }

// Trust returns a trial's trust folder: the anchors, the receipts of its
// authority statements with their time marks, and the notary's signed list of
// them. It fails with ErrNotFound where there is no such trial.
func (s *Service) Trust(ctx context.Context, charter trial.ID) (*receipt.Trust, error) { panic("") }

// Verify judges a receipt against the trial's trust folder as it is now. A bad
// receipt is a negative verdict. It fails with ErrNotReceipt where bundle or
// evidence (which may be nil) cannot be read, and with ErrNotFound where there
// is no such trial.
func (s *Service) Verify(ctx context.Context, charter trial.ID, bundle, evidence []byte, files []receipt.File) (*receipt.Verdict, error) {
	panic("")
}

// Err returns nil while the service takes submissions, or what stopped it.
// A stopped service still answers reads; it must be opened again, which
// recovers.
func (s *Service) Err() error { panic("") }

// Stopped is closed when Err becomes non-nil.
func (s *Service) Stopped() <-chan struct{} { panic("") }

// Health tells what works. The service is ready if every condition is OK.
func (s *Service) Health(ctx context.Context) []Condition { panic("") }

// Check reads the whole log and every statement back and compares them. The
// error names what is wrong.
func (s *Service) Check(ctx context.Context) (CheckReport, error) { panic("") }

// Close takes no more submissions, waits until those in flight are answered or
// ctx ends, and stops. It does not close Log or Store.
func (s *Service) Close(ctx context.Context) error { panic("") }
