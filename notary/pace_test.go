package notary_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
)

// TestPause works in pieces and demands that the pauses leave it its share. A
// machine that is busy makes it rest longer, never less.
func TestPause(t *testing.T) {
	const share, pieces = 0.25, 5
	ctx := notary.WithShare(t.Context(), share)
	began, worked := time.Now(), time.Duration(0)
	for range pieces {
		piece := time.Now()
		for time.Since(piece) < 5*time.Millisecond {
			runtime.Gosched()
		}
		worked += time.Since(piece)
		must(t, notary.Pause(ctx))
	}
	if took := time.Since(began); float64(worked) > share*float64(took)*1.05 {
		t.Errorf("worked %s of %s, want at most %v of it", worked, took, share)
	}
}

func TestPauseEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(notary.WithShare(t.Context(), 1e-9))
	for began := time.Now(); time.Since(began) < 5*time.Millisecond; {
		runtime.Gosched()
	}
	time.AfterFunc(time.Millisecond, cancel)
	if err := notary.Pause(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestNoShareIsNoBound(t *testing.T) {
	for _, share := range []float64{-1, 0, 1, 2} {
		if ctx := notary.WithShare(t.Context(), share); ctx != t.Context() {
			t.Errorf("share %v bounds the work", share)
		}
	}
	must(t, notary.Pause(t.Context()))
}

// TestCheckStatus: what a check came to stays until the next one, and an
// interrupted one comes to nothing.
func TestCheckStatus(t *testing.T) {
	w := newWorld(t)
	w.manager(nil)
	if now := w.CheckStatus(); !now.Ended.IsZero() || now.Phase != "" {
		t.Errorf("before the first: got %+v", now)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.Check(ended)
	wantError(t, err, context.Canceled)
	if now := w.CheckStatus(); !now.Ended.IsZero() || now.Phase != "" {
		t.Errorf("after an interrupted one: got %+v", now)
	}
	w.log.FailCheck(errFault)
	_, err = w.Check(t.Context())
	wantError(t, err, errFault)
	if now := w.CheckStatus(); !errors.Is(now.Err, errFault) || now.Ended.IsZero() {
		t.Errorf("after a failed one: got %+v", now)
	}
	w.log.FailCheck(nil)
	report, err := w.Check(notary.WithShare(t.Context(), 0.5))
	must(t, err)
	if now := w.CheckStatus(); now.Err != nil || now.Report != report || now.Read != 3 || now.Size != 3 {
		t.Errorf("after a good one: got %+v, want %+v", now, report)
	}
	if c := condition(t, w, notary.ConditionFullCheck); !c.OK {
		t.Errorf("condition full-check: %s", c.Detail)
	}
}
