package notary_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

const reserve = 64 << 20 // bytes

// disk is a volume whose free space the test sets.
type disk struct{ free atomic.Uint64 }

func newWorldOnDisk(t *testing.T) (*world, *disk) {
	t.Helper()
	d := &disk{}
	d.free.Store(1 << 40)
	w := newWorld(t, func(c *notary.Config) {
		c.FreeSpace = func() (uint64, error) { return d.free.Load(), nil }
		c.MinFree = reserve
	})
	return w, d
}

// refusedForSpace submits until the service has measured the disk again: it does
// so ten times a second.
func refusedForSpace(t *testing.T, w *world, s *study, h *holder) *trial.Envelope {
	t.Helper()
	var env *trial.Envelope
	n := 0
	waitFor(t, func() bool {
		n++
		env = s.dataset(h, "701", fmt.Sprint("fill ", n))
		_, err := w.Submit(t.Context(), env, nil)
		return errors.Is(err, notary.ErrStoreFull) && errors.Is(err, notary.ErrUnavailable)
	})
	return env
}

func TestTheReserveOfDiskSpace(t *testing.T) {
	w, d := newWorldOnDisk(t)
	s, h := w.manager(nil)
	old := s.dataset(h, "701", "old")
	first := w.submit(old)
	d.free.Store(reserve)
	refused := refusedForSpace(t, w, s, h)

	before := w.entries()
	_, err := w.db.Get(t.Context(), idOf(refused))
	wantError(t, err, notary.ErrNotFound)
	wantCondition(t, w, notary.ConditionLog, true)
	must(t, w.Err())
	sameReceipt(t, first, w.submit(old)) // reads go on, a repeated act among them
	_, err = w.Receipt(t.Context(), idOf(old))
	must(t, err)
	if got := w.entries(); got != before {
		t.Errorf("got %d more entries, want none", got-before)
	}
	d.free.Store(reserve - 1)
	wantCondition(t, w, notary.ConditionDiskSpace, false)

	d.free.Store(1 << 40)
	wantCondition(t, w, notary.ConditionDiskSpace, true)
	waitFor(t, func() bool {
		_, err := w.Submit(t.Context(), refused, nil)
		return err == nil
	})
}

// TestTheReserveCountsWhatIsInFlight leaves room for a few statements: no more
// are begun than fit, however many come before the disk is measured again.
func TestTheReserveCountsWhatIsInFlight(t *testing.T) {
	const room, many = 200 << 10, 64
	w, d := newWorldOnDisk(t)
	s, h := w.manager(nil)
	d.free.Store(reserve)
	refusedForSpace(t, w, s, h)
	d.free.Store(reserve + room)
	waitFor(t, func() bool { // measured again
		_, err := w.Submit(t.Context(), s.dataset(h, "701", "first"), nil)
		return err == nil
	})
	w.log.Queue() // nobody has an index until the test says so
	results := make(chan error, many)
	for i := range many {
		env := s.dataset(h, "701", fmt.Sprint("flight ", i))
		go func() {
			_, err := w.Submit(t.Context(), env, nil)
			results <- err
		}()
	}
	refused, logged := 0, 0
	for range many - room>>14 { // each claims more than 16 KiB
		if err := <-results; !errors.Is(err, notary.ErrStoreFull) {
			t.Errorf("got error %v, want %v", err, notary.ErrStoreFull)
		}
		refused++
	}
	must(t, w.log.Flush(false))
	for range many - refused {
		switch err := <-results; {
		case err == nil:
			logged++
		case errors.Is(err, notary.ErrStoreFull):
		default:
			t.Error(err)
		}
	}
	if logged == 0 {
		t.Error("no statement was logged, though there was room for some")
	}
}
