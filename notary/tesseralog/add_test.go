package tesseralog

import (
	"context"
	"errors"
	"testing"

	"github.com/transparency-dev/tessera"

	"github.com/trialnotary/trialnotary/notary"
)

// resolved runs resolve over futures that return these indexes and errors, in the
// order of Add, and returns the log and what its futures said.
func resolved(t *testing.T, results ...any) (*Log, []*pending) {
	t.Helper()
	own, err := newTree("", 8)
	if err != nil {
		t.Fatal(err)
	}
	l := &Log{tree: own, pending: make(chan *pending, len(results)), resolved: make(chan struct{})}
	l.alive, l.kill = context.WithCancelCause(context.Background())
	waits := make([]*pending, len(results))
	for i, result := range results {
		waits[i] = &pending{done: make(chan struct{}), future: func() (tessera.Index, error) {
			if err, failed := result.(error); failed {
				return tessera.Index{Index: 1}, err // Tessera gives an index with an error, too.
			}
			return tessera.Index{Index: uint64(result.(int))}, nil
		}}
		waits[i].leaf = hashLeaf(entry(i))
		l.pending <- waits[i]
	}
	close(l.pending)
	l.resolve()
	return l, waits
}

// TestBatchesChangePlaces: a timer's batch and a full one can overtake each other.
func TestBatchesChangePlaces(t *testing.T) {
	l, waits := resolved(t, 2, 3, 0, 1, 4)
	want, err := newTree("", 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{2, 3, 0, 1, 4} {
		want.append(hashLeaf(entry(i)))
	}
	got, errGot := l.tree.rootAt(5)
	root, errWant := want.rootAt(5)
	if got != root || errGot != nil || errWant != nil || l.Err() != nil {
		t.Errorf("got root %x, want %x, Err %v", got, root, l.Err())
	}
	for i, index := range []uint64{2, 3, 0, 1, 4} {
		if got, err := waits[i].wait(t.Context()); got != index || err != nil {
			t.Errorf("entry %d: got index %d, %v, want %d", i, got, err, index)
		}
	}
}

// TestAddFails: behind a failed entry nothing is known.
func TestAddFails(t *testing.T) {
	cause := errors.New("disk full")
	l, waits := resolved(t, 0, cause, 1, 2)
	if index, err := waits[0].wait(t.Context()); index != 0 || err != nil {
		t.Errorf("before the failure: got %d, %v", index, err)
	}
	for _, p := range waits[1:] {
		index, err := p.wait(t.Context())
		wantError(t, err, cause, "adding an entry")
		wantError(t, err, notary.ErrLogStopped)
		if index != 0 {
			t.Errorf("got index %d with an error", index)
		}
	}
	if l.Size() != 1 {
		t.Errorf("got size %d, want 1", l.Size())
	}
}

func TestIndexGivenTwice(t *testing.T) {
	for name, indexes := range map[string][]any{"placed": {0, 1, 0}, "early": {2, 2}} {
		l, waits := resolved(t, indexes...)
		_, err := waits[len(waits)-1].wait(t.Context())
		wantError(t, err, notary.ErrLogStopped, "two entries were given index")
		if l.Err() == nil {
			t.Errorf("%s: the log goes on", name)
		}
	}
}
