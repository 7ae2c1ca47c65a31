package notary_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// recover signs a recovery of the sponsor's key.
func (s *study) recover(newKey crypto.Signer, lastTrusted uint64, confirmed ...trial.ID) *trial.Envelope {
	s.t.Helper()
	body := &trial.RecoveryBody{NewKey: public(s.t, newKey), LastTrustedIndex: lastTrusted, Confirmed: confirmed}
	var err error
	body.Proof, err = trial.SignPossession(newKey, s.id, body)
	must(s.t, err)
	return s.sign(s.recovery, trial.KindKeyRecovery, trial.RoleRecovery, "", digestOf(body.NewKey.DER, "key"), body)
}

func TestRecoveryOfTheSponsorsKey(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	kept, keptEnv := s.enrol("kept", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	w.submit(keptEnv)
	lost, lostEnv := s.enrol("lost", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	w.submit(lostEnv)
	trusted := w.log.Size() - 3
	data := s.dataset(lost, "701", "by the thief")
	first := w.submit(data)

	next := newKey(t)
	for name, id := range map[string]trial.ID{"unknown": {1}, "not about keys": idOf(data)} {
		_, err := w.Submit(t.Context(), s.recover(next, trusted, id), nil)
		if trial.ReasonOf(err) != trial.ReasonUnknownStatement {
			t.Errorf("confirming what is %s: got %v", name, err)
		}
	}
	w.submit(s.recover(next, trusted, idOf(keptEnv)))
	for _, reopened := range []bool{false, true} {
		if reopened {
			w.reopen()
		}
		// The act stands as it was recorded, and has no effect any more.
		second, err := w.Submit(t.Context(), again(t, lost.key, data), nil)
		must(t, err)
		sameReceipt(t, first, second)
		if v := w.verdict(second); v.Verified {
			t.Error("a statement of a void enrolment verifies")
		}
		_, err = w.Submit(t.Context(), s.dataset(lost, "701", "later"), nil)
		wantRefusal(t, err, trial.ReasonVoidByRecovery)
	}
	w.submit(s.dataset(kept, "701", "confirmed"))
	w.submit(s.dataset(h, "701", "before the last trusted index"))
	_, old := s.enrol("old", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	_, err := w.Submit(t.Context(), old, nil)
	wantRefusal(t, err, trial.ReasonKeyRevoked)
	s.sponsor = next
	_, fresh := s.enrol("new", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	w.submit(fresh)
	trust, err := w.Trust(t.Context(), s.id)
	must(t, err)
	if trust.Sponsor.ID == public(t, next).ID {
		t.Error("the anchor is the new key, want the one that signed the charter")
	}
}

func TestARegistrationClaimsANumber(t *testing.T) {
	w := newWorld(t)
	registry := trial.Registry{"nct": "NCT01234567"}
	s, _ := w.manager(registry)
	for _, number := range []string{"NCT01234567", "NCT07654321"} {
		w.submit(s.registration(number))
		id, err := w.Resolve(t.Context(), number)
		must(t, err)
		if id != s.id {
			t.Errorf("got trial %s, want %s", id, s.id)
		}
	}
}

func TestValidityIsJudgedByLogTime(t *testing.T) {
	w := newWorld(t)
	s := newStudy(t, nil)
	w.submit(s.charter)
	h, env := s.enrol("short", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	w.submit(env)
	from, until := start.Add(time.Hour), start.Add(2*time.Hour)
	timed, _ := s.enrol("timed", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	timed.body.From, timed.body.Until = &from, &until
	w.submit(s.resign(timed))
	steps := []struct {
		at     time.Duration
		reason trial.Reason
	}{
		{time.Hour - time.Millisecond, trial.ReasonKeyNotYetValid},
		{time.Hour, trial.ReasonKeyNotYetValid}, // the last mark is of a moment ago
		{time.Hour + markInterval, ""},
		{2*time.Hour - time.Millisecond, ""},
		{2 * time.Hour, ""},
		{2*time.Hour + markInterval, trial.ReasonKeyExpired},
		{time.Hour, trial.ReasonKeyExpired}, // time never goes back
	}
	for _, step := range steps {
		w.clock.Set(start.Add(step.at))
		_, err := w.Submit(t.Context(), s.dataset(timed, "701", "dm"), nil)
		if got := trial.ReasonOf(err); got != step.reason || (err != nil) != (step.reason != "") {
			t.Errorf("at %s: got %v, want reason %q", step.at, err, step.reason)
		}
		w.submit(s.dataset(h, "701", "keeps the marks going"))
	}
}

func TestCloseAnswersWhatIsInFlight(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.log.Queue()
	done := make(chan error)
	go func() {
		_, err := w.Submit(t.Context(), s.dataset(h, "701", "dm"), nil)
		done <- err
	}()
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	closed := make(chan error)
	go func() { closed <- w.Close(t.Context()) }()
	late := s.dataset(h, "701", "late")
	waitFor(t, func() bool {
		_, err := w.Submit(cancelled(t), late, nil)
		return errors.Is(err, notary.ErrUnavailable)
	})
	must(t, w.log.Flush(false))
	must(t, <-done)
	must(t, <-closed)
	must(t, w.Close(t.Context())) // again
	size, err := w.db.PlacedUpTo(t.Context())
	must(t, err)
	if size != w.log.Size() {
		t.Errorf("got watermark %d, want %d", size, w.log.Size())
	}
}

func TestCloseDoesNotWaitForever(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.log.Queue()
	done := make(chan error)
	go func() {
		_, err := w.Submit(t.Context(), env, nil)
		done <- err
	}()
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	must(t, w.Close(cancelled(t)))
	wantError(t, <-done, notary.ErrUnavailable)
	w.reopen()
	w.submit(env)
}

func cancelled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestManyPendingAfterACrash(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	envs := make([]*trial.Envelope, 5)
	w.log.Queue()
	var wg sync.WaitGroup
	for i := range envs {
		envs[i] = s.dataset(h, "701", string(rune('a'+i)))
		wg.Go(func() {
			_, err := w.Submit(t.Context(), envs[i], nil)
			wantError(t, err, notary.ErrUnavailable)
		})
	}
	waitFor(t, func() bool { return w.log.Queued() == len(envs) })
	w.log.Stop(errFault)
	wg.Wait()
	w.cfg.MaxInFlight = 2
	w.reopen()
	if got := w.entries(); got != 2+len(envs) {
		t.Errorf("got %d entries, want %d", got, 2+len(envs))
	}
	for _, env := range envs {
		w.submit(env)
	}
}

// brokenSigner is a key that cannot be reached.
type brokenSigner struct {
	crypto.Signer

	mu     sync.Mutex
	broken bool
}

func (b *brokenSigner) set(broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = broken
}

func (b *brokenSigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken {
		return nil, errFault
	}
	return b.Signer.Sign(r, digest, opts)
}

func TestWithoutTimeMarksNothingIsLogged(t *testing.T) {
	signer := &brokenSigner{Signer: newKey(t)}
	w := newWorld(t, func(c *notary.Config) { c.Key = signer })
	s, h := w.manager(nil)
	signer.set(true)
	_, err := w.Submit(t.Context(), s.dataset(h, "701", "dm"), nil)
	must(t, err) // the last mark still holds
	w.clock.Add(markInterval)
	late := s.dataset(h, "701", "late")
	_, err = w.Submit(t.Context(), late, nil)
	wantError(t, err, notary.ErrUnavailable)
	wantCondition(t, w, notary.ConditionTimeMark, false)
	_, err = w.Trust(t.Context(), s.id)
	wantError(t, err, notary.ErrUnavailable)
	signer.set(false)
	w.submit(late)
	wantCondition(t, w, notary.ConditionTimeMark, true)
}

func wantCondition(t *testing.T, w *world, name string, ok bool) {
	t.Helper()
	for _, c := range w.Health(t.Context()) {
		if c.Name == name {
			if c.OK != ok || c.Detail == "" {
				t.Errorf("condition %s: got OK %t (%s), want %t", name, c.OK, c.Detail, ok)
			}
			return
		}
	}
	t.Errorf("no condition %s", name)
}

func TestHealth(t *testing.T) {
	var free uint64 = 1 << 40
	var failed error
	w := newWorld(t, func(c *notary.Config) {
		c.FreeSpace = func() (uint64, error) { return free, failed }
	})
	for _, name := range []string{
		notary.ConditionLog, notary.ConditionStore, notary.ConditionTimeMark, notary.ConditionClock,
		notary.ConditionReceipts, notary.ConditionDiskSpace,
	} {
		wantCondition(t, w, name, true)
	}
	free = 1 << 20
	wantCondition(t, w, notary.ConditionDiskSpace, false)
	free, failed = 1<<40, errFault
	wantCondition(t, w, notary.ConditionDiskSpace, false)
	s := newStudy(t, nil)
	w.db.failPut(errFault, false)
	_, err := w.Submit(t.Context(), s.charter, nil)
	wantError(t, err, errFault)
	wantCondition(t, w, notary.ConditionStore, false)
	wantCondition(t, w, notary.ConditionStore, false)
	// No statement shows that the store is well again: none is sent to a notary that
	// says it is not.
	w.db.failPut(nil, false)
	wantCondition(t, w, notary.ConditionStore, true)
	w.submit(s.charter)
	wantCondition(t, w, notary.ConditionStore, true)
}

// outcomes counts what an Observer is told.
type outcomes struct {
	stageTimes

	seen map[notary.Outcome]int
}

func (o *outcomes) Outcome(outcome notary.Outcome) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[outcome]++
}

func TestTheObserverIsTold(t *testing.T) {
	o := &outcomes{seen: make(map[notary.Outcome]int)}
	o.reset()
	w := newWorld(t, func(c *notary.Config) { c.Observer, c.MaxInFlight = o, 1 })
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.submit(env)
	w.submit(env)
	_, err := w.Submit(t.Context(), s.dataset(h, "999", "dm"), nil)
	wantRefusal(t, err, trial.ReasonUnknownSite)
	_, err = w.Submit(t.Context(), env, func(*trial.Statement) error { return errFault })
	wantError(t, err, errFault)
	w.log.Queue()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := w.Submit(ctx, s.dataset(h, "701", "slow"), nil)
		done <- err
	}()
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	_, err = w.Submit(t.Context(), env, nil)
	wantError(t, err, notary.ErrOverloaded)
	cancel()
	wantError(t, <-done, context.Canceled)
	must(t, w.log.Flush(false))
	w.log.FailAdd(errFault, false)
	waitFor(t, func() bool {
		_, err = w.Submit(t.Context(), s.dataset(h, "701", "lost"), nil)
		return errors.Is(err, notary.ErrUnavailable)
	})
	waitFor(t, func() bool { return w.Gauges().Awaiting == 0 }) // counted down after its callers were answered
	o.mu.Lock()                                                 // a batch may still be observed after its callers were answered
	defer o.mu.Unlock()
	for outcome, want := range map[notary.Outcome]int{
		notary.OutcomeLogged: 3, notary.OutcomeRepeated: 1, notary.OutcomeRefused: 2,
		notary.OutcomeCancelled: 1, notary.OutcomeUnavailable: 1,
	} {
		if got := o.seen[outcome]; got != want {
			t.Errorf("outcome %s: got %d, want %d", outcome, got, want)
		}
	}
	if got, want := w.Gauges(), (notary.Gauges{
		Entries: w.log.Size(), Published: w.log.Checkpoint().Size, Placed: w.log.Size(), LastMark: w.Gauges().LastMark,
	}); got != want || got.LastMark.IsZero() || got.Published == 0 {
		t.Errorf("got %+v, want %+v and the time of a mark", got, want)
	}
	for _, stage := range notary.Stages() {
		if o.count[stage] == 0 {
			t.Errorf("stage %s was never observed", stage)
		}
	}
}
