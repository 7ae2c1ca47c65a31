package notary

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// Submission is a statement that is handed in.
type Submission struct {
	Envelope *trial.Envelope
	// Allow is asked, unless it is nil.
	Allow Allow
	// Form is how much of the receipt is wanted.
	Form Form
	// Done is called once with what Submit would have returned, maybe before Start
	// returns. It is called by a goroutine that others wait for, and MUST return at
	// once.
	Done func(*Result, error)
}

// PanicError means that the notary's own code panicked over a submission. What
// panicked is not kept, because it may hold content of a trial.
type PanicError struct {
	Type  string // of what panicked
	Stack []byte
}

func (e *PanicError) Error() string { return "panic of type " + e.Type }

// submission is a Submission on its way. Goroutines hand it over to each other; in
// the end whoever sets ended first calls done.
type submission struct {
	Submission

	ctx    context.Context
	places int
	ended  atomic.Bool
	// reading is held while the transport's Allow may be asked, so that it is not
	// asked any more once done was called.
	reading sync.Mutex
	opened  bool // a worker has begun to read it; reading guards it
	// act is what it waits for.
	act *act
	// line is where it stands now, if anywhere, between two others. The service's mu
	// guards the three.
	line       *line
	prev, next *submission
	// res is its answer but for the evidence.
	res *Result
	// since is when its present stage began.
	since time.Time
}

// Submit logs one signed statement and returns its receipt, proven under a
// published checkpoint and verified. The same statement, also with another
// valid signature and also when its key was revoked since, always gets the
// first envelope's receipt; any number of callers may send it at once.
//
// A caller whose context ends does not end the act: the error is the context's,
// and the same bytes sent again bring the receipt.
//
// It fails with a *trial.Refusal, with the error of allow as it is, with
// ErrOverloaded (nothing was stored), or with ErrUnavailable (the statement may
// be stored: send the same bytes again), which may wrap ErrStoreFull.
func (s *Service) Submit(ctx context.Context, env *trial.Envelope, allow Allow) (*Result, error) {
	return s.SubmitForm(ctx, env, allow, WholeReceipt)
}

// SubmitForm is Submit for a caller who may want less than the whole receipt.
func (s *Service) SubmitForm(ctx context.Context, env *trial.Envelope, allow Allow, form Form) (*Result, error) {
	var res *Result
	var failed error
	done := make(chan struct{})
	abandon := s.Start(ctx, Submission{Envelope: env, Allow: allow, Form: form, Done: func(r *Result, err error) {
		res, failed = r, err
		close(done)
	}})
	select {
	case <-done:
	case <-ctx.Done():
		abandon(context.Cause(ctx))
		<-done
	}
	return res, failed
}

// Start is SubmitForm for callers that do not wait. It takes no notice of ctx's end:
// the caller does, and calls abandon, which ends the submission with an error
// unless it has ended. abandon may be called at any time and more than once.
func (s *Service) Start(ctx context.Context, sub Submission) (abandon func(error)) {
	w := &submission{Submission: sub, ctx: ctx, places: places(sub.Envelope.Payload)}
	if err := s.callers.enter(w.places); err != nil {
		w.ended.Store(true)
		s.observeOutcome(ctx, false, err)
		w.Done(nil, err)
		return func(error) {}
	}
	if !s.pool.begin(func() { s.open(w) }) {
		s.end(w, nil, false, unavailable(errClosing))
	}
	return func(cause error) { s.abandon(w, cause) }
}

// abandon ends a submission, and lets go of it wherever it waits: its place among
// the callers is another's now.
func (s *Service) abandon(w *submission, cause error) {
	w.reading.Lock()
	defer w.reading.Unlock()
	if !s.end(w, nil, false, cause) {
		return
	}
	if !w.opened { // the worker who takes it will find that it has ended
		w.Submission, w.ctx = Submission{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.remove()
}

// end gives a submission its answer, unless it has one: then it returns false.
func (s *Service) end(w *submission, res *Result, repeated bool, err error) bool {
	if !w.ended.CompareAndSwap(false, true) {
		return false
	}
	s.callers.leave(1, w.places) // first: who is answered may send the next one
	s.observeOutcome(w.ctx, repeated, err)
	w.Done(res, err)
	return true
}

// endPanicked is deferred by what is done over submissions: those that have no
// answer yet get the panic, which would end the process otherwise.
func (s *Service) endPanicked(some ...*submission) {
	if p := recover(); p != nil {
		err := panicked(p)
		for _, w := range some {
			s.end(w, nil, false, err)
		}
	}
}

// open reads a submission, finds out whether it is signed by who it says, and
// joins or begins its act. A worker does it.
func (s *Service) open(w *submission) {
	defer s.endPanicked(w)
	st, err := s.read(w)
	if err != nil {
		s.end(w, nil, false, err)
		return
	}
	if s.waits(st) {
		s.running.Go(func() {
			defer s.endPanicked(w)
			s.take(w, st)
		})
		return
	}
	s.take(w, st)
}

// waits tells whether a statement may have to wait for others or for the store
// before it is with the committer. No worker is to be held up by that.
func (s *Service) waits(st *trial.Statement) bool {
	switch k := st.Predicate.Kind; {
	case k == trial.KindTimeMark:
		return false // refused
	case k.Folded() || k == trial.KindEndorsement:
		return true
	}
	return s.trials.held(st.Predicate.Charter) == nil
}

// errEnded tells that nobody waits for a submission any more.
var errEnded = errors.New("the caller went away")

// read parses the statement and asks the transport, or fails with errEnded.
func (s *Service) read(w *submission) (st *trial.Statement, err error) {
	defer recovered(&err)
	w.reading.Lock()
	defer w.reading.Unlock()
	if w.ended.Load() {
		return nil, errEnded
	}
	w.opened = true
	w.since = time.Now()
	if st, err = trial.ParseStatement(w.Envelope.Payload); err != nil {
		return nil, err
	}
	w.since = s.observe(w.ctx, StageParse, w.since)
	if w.Allow != nil {
		err = w.Allow(st)
	}
	return st, err
}

// take verifies a submission and brings its act on its way.
func (s *Service) take(w *submission, st *trial.Statement) {
	key, err := s.signer(w, st)
	if err != nil {
		s.end(w, nil, false, err)
		return
	}
	w.since = s.observe(w.ctx, StageVerify, w.since)
	a, err := s.join(w, st, key)
	if err != nil {
		s.end(w, nil, false, err)
		return
	}
	if a != nil {
		s.carry(a, w.Envelope)
	}
}

// recovered turns a panic into an error. The transport's own recovery does not
// reach the goroutines here.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = panicked(p)
	}
}

// panicked is called by who recovered, for the stack.
func panicked(p any) *PanicError {
	return &PanicError{Type: fmt.Sprintf("%T", p), Stack: debug.Stack()}
}
