package notary_test

import (
	"errors"
	"os"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// crashes are the steps at which a statement's way can be cut.
var crashes = map[string]struct {
	fault func(w *world)
	heal  func(w *world)
	// stops tells that the service writes no more until it is opened again.
	stops bool
}{
	"before it is durable": {
		fault: func(w *world) { w.db.failPut(errFault, false) },
		heal:  func(w *world) { w.db.failPut(nil, false) },
	},
	"durable, and the store says no": {
		fault: func(w *world) { w.db.failPut(errFault, true) },
		heal:  func(w *world) { w.db.failPut(nil, false) },
	},
	"the disk fails as it is made durable": {
		fault: func(w *world) { w.db.failPut(notary.ErrStoreFailed, true) },
		heal:  func(w *world) { w.db.failPut(nil, false) },
		stops: true,
	},
	"durable and not added": {
		fault: func(w *world) { w.log.FailAdd(errFault, false) },
		stops: true,
	},
	"added, and the log says no": {
		fault: func(w *world) { w.log.FailAdd(errFault, true) },
		stops: true,
	},
	"added and not placed": {
		fault: func(w *world) { w.db.failPlace(errFault, false) },
		stops: true,
	},
	"placed, and the store says no": {
		fault: func(w *world) { w.db.failPlace(errFault, true) },
		stops: true,
	},
}

// TestCrashes cuts the way of a statement at each step. Whatever happened, the
// same bytes sent again bring one receipt and one entry.
func TestCrashes(t *testing.T) {
	for name, c := range crashes {
		for _, mark := range []string{"", ", at a time mark"} {
			for _, restart := range []string{"", ", then a restart"} {
				if c.stops && restart == "" {
					continue
				}
				t.Run(name+mark+restart, func(t *testing.T) {
					w := newWorld(t)
					s, h := w.manager(nil)
					if mark != "" {
						w.clock.Add(markInterval)
					}
					env := s.dataset(h, "701", "dm")
					before := w.entries()
					c.fault(w)
					_, err := w.Submit(t.Context(), env, nil)
					wantError(t, err, notary.ErrUnavailable)
					if c.stops {
						wantStopped(t, w, s.dataset(h, "701", "another"))
					}
					if c.heal != nil {
						c.heal(w)
					}
					if restart != "" {
						w.reopen()
					}
					first := w.submit(env)
					sameReceipt(t, first, w.submit(again(t, h.key, env)))
					wantOneMore(t, w, before)
				})
			}
		}
	}
}

// wantStopped demands that nothing is written any more, that reads go on, and
// that health says so.
func wantStopped(t *testing.T, w *world, env *trial.Envelope) {
	t.Helper()
	wantError(t, w.Err(), notary.ErrLogStopped)
	<-w.Stopped()
	_, err := w.Submit(t.Context(), env, nil)
	wantError(t, err, notary.ErrUnavailable)
	wantError(t, err, notary.ErrLogStopped)
	_, err = w.db.Get(t.Context(), idOf(env))
	wantError(t, err, notary.ErrNotFound)
	if c := w.Health(t.Context())[0]; c.Name != notary.ConditionLog || c.OK {
		t.Errorf("got condition %+v, want the log not OK", c)
	}
	records, err := w.List(t.Context(), notary.Query{After: -1, Below: w.Checkpoint().Size, Limit: 10})
	must(t, err)
	if len(records) == 0 {
		t.Error("a stopped service lists nothing")
	}
}

func wantOneMore(t *testing.T, w *world, before int) {
	t.Helper()
	if got := w.entries() - before; got != 1 {
		t.Errorf("got %d more entries, want 1", got)
	}
	checkMarks(t, w.logged())
	report, err := w.Check(t.Context())
	must(t, err)
	if report.Pending != 0 {
		t.Errorf("got %d pending statements, want none", report.Pending)
	}
}

func TestACrashBeforeACheckpoint(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	before := w.entries()
	w.log.Hold()
	done := make(chan error)
	go func() {
		_, err := w.Submit(t.Context(), env, nil)
		done <- err
	}()
	waitFor(t, func() bool {
		rec, err := w.db.Get(t.Context(), idOf(env))
		return err == nil && rec.Logged
	})
	index := w.log.Size() - 1
	w.log.Stop(errFault)
	wantError(t, <-done, notary.ErrUnavailable)
	w.reopen()
	if res := w.submit(env); res.Record.Index != index {
		t.Errorf("got index %d, want %d", res.Record.Index, index)
	}
	wantOneMore(t, w, before)
}

func TestACrashWithAuthorityPending(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.log.FailAdd(errFault, false)
	revocation := s.revoke(h, nil)
	_, err := w.Submit(t.Context(), revocation, nil)
	wantError(t, err, notary.ErrUnavailable)
	w.reopen()
	// Opening logged it: it is not judged again, and has its effect.
	_, err = w.Submit(t.Context(), s.dataset(h, "701", "dm"), nil)
	wantRefusal(t, err, trial.ReasonKeyRevoked)
	w.submit(revocation)
}

func TestABadProofIsHeldBack(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.log.BreakProofs(true)
	env := s.dataset(h, "701", "dm")
	_, err := w.Submit(t.Context(), env, nil)
	wantError(t, err, notary.ErrDamaged)
	bad := false
	for _, c := range w.Health(t.Context()) {
		bad = bad || c.Name == notary.ConditionReceipts && !c.OK
	}
	if !bad {
		t.Error("health does not say that a receipt was held back")
	}
	w.log.BreakProofs(false)
	w.submit(env)
}

// restoreOldDatabase puts the database back as it was before more.
func restoreOldDatabase(t *testing.T, w *world, more func()) {
	t.Helper()
	w.crash()
	old, err := os.ReadFile(w.path)
	must(t, err)
	must(t, w.open())
	more()
	w.crash()
	must(t, w.db.Close())
	must(t, os.WriteFile(w.path, old, 0o600))
	for _, side := range []string{"-wal", "-shm"} {
		if err := os.Remove(w.path + side); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	w.openStore()
}

func TestRecoveryRefuses(t *testing.T) {
	cases := map[string]struct {
		damage func(t *testing.T, w *world, more func())
		want   error
		text   string
	}{
		"a database older than the log": {
			damage: restoreOldDatabase,
			want:   notary.ErrDatabaseBehind,
			text:   "2 of the log's entries have no statement in the database",
		},
		"a log older than the database": {
			damage: func(t *testing.T, w *world, more func()) {
				t.Helper()
				more()
				w.crash()
				log, err := w.log.Rollback(w.log.Size() - 1)
				must(t, err)
				w.log = log
			},
			want: notary.ErrLogBehind,
			text: "restore the newest copy of the log",
		},
		"another log": {
			damage: func(t *testing.T, w *world, more func()) {
				t.Helper()
				w.crash()
				log, err := w.log.Rollback(0)
				must(t, err)
				w.log = log
			},
			want: notary.ErrLogBehind,
			text: "the log holds 0",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, h := w.manager(nil)
			c.damage(t, w, func() {
				w.submit(s.dataset(h, "701", "a"))
				w.submit(s.dataset(h, "701", "b"))
			})
			err := w.open()
			wantError(t, err, c.want)
			if err != nil && !contains(err.Error(), c.text) {
				t.Errorf("got error %q, want %q in it", err, c.text)
			}
		})
	}
}

func TestOfDuplicatesTheLowestIndexCounts(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	placed := s.dataset(h, "701", "placed")
	first := w.submit(placed)
	pending := s.dataset(h, "701", "pending")
	w.log.FailAdd(errFault, true) // in the log once, and the store does not know
	_, err := w.Submit(t.Context(), pending, nil)
	wantError(t, err, notary.ErrUnavailable)
	index := w.log.Size() - 1
	w.crash()
	for _, env := range []*trial.Envelope{placed, pending} {
		if _, err := w.log.Add(t.Context(), receipt.Entry(env, public(t, h.key)))(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	size := w.log.Size()
	must(t, w.open())
	sameReceipt(t, first, w.submit(placed))
	if res := w.submit(pending); res.Record.Index != index {
		t.Errorf("got index %d, want %d", res.Record.Index, index)
	}
	if got := w.log.Size(); got != size {
		t.Errorf("got %d entries, want %d", got, size)
	}
	_, err = w.Check(t.Context())
	must(t, err)
}

func TestOpenRefusesBadConfig(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	cases := map[string]func(c *notary.Config){
		"no log":            func(c *notary.Config) { c.Log = nil },
		"no store":          func(c *notary.Config) { c.Store = nil },
		"no key":            func(c *notary.Config) { c.Key = nil },
		"no policy":         func(c *notary.Config) { c.Policy = nil },
		"no log key":        func(c *notary.Config) { c.LogKey = receipt.LogKey{} },
		"another log's key": func(c *notary.Config) { c.LogKey = other.cfg.LogKey },
		"not a policy":      func(c *notary.Config) { c.Policy = []byte("quorum many\n") },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			c := w.cfg
			change(&c)
			if s, err := notary.Open(t.Context(), c); err == nil {
				must(t, s.Close(t.Context()))
				t.Error("opened")
			}
		})
	}
}
