package logtest

import (
	"context"
	"errors"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

func newFake(tb testing.TB) *Fake {
	tb.Helper()
	f, err := NewFake("log.example")
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func TestFakeConforms(t *testing.T) {
	Run(t, func(tb testing.TB) *Subject {
		tb.Helper()
		f := newFake(tb)
		return &Subject{Log: f, Verifier: f.Verifier(), Reopen: func() notary.Log {
			g, err := f.Restart()
			if err != nil {
				tb.Fatal(err)
			}
			return g
		}}
	})
}

func TestFakeFailedAdd(t *testing.T) {
	cause := errors.New("disk full")
	for name, added := range map[string]bool{"lost": false, "added all the same": true} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			add(t.Context(), t, f, []byte("first"))
			f.FailAdd(cause, added)
			_, err := f.Add(t.Context(), []byte("second"))(t.Context())
			if !errors.Is(err, cause) || !errors.Is(err, notary.ErrLogStopped) || !errors.Is(f.Err(), cause) {
				t.Errorf("got %v, Err %v", err, f.Err())
			}
			g, err := f.Restart()
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]uint64{false: 1, true: 2}[added]; g.Size() != want || g.Err() != nil {
				t.Errorf("after a restart: got size %d, Err %v, want size %d", g.Size(), g.Err(), want)
			}
		})
	}
}

func TestFakeHold(t *testing.T) {
	f := newFake(t)
	f.Hold()
	add(t.Context(), t, f, []byte("first"))
	if f.Checkpoint().Size != 0 || f.Size() != 1 {
		t.Errorf("got checkpoint of size %d, log size %d", f.Checkpoint().Size, f.Size())
	}
	proven := make(chan error)
	go func() {
		_, err := f.Prove(context.WithoutCancel(t.Context()), 0)
		proven <- err
	}()
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	if err := <-proven; err != nil {
		t.Errorf("Prove: %v", err)
	}
}

func TestFakeStopWakes(t *testing.T) {
	f := newFake(t)
	f.Hold()
	add(t.Context(), t, f, []byte("first"))
	f.Queue()
	wait := f.Add(t.Context(), []byte("second"))
	f.Stop(errors.New("refused to sign"))
	if _, err := wait(t.Context()); !errors.Is(err, notary.ErrLogStopped) {
		t.Errorf("future: got %v", err)
	}
	if _, err := f.Prove(t.Context(), 0); !errors.Is(err, notary.ErrLogStopped) {
		t.Errorf("Prove: got %v", err)
	}
}

func TestFakeReordersAndOverloads(t *testing.T) {
	f := newFake(t)
	f.Queue()
	first, second := f.Add(t.Context(), []byte("first")), f.Add(t.Context(), []byte("second"))
	if f.Queued() != 2 {
		t.Errorf("got %d queued", f.Queued())
	}
	if err := f.Flush(true); err != nil {
		t.Fatal(err)
	}
	a, errA := first(t.Context())
	b, errB := second(t.Context())
	if a != 1 || b != 0 || errA != nil || errB != nil {
		t.Errorf("got indexes %d, %d, errors %v, %v", a, b, errA, errB)
	}
	f.Overload(1)
	if _, err := f.Add(t.Context(), nil)(t.Context()); !errors.Is(err, notary.ErrOverloaded) {
		t.Errorf("got %v, want ErrOverloaded", err)
	}
	add(t.Context(), t, f, []byte("third"))
}

func TestMarks(t *testing.T) {
	var m Marks
	one, two := notary.Mark{Size: 1}, notary.Mark{Size: 2}
	advance := func(from, to notary.Mark, want error) {
		t.Helper()
		if err := m.AdvanceMark(t.Context(), from, to); !errors.Is(err, want) {
			t.Errorf("from %d to %d: got %v, want %v", from.Size, to.Size, err, want)
		}
	}
	advance(notary.Mark{}, one, nil)
	advance(notary.Mark{}, two, notary.ErrMarkConflict)
	cause := errors.New("disk full")
	m.Fail(cause, false)
	advance(one, two, cause)
	m.Lose()
	advance(one, two, nil)
	m.Fail(cause, true)
	advance(one, two, cause)
	if got, ok, err := m.LoadMark(t.Context()); got != two || !ok || err != nil {
		t.Errorf("got %v, %v, %v", got, ok, err)
	}
}
