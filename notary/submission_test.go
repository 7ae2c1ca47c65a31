package notary_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// answer is what a submission's Done was told.
type answer struct {
	res *notary.Result
	err error
}

// begin starts a submission and returns where its answer comes.
func (w *world) begin(env *trial.Envelope, allow notary.Allow) (abandon func(error), answers chan answer) {
	w.t.Helper()
	answers = make(chan answer, 2) // one more than there must be
	abandon = w.Start(w.t.Context(), notary.Submission{Envelope: env, Allow: allow, Done: func(res *notary.Result, err error) {
		answers <- answer{res, err}
	}})
	return abandon, answers
}

func TestStartAnswersOnce(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	abandon, answers := w.begin(s.dataset(h, "701", "dm"), nil)
	got := <-answers
	must(t, got.err)
	w.verified(got.res)
	abandon(errFault) // too late
	_, answers = w.begin(s.dataset(h, "999", "dm"), nil)
	got = <-answers
	wantRefusal(t, got.err, trial.ReasonUnknownSite)
	must(t, w.Close(t.Context()))
	_, answers = w.begin(s.dataset(h, "701", "late"), nil)
	wantError(t, (<-answers).err, notary.ErrUnavailable)
	if len(answers) != 0 {
		t.Error("got two answers")
	}
}

// Who abandons a submission gives up the answer and its place, and not the act.
func TestAbandon(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.log.Queue()
	abandon, answers := w.begin(env, nil)
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	abandon(errFault)
	abandon(errors.New("again"))
	wantError(t, (<-answers).err, errFault)
	if n := w.Gauges().Callers; n != 0 {
		t.Errorf("got %d callers, want none", n)
	}
	must(t, w.log.Flush(false))
	size := w.log.Size()
	res := w.submit(env)
	if w.log.Size() != size || res.Record.Index != size-1 || len(answers) != 0 {
		t.Errorf("got index %d in a log of %d entries and %d more answers, want what was abandoned, logged", res.Record.Index, size, len(answers))
	}
}

// The transport is not asked any more once its caller was told.
func TestAbandonedBeforeItIsRead(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	for range 50 {
		var told atomic.Bool
		answers := make(chan error, 2)
		abandon := w.Start(t.Context(), notary.Submission{Envelope: env,
			Allow: func(*trial.Statement) error {
				if told.Load() {
					t.Error("asked although the caller was told")
				}
				return errFault
			},
			Done: func(_ *notary.Result, err error) {
				told.Store(true)
				answers <- err
			}})
		abandon(context.Canceled)
		if err := <-answers; !errors.Is(err, errFault) && !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the first of two errors", err)
		}
	}
}

func TestAPanicIsAnError(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	_, err := w.Submit(t.Context(), env, func(*trial.Statement) error { panic("what a subject's name might be") })
	p := new(notary.PanicError)
	if !errors.As(err, &p) || p.Type != "string" || !strings.Contains(string(p.Stack), "TestAPanicIsAnError") {
		t.Fatalf("got %v, want a panic's type and stack", err)
	}
	if text := fmt.Sprintf("%v %s", err, p.Stack); strings.Contains(text, "subject's name") {
		t.Errorf("got what panicked: %s", text)
	}
	w.submit(env)
}

// A statement that waits for its trial's turn keeps no worker from others.
func TestWaitingForATurnHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.log.Queue()
	const waiting = 64 // more than there are workers on most machines
	var done sync.WaitGroup
	for i := range waiting {
		_, env := s.enrol(fmt.Sprintf("nurse-%d", i), trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
		done.Go(func() {
			if _, err := w.Submit(t.Context(), env, nil); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return w.log.Queued() == 1 && w.Gauges().InFlight == waiting })
	_, answers := w.begin(s.dataset(h, "701", "dm"), nil)
	waitFor(t, func() bool { return w.log.Queued() == 2 })
	must(t, w.log.Flush(false))
	must(t, (<-answers).err)
	done.Wait()
}
