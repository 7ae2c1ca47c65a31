package notary_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/logtest"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
)

// origin is the name of every log of these tests.
const origin = "log.test"

var (
	start    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	errFault = errors.New("fault of the test")
)

// world is a service over the real store and a log in memory that fails on
// demand.
type world struct {
	t     testing.TB
	log   *logtest.Fake
	db    *faultyStore
	path  string // of the database
	clock *testClock
	key   crypto.Signer
	cfg   notary.Config
	*notary.Service
}

func newWorld(tb testing.TB, change ...func(*notary.Config)) *world {
	tb.Helper()
	log, err := logtest.NewFake(origin)
	must(tb, err)
	w := &world{t: tb, log: log, path: filepath.Join(tb.TempDir(), "notary.db"), clock: &testClock{now: start}, key: newKey(tb)}
	must(tb, store.Create(w.path))
	w.openStore()
	logKey, err := receipt.ParseLogKey(log.VerifierKey())
	must(tb, err)
	w.cfg = notary.Config{
		Key: w.key, LogKey: logKey, Policy: []byte("log " + log.VerifierKey() + "\nquorum none\n"),
		Clock: w.clock.Now, Linger: -1,
	}
	for _, f := range change {
		f(&w.cfg)
	}
	must(tb, w.open())
	tb.Cleanup(w.shut)
	return w
}

func (w *world) openStore() {
	db, err := store.Open(w.path)
	must(w.t, err)
	w.db = &faultyStore{Store: db}
}

func (w *world) open() error {
	w.cfg.Log, w.cfg.Store = w.log, w.db
	var err error
	w.Service, err = notary.Open(w.t.Context(), w.cfg)
	return err
}

// shut closes the service as an orderly shutdown does.
func (w *world) shut() {
	if w.Service != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		w.check(w.Close(ctx))
		w.Service = nil
	}
	w.check(w.db.Close())
}

func (w *world) check(err error) {
	if err != nil {
		w.t.Error(err)
	}
}

// crash ends the service without any farewell and opens log and store as they
// are found after that.
func (w *world) crash() {
	w.t.Helper()
	log, err := w.log.Restart()
	must(w.t, err)
	w.log = log
	if w.Service != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = w.Close(ctx) // its writes fail: the log is gone
	}
	must(w.t, w.db.Close())
	w.openStore()
	w.Service = nil
}

func (w *world) reopen() {
	w.t.Helper()
	w.crash()
	must(w.t, w.open())
}

// submit submits and verifies what comes back.
func (w *world) submit(env *trial.Envelope) *notary.Result {
	w.t.Helper()
	res, err := w.Submit(w.t.Context(), env, nil)
	if err != nil {
		w.t.Fatalf("submitting: %v", err)
	}
	w.verified(res)
	return res
}

// verified demands a positive verdict on a result from its own evidence and
// anchors alone.
func (w *world) verified(res *notary.Result) {
	w.t.Helper()
	if v := w.verdict(res); !v.Verified {
		w.t.Fatalf("receipt %d does not verify: %s %+v", res.Record.Index, v.Summary, v.Checks)
	}
}

func (w *world) verdict(res *notary.Result) *receipt.Verdict {
	w.t.Helper()
	trust, err := w.Trust(w.t.Context(), res.Record.Charter)
	must(w.t, err)
	files := trust.Files()
	for name := range files {
		if filepath.Dir(name) != "." {
			delete(files, name)
		}
	}
	anchors, err := receipt.ParseTrust(files)
	must(w.t, err)
	r, err := receipt.Parse(res.Bundle)
	must(w.t, err)
	ev, err := receipt.ParseEvidence(res.Evidence)
	must(w.t, err)
	return receipt.Verify(r, ev, anchors, nil)
}

// entries returns the number of log entries that are no time marks.
func (w *world) entries() int {
	w.t.Helper()
	n := 0
	must(w.t, w.log.Scan(w.t.Context(), 0, func(_ uint64, entry []byte) error {
		rec, err := w.db.ByLeaf(w.t.Context(), receipt.LeafHash(entry))
		if err != nil {
			return err
		}
		if rec.Kind != trial.KindTimeMark {
			n++
		}
		return nil
	}))
	return n
}

// testClock is a clock that tests set, and the one beside it that nobody sets.
type testClock struct {
	mu     sync.Mutex
	now    time.Time
	passed time.Duration
}

func (c *testClock) Elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

// Pass lets time go by.
func (c *testClock) Pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.passed = c.now.Add(d), c.passed+d
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *testClock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// faultyStore fails on demand. A fault may come after the write: the caller
// cannot know.
type faultyStore struct {
	notary.Store

	mu         sync.Mutex
	put, place fault
	stored     func()
	placed     func()
	markReads  int
	altered    trial.ID
	change     func(*notary.Record) error
	panics     bool
	listing    func(notary.Query)
}

type fault struct {
	err     error
	written bool
}

func (f *faultyStore) failPut(err error, written bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.put = fault{err, written}
}

func (f *faultyStore) failPlace(err error, written bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.place = fault{err, written}
}

func (f *faultyStore) Put(ctx context.Context, records []*notary.Record) (held []trial.ID, err error) {
	f.mu.Lock()
	fail, stored := f.put, f.stored
	f.stored = nil
	f.mu.Unlock()
	if stored != nil {
		defer stored()
	}
	err = fail.run(func() (err error) { held, err = f.Store.Put(ctx, records); return err })
	return held, err
}

// SetPlacedUpTo is a write that fails where Put does.
func (f *faultyStore) SetPlacedUpTo(ctx context.Context, size uint64) error {
	f.mu.Lock()
	fail := f.put
	f.mu.Unlock()
	return fail.run(func() error { return f.Store.SetPlacedUpTo(ctx, size) })
}

// onStored calls fn once, after the next Put.
func (f *faultyStore) onStored(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stored = fn
}

func (f *faultyStore) Place(ctx context.Context, placed []notary.Placed) error {
	f.mu.Lock()
	fail, done := f.place, f.placed
	f.placed = nil
	f.mu.Unlock()
	if done != nil {
		defer done()
	}
	return fail.run(func() error { return f.Store.Place(ctx, placed) })
}

// onPlaced calls fn once, after the next Place.
func (f *faultyStore) onPlaced(fn func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.placed = fn
}

// List alters as ByLeaf does. A statement that loses its index is not listed.
func (f *faultyStore) List(ctx context.Context, q notary.Query) ([]*notary.Record, error) {
	f.mu.Lock()
	listing := f.listing
	f.mu.Unlock()
	if listing != nil {
		listing(q)
	}
	listed, err := f.Store.List(ctx, q)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("what a subject's name might be")
	}
	if err != nil || f.change == nil {
		return listed, err
	}
	var altered []*notary.Record
	for _, rec := range listed {
		if rec.ID != f.altered || f.change(rec) == nil && rec.Logged {
			altered = append(altered, rec)
		}
	}
	return altered, nil
}

// onList calls fn before each List.
func (f *faultyStore) onList(fn func(notary.Query)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listing = fn
}

func (f *faultyStore) panicOnList(panics bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.panics = panics
}

// alter changes what is read of one statement.
func (f *faultyStore) alter(id trial.ID, change func(*notary.Record) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.altered, f.change = id, change
}

func (f *faultyStore) MarkBefore(ctx context.Context, index uint64) (*notary.Record, error) {
	f.mu.Lock()
	f.markReads++
	f.mu.Unlock()
	return f.Store.MarkBefore(ctx, index)
}

func (f *faultyStore) markReadings() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.markReads
}

func (f *faultyStore) ByLeaf(ctx context.Context, leaf receipt.Hash) (*notary.Record, error) {
	rec, err := f.Store.ByLeaf(ctx, leaf)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.change != nil && rec.ID == f.altered {
		err = f.change(rec)
	}
	return rec, err
}

func (f fault) run(write func() error) error {
	if f.err == nil {
		return write()
	}
	if f.written {
		if err := write(); err != nil {
			return err
		}
	}
	return f.err
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantRefusal(tb testing.TB, err error, reason trial.Reason) {
	tb.Helper()
	if got := trial.ReasonOf(err); got != reason {
		tb.Errorf("got error %v, want a refusal %s", err, reason)
	}
}

func wantError(tb testing.TB, err, target error) {
	tb.Helper()
	if !errors.Is(err, target) {
		tb.Errorf("got error %v, want %v", err, target)
	}
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// testContext outlives a test's own, for its cleanups.
func testContext() context.Context { return context.Background() }

func inFlight(callers int) string { return fmt.Sprintf("callers=%d", callers) }

// stageTimes sums what an Observer is told.
type stageTimes struct {
	mu    sync.Mutex
	total map[notary.Stage]time.Duration
	count map[notary.Stage]int
}

func (s *stageTimes) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total, s.count = make(map[notary.Stage]time.Duration), make(map[notary.Stage]int)
}

func (s *stageTimes) Stage(_ context.Context, stage notary.Stage, _ time.Time, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count != nil {
		s.total[stage] += d
		s.count[stage]++
	}
}

func (s *stageTimes) Batch(_ []context.Context, stage notary.Stage, began time.Time, d time.Duration) {
	s.Stage(context.Background(), stage, began, d)
}

func (s *stageTimes) Traced(context.Context) bool { return false }

func (s *stageTimes) Outcome(notary.Outcome) {}
