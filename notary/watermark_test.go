package notary

import (
	"context"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial"
)

// TestWatermarkAgainstASlowReference: the watermark is the first index that was
// not placed, whatever the order.
func TestWatermarkAgainstASlowReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Uint64Range(0, 5).Draw(t, "from")
		w := newWatermark(from)
		placed := make(map[uint64]bool)
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			index := rapid.Uint64Range(0, 20).Draw(t, "index")
			w.add(index)
			placed[index] = true
			want := from
			for placed[want] {
				want++
			}
			if got := w.known(); got != want {
				t.Fatalf("got watermark %d, want %d", got, want)
			}
			if !w.covers(want) || w.covers(want+1) {
				t.Fatalf("watermark %d covers another size", want)
			}
		}
	})
}

func TestWatermarkIsWrittenDownNowAndThen(t *testing.T) {
	w := newWatermark(7)
	for i := range uint64(saveEvery) {
		if _, due := w.due(); due {
			t.Fatalf("due after %d entries", i)
		}
		w.add(7 + i)
	}
	size, due := w.due()
	if !due || size != 7+saveEvery {
		t.Errorf("got size %d, due %t", size, due)
	}
	w.saved(size)
	if _, due := w.due(); due || w.unsaved() {
		t.Error("due again at once")
	}
}

func TestWaitingForTheWatermark(t *testing.T) {
	w := newWatermark(0)
	stopped := make(chan struct{})
	reached := make(chan bool)
	wait := func(ctx context.Context, size uint64) { reached <- w.wait(ctx, stopped, size) }
	go wait(t.Context(), 2)
	w.add(1)
	w.announce()
	w.add(0)
	w.announce()
	if !<-reached {
		t.Error("not reached")
	}
	ctx, cancel := context.WithCancel(t.Context())
	go wait(ctx, 3)
	cancel()
	if <-reached {
		t.Error("reached beyond the end of the context")
	}
	go wait(t.Context(), 3)
	close(stopped)
	if <-reached {
		t.Error("reached beyond the stop")
	}
	if !w.wait(t.Context(), stopped, 2) {
		t.Error("what is placed counts after the stop as well")
	}
}

func TestGate(t *testing.T) {
	g := newGate(2)
	for range 2 {
		if err := g.enter(1); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.enter(1); !errors.Is(err, ErrOverloaded) {
		t.Errorf("got %v, want %v", err, ErrOverloaded)
	}
	g.leave(1, 1)
	if err := g.enter(1); err != nil {
		t.Error(err)
	}
	idle := g.close()
	if err := g.enter(1); err == nil {
		t.Error("entered a closed gate")
	}
	g.leave(1, 1)
	select {
	case <-idle:
		t.Error("idle with one inside")
	default:
	}
	g.leave(1, 1)
	<-idle
	<-g.close()
}

// TestGateWeighs lets in by size, and never shuts one out for good.
func TestGateWeighs(t *testing.T) {
	for size, want := range map[int]int{0: 1, 1: 1, placeSize: 1, placeSize + 1: 2, trial.MaxPayload: (trial.MaxPayload + placeSize - 1) / placeSize} {
		if got := places(make([]byte, size)); got != want {
			t.Errorf("%d bytes take %d places, want %d", size, got, want)
		}
	}
	g := newGate(10)
	if err := errors.Join(g.enter(4), g.enter(6)); err != nil {
		t.Fatal(err)
	}
	if err := g.enter(1); !errors.Is(err, ErrOverloaded) {
		t.Errorf("got %v, want %v", err, ErrOverloaded)
	}
	g.leave(1, 4)
	if err := g.enter(5); !errors.Is(err, ErrOverloaded) {
		t.Errorf("got %v, want %v", err, ErrOverloaded)
	}
	g.leave(1, 6)
	if err := g.enter(11); err != nil {
		t.Errorf("the largest one alone: %v", err)
	}
	if err := g.enter(1); !errors.Is(err, ErrOverloaded) {
		t.Errorf("got %v, want %v", err, ErrOverloaded)
	}
	g.leave(1, 11)
	<-g.close()
}
