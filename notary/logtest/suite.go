package logtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Subject is one log for the suite to try.
type Subject struct {
	// Log is the empty log.
	Log notary.Log
	// Verifier checks its checkpoints.
	Verifier note.Verifier
	// Reopen opens the log again after Close.
	Reopen func() notary.Log

	ctx context.Context // bounds the test
}

// patience bounds every wait of the suite.
const patience = 30 * time.Second

// Run tries what notary.Log promises. fresh returns a new subject each time.
func Run(t *testing.T, fresh func(tb testing.TB) *Subject) {
	t.Helper()
	for name, try := range map[string]func(*testing.T, *Subject){
		"empty":           tryEmpty,
		"prove":           tryProve,
		"prove all":       tryProveAll,
		"order":           tryOrder,
		"hurry":           tryHurry,
		"concurrent":      tryConcurrent,
		"many checkpoint": tryManyCheckpoints,
		"scan":            tryScan,
		"entry sizes":     tryEntrySizes,
		"no entry":        tryNoEntry,
		"cancelled":       tryCancelled,
		"reopen":          tryReopen,
		"closed":          tryClosed,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			s := fresh(t)
			s.ctx = ctx
			try(t, s)
			if err := s.Log.Close(ctx); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

// add adds entries and returns their indexes.
func add(ctx context.Context, t *testing.T, l notary.Log, entries ...[]byte) []uint64 {
	t.Helper()
	futures := make([]notary.Future, len(entries))
	for i, e := range entries {
		futures[i] = l.Add(ctx, e)
	}
	indexes := make([]uint64, len(entries))
	for i, wait := range futures {
		index, err := wait(ctx)
		if err != nil {
			t.Fatalf("Add entry %d: %v", i, err)
		}
		indexes[i] = index
	}
	return indexes
}

func numbered(from, n int) [][]byte {
	entries := make([][]byte, n)
	for i := range entries {
		entries[i] = fmt.Appendf(nil, "entry %d", from+i)
	}
	return entries
}

// verify checks a proof and its checkpoint with nothing of ours.
func verify(t *testing.T, s *Subject, inc receipt.Inclusion, entry []byte) {
	t.Helper()
	path := make([][]byte, len(inc.Path))
	for i := range inc.Path {
		path[i] = inc.Path[i][:]
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(entry)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, inc.Index, inc.Checkpoint.Size, leaf, path, inc.Checkpoint.Root[:]); err != nil {
		t.Fatalf("entry %d of %d: %v", inc.Index, inc.Checkpoint.Size, err)
	}
	verifyCheckpoint(t, s, inc.Checkpoint)
}

func verifyCheckpoint(t *testing.T, s *Subject, c receipt.Checkpoint) {
	t.Helper()
	signed, _, _, err := log.ParseCheckpoint(c.Note, s.Log.Origin(), s.Verifier)
	if err != nil {
		t.Fatalf("checkpoint: %v", err)
	}
	if signed.Size != c.Size || !bytes.Equal(signed.Hash, c.Root[:]) || signed.Origin != c.Origin {
		t.Fatalf("checkpoint: got size %d, root %x, origin %q; its note says %d, %x, %q",
			c.Size, c.Root, c.Origin, signed.Size, signed.Hash, signed.Origin)
	}
}

func prove(t *testing.T, s *Subject, index uint64, entry []byte) receipt.Inclusion {
	t.Helper()
	inc, err := s.Log.Prove(s.ctx, index)
	if err != nil {
		t.Fatalf("Prove %d: %v", index, err)
	}
	if inc.Index != index {
		t.Fatalf("Prove: got index %d, want %d", inc.Index, index)
	}
	verify(t, s, inc, entry)
	return inc
}

func tryEmpty(t *testing.T, s *Subject) {
	t.Helper()
	c := s.Log.Checkpoint()
	verifyCheckpoint(t, s, c)
	if c.Size != 0 || !bytes.Equal(c.Root[:], rfc6962.DefaultHasher.EmptyRoot()) || s.Log.Size() != 0 {
		t.Errorf("got checkpoint of size %d, root %x, log size %d, want the empty tree", c.Size, c.Root, s.Log.Size())
	}
	if n, err := s.Log.Check(s.ctx); n != 0 || err != nil {
		t.Errorf("Check: got %d, %v, want 0", n, err)
	}
	if err := s.Log.Err(); err != nil {
		t.Errorf("Err: %v", err)
	}
}

func tryProve(t *testing.T, s *Subject) {
	t.Helper()
	for _, n := range []int{1, 2, 5, 250, 3} {
		entries := numbered(int(s.Log.Size()), n)
		for i, index := range add(s.ctx, t, s.Log, entries...) {
			prove(t, s, index, entries[i])
		}
	}
	if n, err := s.Log.Check(s.ctx); n != 261 || err != nil {
		t.Errorf("Check: got %d, %v, want 261", n, err)
	}
}

// tryProveAll: many proofs at once are those of each entry, under one checkpoint.
func tryProveAll(t *testing.T, s *Subject) {
	t.Helper()
	if proofs, err := s.Log.ProveAll(s.ctx, nil); len(proofs) != 0 || err != nil {
		t.Errorf("ProveAll of nothing: got %d proofs, %v", len(proofs), err)
	}
	for _, n := range []int{1, 4, 600} {
		entries := numbered(int(s.Log.Size()), n)
		indexes := add(s.ctx, t, s.Log, entries...)
		// In no order, old ones among them, one twice.
		slices.Reverse(entries)
		slices.Reverse(indexes)
		entries, indexes = append(entries, entries[0]), append(indexes, indexes[0])
		proofs, err := s.Log.ProveAll(s.ctx, indexes)
		if err != nil || len(proofs) != len(indexes) {
			t.Fatalf("ProveAll: got %d proofs of %d, %v", len(proofs), len(indexes), err)
		}
		for i, inc := range proofs {
			if inc.Index != indexes[i] || inc.Checkpoint.Size != proofs[0].Checkpoint.Size {
				t.Fatalf("proof %d: got index %d under %d entries, want %d under %d",
					i, inc.Index, inc.Checkpoint.Size, indexes[i], proofs[0].Checkpoint.Size)
			}
			verify(t, s, inc, entries[i])
		}
	}
}

// tryOrder: an entry added after the future of another returned stands behind it.
func tryOrder(t *testing.T, s *Subject) {
	t.Helper()
	last := -1
	for _, e := range numbered(0, 10) {
		index := add(s.ctx, t, s.Log, e)[0]
		if int(index) <= last {
			t.Fatalf("got index %d after %d", index, last)
		}
		last = int(index)
	}
}

// tryHurry: in a hurry or not, each entry has its index and its proof.
func tryHurry(t *testing.T, s *Subject) {
	t.Helper()
	s.Log.Hurry()
	for i, e := range numbered(0, 10) {
		wait := s.Log.Add(s.ctx, e)
		s.Log.Hurry()
		index, err := wait(s.ctx)
		if index != uint64(i) || err != nil {
			t.Fatalf("entry %d: got index %d, %v", i, index, err)
		}
		if i%5 == 0 {
			prove(t, s, index, e)
		}
	}
}

func tryConcurrent(t *testing.T, s *Subject) {
	t.Helper()
	const n = 2000
	entries := numbered(0, n)
	seen := make([]bool, n)
	var mu sync.Mutex
	var group sync.WaitGroup
	for i, e := range entries {
		wait := s.Log.Add(s.ctx, e)
		group.Go(func() {
			index, err := wait(s.ctx)
			if err != nil {
				t.Errorf("Add %d: %v", i, err)
				return
			}
			inc, err := s.Log.Prove(s.ctx, index)
			if err != nil {
				t.Errorf("Prove %d: %v", index, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if index >= n || seen[index] {
				t.Errorf("got index %d twice, or of %d entries", index, n)
				return
			}
			seen[index] = true
			verify(t, s, inc, e)
		})
	}
	group.Wait()
}

// tryManyCheckpoints: every checkpoint is of the one tree that all entries give.
func tryManyCheckpoints(t *testing.T, s *Subject) {
	t.Helper()
	var seen []receipt.Checkpoint
	for i := range 4 {
		entries := numbered(100*i, 100)
		for j, index := range add(s.ctx, t, s.Log, entries...) {
			seen = append(seen, prove(t, s, index, entries[j]).Checkpoint)
		}
	}
	tree := testonly.New(rfc6962.DefaultHasher)
	err := s.Log.Scan(s.ctx, 0, func(_ uint64, entry []byte) error {
		tree.AppendData(entry)
		return nil
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	size := uint64(0)
	for _, c := range seen {
		if want := tree.HashAt(c.Size); !bytes.Equal(c.Root[:], want) {
			t.Fatalf("checkpoint of size %d: got root %x, want %x", c.Size, c.Root, want)
		}
		if c.Size < size {
			t.Fatalf("got checkpoint of size %d after %d", c.Size, size)
		}
		size = c.Size
	}
}

func tryScan(t *testing.T, s *Subject) {
	t.Helper()
	entries := numbered(0, 600)
	logged := make([][]byte, len(entries))
	for i, index := range add(s.ctx, t, s.Log, entries...) {
		logged[index] = entries[i]
	}
	for _, from := range []uint64{0, 1, 255, 256, 257, 599, 600, 1000} {
		next := from
		err := s.Log.Scan(s.ctx, from, func(index uint64, entry []byte) error {
			if index != next || !bytes.Equal(entry, logged[index]) {
				return fmt.Errorf("got %q at %d, want %q at %d", entry, index, logged[next], next)
			}
			next++
			return nil
		})
		if err != nil || next != max(from, 600) {
			t.Errorf("Scan from %d: ended before %d: %v", from, next, err)
		}
	}
	enough := errors.New("enough")
	if err := s.Log.Scan(s.ctx, 0, func(uint64, []byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Scan: got %v, want the caller's error", err)
	}
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.Log.Scan(ended, 0, func(uint64, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan with an ended context: got %v", err)
	}
}

func tryEntrySizes(t *testing.T, s *Subject) {
	t.Helper()
	longest := bytes.Repeat([]byte("x"), notary.MaxEntry)
	for _, entry := range [][]byte{{}, {0}, longest} {
		prove(t, s, add(s.ctx, t, s.Log, entry)[0], entry)
	}
	if _, err := s.Log.Add(s.ctx, append(longest, 'x'))(s.ctx); !errors.Is(err, notary.ErrEntrySize) {
		t.Errorf("Add of %d bytes: got %v, want ErrEntrySize", notary.MaxEntry+1, err)
	}
	if err := s.Log.Err(); err != nil {
		t.Errorf("Err after a refused entry: %v", err)
	}
	add(s.ctx, t, s.Log, []byte("next"))
}

func tryNoEntry(t *testing.T, s *Subject) {
	t.Helper()
	add(s.ctx, t, s.Log, []byte("only"))
	for _, index := range []uint64{1, 2, 1 << 63} {
		if _, err := s.Log.Prove(s.ctx, index); !errors.Is(err, notary.ErrNoEntry) {
			t.Errorf("Prove %d: got %v, want ErrNoEntry", index, err)
		}
		if err := s.Log.Await(s.ctx, index); !errors.Is(err, notary.ErrNoEntry) {
			t.Errorf("Await %d: got %v, want ErrNoEntry", index, err)
		}
		if _, err := s.Log.ProveAll(s.ctx, []uint64{0, index, 0}); !errors.Is(err, notary.ErrNoEntry) {
			t.Errorf("ProveAll with %d: got %v, want ErrNoEntry", index, err)
		}
	}
}

func tryCancelled(t *testing.T, s *Subject) {
	t.Helper()
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	wait := s.Log.Add(ended, []byte("goes on"))
	if _, err := wait(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with an ended context: %v", err)
	}
	if err := s.Log.Err(); err != nil {
		t.Errorf("Err: %v", err)
	}
	index := add(s.ctx, t, s.Log, []byte("next"))[0]
	prove(t, s, index, []byte("next"))
	prove(t, s, 0, []byte("goes on"))
}

func tryReopen(t *testing.T, s *Subject) {
	t.Helper()
	entries := numbered(0, 300)
	logged := make([][]byte, len(entries))
	for i, index := range add(s.ctx, t, s.Log, entries...) {
		logged[index] = entries[i]
	}
	if err := s.Log.Close(s.ctx); err != nil {
		t.Fatalf("Close: %v", err)
	}
	before := s.Log.Checkpoint()
	if before.Size != 300 {
		t.Errorf("Close published %d entries, want 300", before.Size)
	}
	s.Log = s.Reopen()
	after := s.Log.Checkpoint()
	verifyCheckpoint(t, s, after)
	if after.Size != 300 || after.Root != before.Root || s.Log.Size() != 300 {
		t.Errorf("got size %d, root %x, log size %d; before: %d, %x", after.Size, after.Root, s.Log.Size(), before.Size, before.Root)
	}
	for index, entry := range logged {
		prove(t, s, uint64(index), entry)
	}
	prove(t, s, add(s.ctx, t, s.Log, []byte("next"))[0], []byte("next"))
}

func tryClosed(t *testing.T, s *Subject) {
	t.Helper()
	add(s.ctx, t, s.Log, []byte("only"))
	if err := s.Log.Close(s.ctx); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := s.Log.Add(s.ctx, []byte("late"))(s.ctx); !errors.Is(err, notary.ErrLogStopped) {
		t.Errorf("Add after Close: got %v, want ErrLogStopped", err)
	}
	if err := s.Log.Err(); !errors.Is(err, notary.ErrLogStopped) {
		t.Errorf("Err after Close: got %v, want ErrLogStopped", err)
	}
}
