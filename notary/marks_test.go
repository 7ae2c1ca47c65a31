package notary_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// markInterval is the default interval of time marks.
const markInterval = time.Minute

// waitFor waits for what another goroutine does. What never comes runs into the
// time limit of the test binary, which shows where everybody stands.
func waitFor(tb testing.TB, reached func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !reached() {
		<-tick.C
	}
}

// logged reads the log back: the statements in its order, with the mark's body
// for a time mark.
func (w *world) logged() (out []loggedEntry) {
	w.t.Helper()
	must(w.t, w.log.Scan(w.t.Context(), 0, func(_ uint64, entry []byte) error {
		rec, err := w.db.ByLeaf(w.t.Context(), receipt.LeafHash(entry))
		if err != nil {
			return err
		}
		e := loggedEntry{record: rec}
		if rec.Kind == trial.KindTimeMark {
			st, err := trial.ParseStatement(rec.Envelope.Payload)
			if err != nil {
				return err
			}
			e.mark = st.Predicate.Body.(*trial.TimeMarkBody)
		}
		out = append(out, e)
		return nil
	}))
	return out
}

type loggedEntry struct {
	record *notary.Record
	mark   *trial.TimeMarkBody
}

// checkMarks demands that marks never go back, that each follows a checkpoint
// that was published before it, and that each entry's log time is the last
// mark's.
func checkMarks(t *testing.T, entries []loggedEntry) (marks int) {
	t.Helper()
	var now time.Time
	for i, e := range entries {
		if !e.record.LogTime.Equal(now) {
			t.Errorf("entry %d: got log time %s, want %s", i, e.record.LogTime, now)
		}
		if e.mark == nil {
			if now.IsZero() {
				t.Errorf("entry %d comes before the first time mark", i)
			}
			continue
		}
		marks++
		if e.mark.Time.Before(now) {
			t.Errorf("entry %d: the time mark goes back from %s to %s", i, now, e.mark.Time)
		}
		if e.mark.Origin != origin || e.mark.Size > uint64(i) {
			t.Errorf("entry %d: the time mark follows %d entries of %q", i, e.mark.Size, e.mark.Origin)
		}
		now = e.mark.Time
	}
	return marks
}

func TestTimeMarks(t *testing.T) {
	cases := map[string]struct {
		steps []time.Duration // of the clock, before each further submission
		marks int
	}{
		"within the interval":      {[]time.Duration{0, 59 * time.Second}, 1},
		"at the interval":          {[]time.Duration{time.Minute, time.Minute}, 3},
		"an idle hour":             {[]time.Duration{time.Hour}, 2},
		"a clock that goes back":   {[]time.Duration{-time.Hour, time.Second, time.Minute, 2 * time.Hour}, 4},
		"a clock that jitters":     {[]time.Duration{-time.Second, 2 * time.Second, -time.Second}, 1},
		"back by less and forward": {[]time.Duration{-59 * time.Second, 60 * time.Second, 59 * time.Second}, 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, h := w.manager(nil)
			for i, step := range c.steps {
				w.clock.Add(step)
				w.submit(s.dataset(h, "701", string(rune('a'+i))))
			}
			if got := checkMarks(t, w.logged()); got != c.marks {
				t.Errorf("got %d time marks, want %d", got, c.marks)
			}
			_, err := w.Check(t.Context())
			must(t, err)
		})
	}
}

// TestTimeMarkBeforeAnIndex finds each mark by the indexes behind it.
func TestTimeMarkBeforeAnIndex(t *testing.T) {
	w := newWorld(t)
	if _, err := w.TimeMark(t.Context(), 0); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("an empty log: got %v, want ErrNotFound", err)
	}
	s, h := w.manager(nil)
	for i := range 3 {
		w.clock.Add(time.Minute)
		w.submit(s.dataset(h, "701", string(rune('a'+i))))
	}
	var last *trial.TimeMarkBody
	for i, e := range w.logged() {
		if i > 0 { // 0 asks for the newest
			res, err := w.TimeMark(t.Context(), uint64(i))
			must(t, err)
			st, err := trial.ParseStatement(res.Record.Envelope.Payload)
			must(t, err)
			if got := st.Predicate.Body.(*trial.TimeMarkBody); !got.Time.Equal(last.Time) || res.Record.Index >= uint64(i) {
				t.Errorf("before index %d: got the mark of %s at index %d, want that of %s", i, got.Time, res.Record.Index, last.Time)
			}
		}
		if e.mark != nil {
			last = e.mark
		}
	}
	for _, below := range []uint64{0, w.Checkpoint().Size, math.MaxUint64} {
		res, err := w.TimeMark(t.Context(), below)
		must(t, err)
		st, err := trial.ParseStatement(res.Record.Envelope.Payload)
		must(t, err)
		if got := st.Predicate.Body.(*trial.TimeMarkBody); !got.Time.Equal(last.Time) {
			t.Errorf("below %d: got the mark of %s, want the newest of %s", below, got.Time, last.Time)
		}
	}
}

func TestATimeMarkIsAddedAlone(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.log.Queue()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.submit(s.dataset(h, "701", "before"))
	}()
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	// The mark is due, and waits for the index of what was added before it.
	w.clock.Add(markInterval)
	stored := make(chan struct{})
	w.db.onStored(func() { close(stored) })
	late := make(chan struct{})
	go func() {
		defer close(late)
		w.submit(s.dataset(h, "701", "after"))
	}()
	<-stored
	if got := w.log.Queued(); got != 1 {
		t.Errorf("got %d entries in the queue, want 1", got)
	}
	must(t, w.log.Flush(true))
	<-done
	<-late
	if got := checkMarks(t, w.logged()); got != 2 {
		t.Errorf("got %d time marks, want 2", got)
	}
}

func TestTimeMarksAfterARestart(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.submit(s.dataset(h, "701", "a"))
	w.clock.Add(-time.Hour)
	w.reopen()
	w.submit(s.dataset(h, "701", "b"))
	w.clock.Add(2 * time.Hour)
	w.reopen()
	w.submit(s.dataset(h, "701", "c"))
	if got := checkMarks(t, w.logged()); got != 3 {
		t.Errorf("got %d time marks, want 3", got)
	}
	for _, c := range w.Health(t.Context()) {
		if !c.OK {
			t.Errorf("condition %s: %s", c.Name, c.Detail)
		}
	}
}

func TestEntriesOutOfOrderHaveTheirLogTime(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.log.Queue()
	done := make(chan struct{})
	for _, name := range []string{"a", "b", "c"} {
		go func() {
			w.submit(s.dataset(h, "701", name))
			done <- struct{}{}
		}()
	}
	waitFor(t, func() bool { return w.log.Queued() == 3 })
	must(t, w.log.Flush(true))
	for range 3 {
		<-done
	}
	checkMarks(t, w.logged())
	_, err := w.Check(t.Context())
	must(t, err)
}

// TestRecentMarksAreNotReadBack: a look-up for each receipt was a tenth of the
// whole path.
func TestRecentMarksAreNotReadBack(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	for _, restart := range []bool{false, true} {
		if restart {
			w.reopen()
		}
		w.submit(s.dataset(h, "701", "first")) // loads what the evidence needs
		before := w.db.markReadings()
		for range 3 {
			w.clock.Add(markInterval)
			w.submit(s.dataset(h, "701", "dm"))
		}
		if got := w.db.markReadings() - before; got != 0 {
			t.Errorf("after a restart %t: got %d readings, want none", restart, got)
		}
	}
}

func TestHealthNamesABackwardClock(t *testing.T) {
	w := newWorld(t)
	w.manager(nil)
	w.clock.Add(-time.Hour)
	for _, c := range w.Health(t.Context()) {
		if c.OK == (c.Name == notary.ConditionClock) {
			t.Errorf("condition %s: got OK %t: %s", c.Name, c.OK, c.Detail)
		}
	}
}
