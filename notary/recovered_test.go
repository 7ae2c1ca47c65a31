package notary_test

import (
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

// TestRecovered counts what a start made good, and nothing after a clean stop.
func TestRecovered(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(w *world)
		want  notary.Recovered
	}{
		"a clean stop":     {func(*world) {}, notary.Recovered{}},
		"not added":        {func(w *world) { w.log.FailAdd(errFault, false) }, notary.Recovered{Logged: 1}},
		"added":            {func(w *world) { w.log.FailAdd(errFault, true) }, notary.Recovered{Scanned: 1, Placed: 1}},
		"not placed":       {func(w *world) { w.db.failPlace(errFault, false) }, notary.Recovered{Scanned: 1, Placed: 1}},
		"placed in secret": {func(w *world) { w.db.failPlace(errFault, true) }, notary.Recovered{Scanned: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, h := w.manager(nil)
			w.reopen() // writes down how far it came
			c.fault(w)
			env := s.dataset(h, "701", "dm")
			_, err := w.Submit(t.Context(), env, nil)
			if c.want == (notary.Recovered{}) {
				must(t, err)
				must(t, w.Close(testContext()))
			} else {
				wantError(t, err, notary.ErrUnavailable)
			}
			w.reopen()
			if got := w.Recovered(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	t.Run("a stale time mark", func(t *testing.T) {
		w := newWorld(t)
		s, h := w.manager(nil)
		w.reopen()
		w.clock.Add(markInterval)
		w.log.FailAdd(errFault, false)
		_, err := w.Submit(t.Context(), s.dataset(h, "701", "dm"), nil)
		wantError(t, err, notary.ErrUnavailable)
		w.reopen()
		if got, want := w.Recovered(), (notary.Recovered{Logged: 1, Dropped: 1}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
