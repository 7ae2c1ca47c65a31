package notary

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// Defaults of Config.
const (
	defaultMarkInterval = time.Minute
	defaultMaxInFlight  = 8192
	defaultBatchSize    = 1024
	defaultLinger       = 5 * time.Millisecond
	defaultCachedTrials = 1024
	defaultMinFree      = 256 << 20 // bytes
	defaultViewMemory   = 256 << 20 // bytes
	defaultClockJump    = time.Hour
	defaultClockGap     = 30 * 24 * time.Hour
)

var errClosing = errors.New("the service is shutting down")

// Service is the notary. All methods are safe for concurrent use.
//
// Three goroutines move statements into the log, each handing over to the next:
// the committer (stores, marks the time, adds), the awaiter (learns indexes) and
// the placer (records them, lets authority take effect). The publisher waits for
// the checkpoints that cover them. What is deep is done by the workers of a pool:
// they read and verify statements before all this, and make and verify receipts
// after it.
type Service struct {
	cfg      Config
	log      Log
	store    Store
	self     *trial.PublicKey
	verifier *receipt.LogVerifier

	trials     *trials
	views      *views
	marks      *marks
	markProofs *markProofs
	placedUpTo *watermark
	signatures signatures

	room    *room
	callers *gate // from Submit to its answer
	acts    *gate // from admission to the end, whoever still waits

	queue  chan *act     // to the committer; has room for every act
	full   chan struct{} // holds a value where the queue may have a whole batch
	awaits chan *batch   // to the awaiter
	places chan []*act   // to the placer
	// awaiting counts the batches whose futures are not all awaited. Only the
	// committer adds and waits.
	awaiting sync.WaitGroup
	running  sync.WaitGroup

	pool      *pool
	published publisher
	old       lane // were logged long ago
	lacking   lane // wait for an evidence file that is to be made

	// ctx is the life of the service: an act outlives its callers.
	ctx     context.Context
	cancel  context.CancelFunc
	stopped chan struct{} // closed with stopErr set

	compiling chan struct{} // held, by a value inside, by the one charter whose rules are compiled

	checking chan struct{} // held, by a value inside, by the one full check that runs
	checks   checkStatus

	foldGauges

	recovered   Recovered // written by Open alone
	storeErr    lastError
	badReceipts atomic.Uint64
	added       atomic.Int64 // acts that wait for their index

	// mu guards inFlight, which holds exactly the acts that have not ended, enrolling,
	// which holds the keys that acts are enrolling, stopErr, which is set once, and
	// every line of submissions.
	mu        sync.Mutex
	inFlight  map[trial.ID]*act
	enrolling map[trial.KeyID]keyClaim
	stopErr   error
	// queueClosed tells that the committer will end.
	queueClosed bool
}

// Open recovers what a crash left behind, which is the normal start, and
// returns a Service that takes submissions: statements that are stored and not
// in the log are logged before it returns. It fails with ErrDatabaseBehind,
// ErrLogBehind or ErrDamaged where log and database do not fit together. The
// caller closes Log and Store, after Close.
func Open(ctx context.Context, c Config) (*Service, error) {
	s, err := newService(c)
	if err != nil {
		return nil, err
	}
	pending, err := s.catchUp(ctx)
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.believeClock()
	s.running.Go(s.commitLoop)
	s.running.Go(s.awaitLoop)
	s.running.Go(s.placeLoop)
	s.running.Go(s.publishLoop)
	for range s.pool.workers {
		s.running.Go(s.pool.work)
	}
	if err := s.addPending(ctx, pending); err != nil {
		closeCtx, cancel := context.WithCancel(ctx)
		cancel() // nothing is worth waiting for
		return nil, errors.Join(fmt.Errorf("logging statements that a crash left behind: %w", err), s.Close(closeCtx))
	}
	return s, nil
}

// believeClock begins to measure the clock, from the newest time mark or from
// what an operator confirmed. A clock that is refused keeps no one from reading.
func (s *Service) believeClock() {
	s.marks.clock.knows(s.marks.logged())
	s.marks.clock.knows(s.cfg.Confirmed)
	_, _ = s.marks.clock.read() // Health and Submit tell
}

func newService(c Config) (*Service, error) {
	if c.Log == nil || c.Store == nil || c.Key == nil {
		return nil, errors.New("invalid config: log, store and key are required")
	}
	c = withDefaults(c)
	self, err := trial.NewPublicKey(c.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("invalid statement key: %w", err)
	}
	if got, want := c.LogKey.Origin(), c.Log.Origin(); got != want {
		return nil, fmt.Errorf("invalid log key: got origin %q, want the log's %q", got, want)
	}
	if _, err := receipt.OpenCheckpoint(c.Log.Checkpoint().Note, c.LogKey); err != nil {
		return nil, fmt.Errorf("invalid log key: the newest checkpoint does not verify: %w", err)
	}
	if _, err := receipt.ParsePolicy(c.Policy); err != nil {
		return nil, fmt.Errorf("invalid witness policy: %w", err)
	}
	verifier, err := receipt.NewLogVerifier(c.LogKey)
	if err != nil {
		return nil, fmt.Errorf("invalid log key: %w", err)
	}
	s := &Service{
		cfg: c, log: c.Log, store: c.Store, self: self, verifier: verifier,
		marks: &marks{key: c.Key, self: self, interval: c.MarkInterval,
			clock: newClockGuard(c.Clock, c.Elapsed, c.ClockJump, c.ClockGap)},
		markProofs: &markProofs{store: c.Store},
		room:       &room{measure: c.FreeSpace, reserve: c.MinFree},
		callers:    newGate(c.MaxInFlight),
		acts:       newGate(c.MaxInFlight),
		pool:       newPool(runtime.GOMAXPROCS(0)),
		published:  publisher{wake: make(chan struct{}, 1)},
		queue:      make(chan *act, c.MaxInFlight),
		full:       make(chan struct{}, 1),
		awaits:     make(chan *batch, 64),
		places:     make(chan []*act, 64),
		stopped:    make(chan struct{}),
		compiling:  make(chan struct{}, 1),
		checking:   make(chan struct{}, 1),
		inFlight:   make(map[trial.ID]*act),
		enrolling:  make(map[trial.KeyID]keyClaim),
	}
	s.trials = newTrials(c.CachedTrials, s.loadTrial)
	s.views = newViews(c.ViewMemory)
	s.folding = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	s.older = make(chan struct{}, 1)
	s.published.mu = &s.mu
	s.old = lane{most: 16, do: s.answerAll}
	s.lacking = lane{most: 64, do: s.makeEvidence}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func withDefaults(c Config) Config {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Packs == nil {
		c.Packs = rules.NewPacks()
	}
	setDefault(&c.MarkInterval, defaultMarkInterval)
	setDefault(&c.MaxInFlight, defaultMaxInFlight)
	setDefault(&c.BatchSize, defaultBatchSize)
	setDefault(&c.Linger, defaultLinger)
	setDefault(&c.CachedTrials, defaultCachedTrials)
	setDefault(&c.MinFree, defaultMinFree)
	setDefault(&c.ViewMemory, defaultViewMemory)
	setDefault(&c.ClockJump, defaultClockJump)
	setDefault(&c.ClockGap, defaultClockGap)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close takes no more submissions, waits until those in flight are answered or
// ctx ends, and stops. What was stored and not logged by then is logged when the
// service is opened again. It does not close Log or Store. Stop the transport
// first, Close second, the log third and the store last.
func (s *Service) Close(ctx context.Context) error {
	callers, acts := s.callers.close(), s.acts.close()
	for _, idle := range []<-chan struct{}{acts, callers} {
		select {
		case <-idle:
		case <-ctx.Done():
		}
	}
	var err error
	if s.Err() == nil && ctx.Err() == nil {
		if s.placedUpTo.unsaved() {
			size := s.placedUpTo.known()
			if err = s.store.SetPlacedUpTo(ctx, size); err == nil {
				s.placedUpTo.saved(size)
			}
		}
	}
	s.cancel()
	<-acts // every act ends once the context has
	s.closeQueue()
	s.running.Wait()
	return err
}

// closeQueue may be called again, as Close may.
func (s *Service) closeQueue() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queueClosed {
		s.queueClosed = true
		close(s.queue)
	}
}
