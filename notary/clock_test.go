package notary_test

import (
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// measured lets the service measure the test's clock.
func measured(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.cfg.Elapsed = w.clock.Elapsed
	w.reopen()
	return w
}

func condition(t *testing.T, w *world, name string) notary.Condition {
	t.Helper()
	for _, c := range w.Health(t.Context()) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no condition %s", name)
	return notary.Condition{}
}

// refusesForClock demands that nothing is taken for the clock's sake, that health
// says so, and that what was logged is still answered.
func (w *world) refusesForClock(t *testing.T, env, logged *trial.Envelope) {
	t.Helper()
	size := w.log.Size()
	for range 2 {
		_, err := w.Submit(t.Context(), env, nil)
		wantError(t, err, notary.ErrClock)
		wantError(t, err, notary.ErrUnavailable)
	}
	if got := w.log.Size(); got != size {
		t.Errorf("the log grew from %d to %d entries", size, got)
	}
	if c := condition(t, w, notary.ConditionClock); c.OK || !contains(c.Detail, "ahead") {
		t.Errorf("condition clock: got OK %t: %s", c.OK, c.Detail)
	}
	w.submit(logged)
}

// TestAFarClockStopsSigning sets the clock ahead while the service runs. Nothing is
// taken until it is right again, and then without a restart.
func TestAFarClockStopsSigning(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"ten years": 10 * year, "61 minutes": 61 * time.Minute, "300 years": 292 * year,
	} {
		t.Run(name, func(t *testing.T) {
			w := measured(t)
			s, h := w.manager(nil)
			first := s.dataset(h, "701", "before")
			w.submit(first)
			w.clock.Pass(3 * time.Hour) // idle
			w.submit(s.dataset(h, "701", "later"))
			late := s.dataset(h, "701", "late")
			w.clock.Add(jump)
			w.refusesForClock(t, late, first)
			w.clock.Add(-jump)
			w.submit(late)
			for _, c := range w.Health(t.Context()) {
				if !c.OK {
					t.Errorf("condition %s: %s", c.Name, c.Detail)
				}
			}
			checkMarks(t, w.logged())
			_, err := w.Check(t.Context())
			must(t, err)
		})
	}
}

// TestSmallJumpsDoNotAddUp: each is within the bound, their sum is not.
func TestSmallJumpsDoNotAddUp(t *testing.T) {
	w := measured(t)
	s, h := w.manager(nil)
	first := s.dataset(h, "701", "first")
	w.submit(first)
	w.clock.Add(40 * time.Minute)
	w.submit(s.dataset(h, "701", "40 minutes"))
	w.clock.Add(40 * time.Minute)
	w.refusesForClock(t, s.dataset(h, "701", "80 minutes"), first)
}

// TestAClockThatWasBehind is set right by more than a jump may be: a machine that
// starts before it has the time from the network.
func TestAClockThatWasBehind(t *testing.T) {
	w := measured(t)
	s, h := w.manager(nil)
	w.submit(s.dataset(h, "701", "a"))
	w.clock.Add(-5 * day)
	w.reopen()
	w.submit(s.dataset(h, "701", "behind"))
	w.clock.Add(5*day + 6*time.Hour)
	w.submit(s.dataset(h, "701", "right"))
	checkMarks(t, w.logged())
	if c := condition(t, w, notary.ConditionClock); !c.OK {
		t.Errorf("condition clock: %s", c.Detail)
	}
}

// TestAFarClockAtStart: nothing tells how long the service was down, so a month is
// believed, more has to be confirmed.
func TestAFarClockAtStart(t *testing.T) {
	w := measured(t)
	s, h := w.manager(nil)
	first := s.dataset(h, "701", "first")
	w.submit(first)
	w.clock.Add(29 * day)
	w.reopen()
	w.submit(s.dataset(h, "701", "a month later"))
	w.clock.Add(10 * year)
	w.reopen()
	late := s.dataset(h, "701", "late")
	w.refusesForClock(t, late, first)

	// Set right: it resumes unaided.
	w.clock.Add(-10 * year)
	w.submit(late)

	// Right all the same: an operator confirms it.
	w.clock.Add(10 * year)
	w.reopen()
	later := s.dataset(h, "701", "ten years later")
	w.refusesForClock(t, later, first)
	w.cfg.Confirmed = w.clock.Now()
	w.reopen()
	w.submit(later)
	checkMarks(t, w.logged())
	_, err := w.Check(t.Context())
	must(t, err)
}

// TestNoBoundOnTheClock: negative bounds turn the guard off.
func TestNoBoundOnTheClock(t *testing.T) {
	w := measured(t)
	w.cfg.ClockJump, w.cfg.ClockGap = -1, -1
	w.reopen()
	s, h := w.manager(nil)
	w.submit(s.dataset(h, "701", "a"))
	w.clock.Add(year)
	w.submit(s.dataset(h, "701", "b"))
	w.clock.Add(year)
	w.reopen()
	w.submit(s.dataset(h, "701", "c"))
	checkMarks(t, w.logged())
}

// TestAFarClockRefusesNoKey: a key whose validity ends next year is not expired
// because the clock says so.
func TestAFarClockRefusesNoKey(t *testing.T) {
	w := measured(t)
	s, h := w.manager(nil)
	w.clock.Add(10 * year)
	_, err := w.Submit(t.Context(), s.dataset(h, "701", "a"), nil)
	wantError(t, err, notary.ErrClock)
	if reason := trial.ReasonOf(err); reason != "" {
		t.Errorf("refused with %s", reason)
	}
}

// TestPendingUnderAFarClock: what a crash left needs a time mark to be logged, so a
// start is refused by name until the clock is right.
func TestPendingUnderAFarClock(t *testing.T) {
	w := measured(t)
	s, h := w.manager(nil)
	pending := s.dataset(h, "701", "pending")
	w.log.FailAdd(errFault, false)
	_, err := w.Submit(t.Context(), pending, nil)
	wantError(t, err, notary.ErrUnavailable)
	w.clock.Add(10 * year)
	w.crash()
	wantError(t, w.open(), notary.ErrClock)
	w.clock.Add(-10 * year)
	w.crash()
	must(t, w.open())
	if rec := w.submit(pending).Record; !rec.Logged {
		t.Error("the statement is not logged")
	}
	checkMarks(t, w.logged())
}
