package tesseralog

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"github.com/transparency-dev/tessera"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// pending is an entry whose index is not known yet. It has an entry until that is
// handed over to Tessera, and a future since. done is closed once index and err are
// set.
type pending struct {
	leaf   receipt.Hash
	entry  *tessera.Entry
	future tessera.IndexFuture
	done   chan struct{}
	index  uint64
	err    error
}

func (p *pending) wait(ctx context.Context) (uint64, error) {
	select {
	case <-p.done:
		return p.index, p.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Add implements notary.Log.
func (l *Log) Add(_ context.Context, entry []byte) notary.Future {
	e := tessera.NewEntry(entry)
	p := &pending{leaf: receipt.Hash(e.LeafHash()), entry: e, done: make(chan struct{})}
	l.addMu.Lock()
	defer l.addMu.Unlock()
	if err := l.mayAdd(entry); err != nil {
		return func(context.Context) (uint64, error) { return 0, err }
	}
	l.added.Add(1)
	l.held = append(l.held, p)
	if n := len(l.held); n == 1 || n == int(l.cfg.BatchSize) {
		l.tellPace()
	}
	return p.wait
}

// mayAdd needs addMu.
func (l *Log) mayAdd(entry []byte) error {
	if err := l.Err(); err != nil {
		return err
	}
	if l.closing {
		return fmt.Errorf("%w: %w", notary.ErrLogStopped, ErrClosed)
	}
	if len(entry) > notary.MaxEntry {
		return fmt.Errorf("%w: got %d bytes, want at most %d", notary.ErrEntrySize, len(entry), notary.MaxEntry)
	}
	if inFlight := l.added.Load() - l.newest.Load().checkpoint.Size; inFlight >= uint64(l.cfg.MaxInFlight) {
		return fmt.Errorf("%w: %d", notary.ErrOverloaded, inFlight)
	}
	return nil
}

// resolve waits for the futures in the order of Add and grows the tree by the
// indexes that they return. It owns early, the entries that Tessera placed behind
// entries whose futures are not resolved yet: whole batches may change places.
func (l *Log) resolve() {
	defer close(l.resolved)
	early := make(map[uint64]receipt.Hash)
	for p := range l.pending {
		index, err := p.future()
		switch {
		case err != nil:
			l.stop(fmt.Errorf("adding an entry: %w", addError(err)))
			p.err = l.Err()
		case l.Err() != nil:
			// Which indexes the failed entries have is unknown, so nothing can be
			// told of those behind them.
			p.err = l.Err()
		default:
			p.index, p.err = index.Index, l.place(early, index.Index, p.leaf)
		}
		close(p.done)
	}
}

func (l *Log) place(early map[uint64]receipt.Hash, index uint64, leaf receipt.Hash) error {
	size := l.tree.Size()
	if _, twice := early[index]; twice || index < size {
		l.stop(fmt.Errorf("two entries were given index %d", index))
		return l.Err()
	}
	early[index] = leaf
	for ; ; size++ {
		next, ok := early[size]
		if !ok {
			return nil
		}
		delete(early, size)
		l.tree.append(next)
	}
}

// addError recognises a full disk, of which Tessera keeps the text alone.
func addError(err error) error {
	if strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		return fmt.Errorf("%w: %w", notary.ErrStoreFull, err)
	}
	return err
}
