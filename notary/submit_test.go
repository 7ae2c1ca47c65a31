package notary_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSubmitGivesAVerifiedReceipt(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	res := w.submit(s.dataset(h, "701", "dm"))
	if res.Record.Charter != s.id || res.Record.Site != "701" || !res.Record.Logged || res.Record.LogTime.IsZero() {
		t.Errorf("got record %+v", res.Record)
	}
	v := w.verdict(res)
	if v.Signer == nil || v.Signer.Name != "Name of dm-1" {
		t.Errorf("got signer %+v, want the enrolment's", v.Signer)
	}
	if !v.LogTime.Equal(start) {
		t.Errorf("got log time %s, want %s", v.LogTime, start)
	}
}

// sameReceipt demands the same envelope and index. The proof may be newer.
func sameReceipt(t *testing.T, first, second *notary.Result) {
	t.Helper()
	a, err := receipt.Parse(first.Bundle)
	must(t, err)
	b, err := receipt.Parse(second.Bundle)
	must(t, err)
	if !bytes.Equal(a.Envelope.Marshal(), b.Envelope.Marshal()) {
		t.Error("got another envelope")
	}
	if a.Index != b.Index {
		t.Errorf("got index %d, want the first one's %d", b.Index, a.Index)
	}
}

func TestTheSameActGivesTheSameReceipt(t *testing.T) {
	cases := map[string]struct {
		again func(w *world, s *study, h *holder, env *trial.Envelope) *trial.Envelope
	}{
		"the same bytes": {func(_ *world, _ *study, _ *holder, env *trial.Envelope) *trial.Envelope { return env }},
		"another valid signature": {func(w *world, _ *study, h *holder, env *trial.Envelope) *trial.Envelope {
			return again(w.t, h.key, env)
		}},
		"after a restart": {func(w *world, _ *study, _ *holder, env *trial.Envelope) *trial.Envelope {
			w.reopen()
			return env
		}},
		"another signature after a restart": {func(w *world, _ *study, h *holder, env *trial.Envelope) *trial.Envelope {
			w.reopen()
			return again(w.t, h.key, env)
		}},
		"after the key was revoked": {func(w *world, s *study, h *holder, env *trial.Envelope) *trial.Envelope {
			w.submit(s.revoke(h, nil))
			return env
		}},
		"another signature after the key was revoked": {func(w *world, s *study, h *holder, env *trial.Envelope) *trial.Envelope {
			w.submit(s.revoke(h, nil))
			return again(w.t, h.key, env)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s, h := w.manager(nil)
			env := s.dataset(h, "701", "dm")
			first := w.submit(env)
			env = c.again(w, s, h, env)
			entries := w.entries()
			second, err := w.Submit(t.Context(), env, nil)
			must(t, err)
			sameReceipt(t, first, second)
			if got := w.entries(); got != entries {
				t.Errorf("got %d entries, want %d", got, entries)
			}
		})
	}
}

func TestARepeatedActStillNeedsAValidSignature(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.submit(env)
	forged := again(t, newKey(t), env)
	_, err := w.Submit(t.Context(), forged, nil)
	wantRefusal(t, err, trial.ReasonBadSignature)
}

func TestAForgedSignatureCannotRefuseAnothersAct(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	forged := again(t, newKey(t), env)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := w.Submit(t.Context(), forged, nil)
			wantRefusal(t, err, trial.ReasonBadSignature)
		})
		wg.Go(func() {
			if _, err := w.Submit(t.Context(), env, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestTenCallersGetOneEntry(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	before := w.entries()
	w.log.Queue() // so that all ten wait at once
	results := make([]*notary.Result, 10)
	var wg sync.WaitGroup
	for i := range results {
		sent := env
		if i%2 == 1 {
			sent = again(t, h.key, env)
		}
		wg.Go(func() {
			var err error
			if results[i], err = w.Submit(t.Context(), sent, nil); err != nil {
				t.Error(err)
			}
		})
	}
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	must(t, w.log.Flush(false))
	wg.Wait()
	if t.Failed() {
		return
	}
	for _, r := range results[1:] {
		sameReceipt(t, results[0], r)
	}
	if got := w.entries() - before; got != 1 {
		t.Errorf("got %d entries, want 1", got)
	}
}

func TestTheFirstAnswerIsLost(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.log.Queue()
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the caller hung up")
	done := make(chan error)
	go func() {
		_, err := w.Submit(ctx, env, nil)
		done <- err
	}()
	waitFor(t, func() bool { return w.log.Queued() == 1 })
	cancel(gone)
	wantError(t, <-done, gone)
	must(t, w.log.Flush(false))
	before := w.log.Size()
	res := w.submit(env)
	if got := w.log.Size(); got != before || res.Record.Index != before-1 {
		t.Errorf("got index %d in a log of %d entries, want the entry of the first call at %d", res.Record.Index, got, before-1)
	}
}

func TestSubmitRefuses(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	other, _ := w.manager(nil)
	stranger := &holder{key: newKey(t), body: h.body}
	unborn := newStudy(t, nil)
	mark, err := trial.NewTimeMark(public(t, h.key).ID, trial.TimeMarkBody{Origin: origin, Time: start})
	must(t, err)
	markEnv, err := trial.Sign(h.key, mark.Payload)
	must(t, err)
	denied := errors.New("not for this caller")
	size := w.log.Size()
	cases := map[string]struct {
		env    *trial.Envelope
		reason trial.Reason
	}{
		"unknown key":              {s.dataset(stranger, "701", "x"), trial.ReasonUnknownKey},
		"another trial's key":      {other.dataset(h, "701", "x"), trial.ReasonUnknownKey},
		"unknown trial":            {unborn.dataset(h, "701", "x"), trial.ReasonUnknownTrial},
		"unknown site":             {s.dataset(h, "999", "x"), trial.ReasonUnknownSite},
		"somebody's time mark":     {markEnv, trial.ReasonKindNotAllowed},
		"endorsement of nothing":   {s.endorse(h, "", trial.ID{1}), trial.ReasonUnknownStatement},
		"endorsement elsewhere":    {s.endorse(h, "", other.id), trial.ReasonUnknownStatement},
		"not signed by its signer": {again(t, newKey(t), s.dataset(h, "701", "x")), trial.ReasonBadSignature},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := w.Submit(t.Context(), c.env, nil)
			wantRefusal(t, err, c.reason)
		})
	}
	t.Run("by the transport", func(t *testing.T) {
		env := s.dataset(h, "701", "x")
		_, err := w.Submit(t.Context(), env, func(st *trial.Statement) error {
			if st.ID != idOf(env) {
				t.Errorf("got statement %s, want %s", st.ID, idOf(env))
			}
			return denied
		})
		wantError(t, err, denied)
		_, err = w.db.Get(t.Context(), idOf(env))
		wantError(t, err, notary.ErrNotFound)
	})
	if got := w.log.Size(); got != size {
		t.Errorf("got %d entries, want %d: a refusal was logged", got, size)
	}
}

func TestWhatASupersededStatementIsIsRecordedOnly(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	w.submit(s.dataset(h, "701", "dm", func(p *trial.Predicate) {
		p.Supersedes, p.Reason, p.Lineage = trial.ID{1}, "typing error", []trial.ID{{2}}
	}))
}

func TestOverload(t *testing.T) {
	w := newWorld(t, func(c *notary.Config) { c.MaxInFlight = 2 })
	s, h := w.manager(nil)
	w.log.Queue()
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b"} {
		wg.Go(func() { w.submit(s.dataset(h, "701", name)) })
	}
	waitFor(t, func() bool { return w.log.Queued() == 2 })
	env := s.dataset(h, "701", "c")
	_, err := w.Submit(t.Context(), env, nil)
	wantError(t, err, notary.ErrOverloaded)
	_, err = w.db.Get(t.Context(), idOf(env))
	wantError(t, err, notary.ErrNotFound)
	must(t, w.log.Flush(false))
	wg.Wait()
	w.submit(env)
}

func TestALogWithoutRoom(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	for name, late := range map[string]bool{"a statement": false, "its time mark": true} {
		t.Run(name, func(t *testing.T) {
			if late {
				w.clock.Add(markInterval)
			}
			env := s.dataset(h, "701", name)
			w.log.Overload(1)
			_, err := w.Submit(t.Context(), env, nil)
			wantError(t, err, notary.ErrUnavailable)
			must(t, w.Err())
			w.submit(env)
		})
	}
}

// What was stored was admitted: its signer's key being revoked before the same
// bytes come again changes nothing.
func TestAStoredActIsNotJudgedAgain(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	w.db.failPut(errFault, true)
	_, err := w.Submit(t.Context(), env, nil)
	wantError(t, err, notary.ErrUnavailable)
	w.db.failPut(nil, false)
	w.submit(s.revoke(h, nil))
	_, err = w.Submit(t.Context(), s.dataset(h, "701", "new"), nil)
	wantRefusal(t, err, trial.ReasonKeyRevoked)
	entries := w.entries()
	first, err := w.Submit(t.Context(), env, nil)
	must(t, err)
	second, err := w.Submit(t.Context(), again(t, h.key, env), nil)
	must(t, err)
	sameReceipt(t, first, second)
	if got := w.entries(); got != entries+1 {
		t.Errorf("got %d entries, want %d", got, entries+1)
	}
}

// What is in the log has its receipt also where nothing new can be stored or
// added.
func TestARepeatedActOfAServiceThatCannotWrite(t *testing.T) {
	w := newWorld(t)
	s, h := w.manager(nil)
	env := s.dataset(h, "701", "dm")
	first := w.submit(env)
	repeat := func(when string) {
		t.Helper()
		second, err := w.Submit(t.Context(), env, nil)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		sameReceipt(t, first, second)
	}
	w.db.failPut(errFault, false)
	repeat("storing fails")
	_, err := w.Submit(t.Context(), s.dataset(h, "701", "new"), nil)
	wantError(t, err, notary.ErrUnavailable)
	w.db.failPut(nil, false)
	w.log.FailAdd(errFault, false)
	_, err = w.Submit(t.Context(), s.dataset(h, "701", "newer"), nil)
	wantError(t, err, notary.ErrUnavailable)
	wantError(t, w.Err(), notary.ErrLogStopped)
	repeat("the log stopped")
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, func(c *notary.Config) { c.Linger = 0 })
	s, h := w.manager(nil)
	const n = 1000
	envs := make([]*trial.Envelope, n)
	for i := range envs {
		envs[i] = s.dataset(h, "701", string(rune('a'+i%26)))
	}
	indexes := make([]uint64, n)
	var wg sync.WaitGroup
	for i, env := range envs {
		wg.Go(func() {
			res, err := w.Submit(t.Context(), env, nil)
			if err != nil {
				t.Error(err)
				return
			}
			indexes[i] = res.Record.Index
		})
	}
	wg.Wait()
	seen := make(map[uint64]bool)
	for _, i := range indexes {
		if seen[i] {
			t.Errorf("index %d was given twice", i)
		}
		seen[i] = true
	}
	report, err := w.Check(t.Context())
	must(t, err)
	if report.Statements != n+2+report.Marks || report.Pending != 0 {
		t.Errorf("got report %+v, want %d statements", report, n+2+report.Marks)
	}
}
