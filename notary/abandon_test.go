package notary_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// held is memory of a caller's that a submission leads to.
type held []weak.Pointer[[1 << 12]byte]

// beginHeld begins a submission that leads to memory of its caller's.
func (h *held) begin(w *world, env *trial.Envelope) (abandon func(error), answers chan answer) {
	own := new([1 << 12]byte)
	*h = append(*h, weak.Make(own))
	return w.begin(env, func(*trial.Statement) error { own[0]++; return nil })
}

// count returns how much of it is not free.
func (h *held) count() int {
	runtime.GC()
	n := 0
	for _, p := range *h {
		if p.Value() != nil {
			n++
		}
	}
	return n
}

// beginAndAbandon does as a caller who goes away and comes again.
func (h *held) beginAndAbandon(w *world, env *trial.Envelope, times int, while func()) {
	w.t.Helper()
	var abandons []func(error)
	var answers []chan answer
	for range times {
		abandon, answer := h.begin(w, env)
		abandons, answers = append(abandons, abandon), append(answers, answer)
	}
	while()
	for i, abandon := range abandons {
		abandon(errFault)
		if got := <-answers[i]; got.res == nil {
			wantError(w.t, got.err, errFault)
		}
	}
}

// Whoever goes away leaves nothing behind, however long there is no checkpoint.
func TestAbandonedAreNotHeld(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	warm := s.dataset(h, "701", "warm")
	w.submit(warm)

	t.Run("before an index", func(t *testing.T) {
		var mem held
		w.log.Queue()
		env := s.dataset(h, "701", "queued")
		mem.beginAndAbandon(w, env, 50, func() { waitFor(t, func() bool { return w.log.Queued() == 1 }) })
		waitFor(t, func() bool { return mem.count() == 0 })
		must(t, w.log.Flush(false))
		w.submit(env)
	})
	t.Run("before a checkpoint", func(t *testing.T) {
		var mem held
		w.log.Hold()
		env := s.dataset(h, "701", "unpublished")
		for range 5 {
			mem.beginAndAbandon(w, env, 50, func() { waitFor(t, func() bool { return w.Gauges().InFlight == 0 }) })
		}
		waitFor(t, func() bool { return mem.count() == 0 })
		must(t, w.log.Release())
		w.submit(env)
	})
	t.Run("before an evidence file", func(t *testing.T) {
		var mem held
		size := w.log.Size()
		w.log.Hold()
		_, answers := w.begin(s.registration("NCT01234567"), nil)
		waitFor(t, func() bool { return w.Gauges().InFlight == 0 && w.log.Size() > size })
		mem.beginAndAbandon(w, warm, 3000, func() {})
		const most = 64 * 16 // what the goroutines have in hand that make evidence files
		waitFor(t, func() bool { return mem.count() <= most })
		must(t, w.log.Release())
		must(t, (<-answers).err)
		waitFor(t, func() bool { return mem.count() == 0 })
	})
}

// slowLog has old entries on a disk that does not answer.
type slowLog struct {
	notary.Log

	below uint64 // are old
	slow  chan struct{}

	mu     sync.Mutex
	asked  int
	change func([]receipt.Inclusion) []receipt.Inclusion
}

func (l *slowLog) ProveAll(ctx context.Context, indexes []uint64) ([]receipt.Inclusion, error) {
	for _, i := range indexes {
		if i >= l.below {
			continue
		}
		l.mu.Lock()
		l.asked++
		l.mu.Unlock()
		select {
		case <-l.slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	proofs, err := l.Log.ProveAll(ctx, indexes)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.change != nil {
		proofs = l.change(proofs)
	}
	return proofs, err
}

func (l *slowLog) waits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked
}

// reopenOver opens the service again, over a log between it and its own.
func (w *world) reopenOver(between func(notary.Log) notary.Log) {
	w.t.Helper()
	must(w.t, w.Close(testContext()))
	w.cfg.Log, w.cfg.Store = between(w.log), w.db
	var err error
	w.Service, err = notary.Open(w.t.Context(), w.cfg)
	must(w.t, err)
}

// Reading old parts of the log keeps no worker from what is new.
func TestOldEntriesHoldNobodyUp(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	const n = 100
	var envs []*trial.Envelope
	for i := range n {
		envs = append(envs, s.dataset(h, "701", fmt.Sprint("old ", i)))
		w.submit(envs[i])
	}
	slow := &slowLog{below: w.log.Size(), slow: make(chan struct{})}
	w.reopenOver(func(l notary.Log) notary.Log { slow.Log = l; return slow })
	var old []chan answer
	for _, env := range envs {
		_, answers := w.begin(env, nil)
		old = append(old, answers)
	}
	waitFor(t, func() bool { return slow.waits() > 0 })
	for i := range 20 {
		w.submit(s.dataset(h, "701", fmt.Sprint("new ", i)))
	}
	close(slow.slow)
	for i := range old {
		got := <-old[i]
		must(t, got.err)
		w.verified(got.res)
	}
}

// A log that answers fewer proofs than it was asked for, or panics, costs a
// receipt and not the process.
func TestBadProofsEndNothingElse(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	bad := &slowLog{slow: make(chan struct{})}
	w.reopenOver(func(l notary.Log) notary.Log { bad.Log = l; return bad })
	change := func(f func([]receipt.Inclusion) []receipt.Inclusion) {
		bad.mu.Lock()
		defer bad.mu.Unlock()
		bad.change = f
	}
	change(func([]receipt.Inclusion) []receipt.Inclusion { return nil })
	w.submit(s.dataset(h, "701", "few")) // proven alone
	change(func([]receipt.Inclusion) []receipt.Inclusion { panic("what a subject's name might be") })
	env := s.dataset(h, "701", "panic")
	for range 2 { // as new, and again
		_, err := w.Submit(t.Context(), env, nil)
		if _, ok := err.(*notary.PanicError); !ok { //nolint:errorlint // it is not wrapped
			t.Errorf("got %v, want a PanicError", err)
		}
	}
	change(nil)
	w.submit(env)
}

// An act over which the store panics ends, and the next one begins anew.
func TestAPanicOfTheStore(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	_, enrol := s.enrol("nurse", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	w.db.panicOnList(true)
	_, err := w.Submit(t.Context(), enrol, nil)
	if _, ok := err.(*notary.PanicError); !ok { //nolint:errorlint // it is not wrapped
		t.Errorf("got %v, want a PanicError", err)
	}
	w.db.panicOnList(false)
	w.submit(enrol)
	w.submit(s.dataset(h, "701", "dm"))
}

// damagedStore has another key for a statement than the one that signed it.
type damagedStore struct {
	notary.Store

	der []byte
}

func (d *damagedStore) Get(ctx context.Context, id trial.ID) (*notary.Record, error) {
	rec, err := d.Store.Get(ctx, id)
	if err == nil {
		rec.SignerDER = d.der
	}
	return rec, err
}

// The key that goes with a proof is the one that was checked.
func TestAProofWithAnotherKey(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.submit(env)
	res, err := w.SubmitForm(t.Context(), env, nil, notary.ProofOnly)
	must(t, err)
	if string(res.Record.SignerDER) != string(h.body.Key.DER) || res.Inclusion == nil {
		t.Fatalf("got %+v, want a proof", res)
	}
	must(t, w.Close(testContext()))
	w.cfg.Store = &damagedStore{w.db, public(t, newKey(t)).DER}
	w.Service, err = notary.Open(t.Context(), w.cfg)
	must(t, err)
	_, err = w.SubmitForm(t.Context(), env, nil, notary.ProofOnly)
	wantError(t, err, notary.ErrDamaged)
}
