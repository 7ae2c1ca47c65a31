package tesseralog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

const (
	// pollSigned is how often the checkpoint file is read after a checkpoint was
	// signed, until it is there: Tessera tells nobody that it has written it.
	pollSigned = time.Millisecond
	// pollIdle is how often it is looked at otherwise.
	pollIdle = 100 * time.Millisecond
	// writePatience is after how many polls a signed checkpoint that is not there
	// is taken for one that Tessera failed to write. It will ask for another.
	writePatience = 1000
)

// snapshot is a published checkpoint and what its proofs share.
type snapshot struct {
	checkpoint receipt.Checkpoint
	border     *border
	next       chan struct{} // closed when there is a newer one
	at         time.Time     // when it was seen
	due        time.Time     // when to hand over what the next one is to cover
}

// watch takes a snapshot of every checkpoint that it sees published.
func (l *Log) watch(ctx context.Context) {
	defer close(l.watched)
	timer := time.NewTimer(pollIdle)
	defer timer.Stop()
	for polls := 0; ; polls++ {
		select {
		case <-ctx.Done():
			return
		case <-l.signings:
			polls = 0
		case <-timer.C:
		}
		if err := l.refresh(); err != nil {
			l.stop(err)
		}
		if l.unseen.Load() && polls < writePatience {
			timer.Reset(pollSigned)
		} else {
			timer.Reset(pollIdle)
		}
	}
}

// refresh reads the checkpoint file and publishes a snapshot if it is new.
func (l *Log) refresh() error {
	last := l.newest.Load()
	if l.tree.Size() > last.checkpoint.Size {
		if err := l.files.resetFutureTime(checkpointFile); err != nil {
			return err
		}
	}
	raw, err := l.files.read(checkpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // Tessera writes it again, signed by the same rules.
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, last.checkpoint.Note) {
		checkpoint, err := openCheckpoint(raw, l.cfg.Verifier)
		if err != nil {
			return err
		}
		next, err := l.snapshotOf(checkpoint)
		if err != nil || checkpoint.Size <= last.checkpoint.Size {
			return err // An older checkpoint in the file is replaced by the next.
		}
		l.newest.Store(next)
		close(last.next)
	}
	if l.newest.Load().checkpoint.Size == l.signed.Load() {
		l.unseen.Store(false)
	}
	return nil
}

// snapshotOf takes no checkpoint but one of the log's own tree.
func (l *Log) snapshotOf(checkpoint receipt.Checkpoint) (*snapshot, error) {
	if size := l.tree.Size(); checkpoint.Size > size {
		return nil, &FileError{checkpointFile, fmt.Sprintf("covers %d entries, the log has %d: written by someone else", checkpoint.Size, size)}
	}
	b, err := l.tree.borderAt(checkpoint.Size)
	if err != nil {
		return nil, err
	}
	if own := b.root(); own != checkpoint.Root {
		return nil, &ConflictError{Size: checkpoint.Size, Held: own, Signed: checkpoint.Root, Source: "the published checkpoint"}
	}
	now := time.Now()
	return &snapshot{checkpoint, b, make(chan struct{}), now, now.Add(l.cfg.CheckpointInterval - l.cfg.BatchAge - l.files.age(checkpointFile, now))}, nil
}

// age returns how old a file is, from which Tessera counts the interval; 0 where
// that is not known. Its time may lie in the future, see resetFutureTime.
func (f folder) age(name string, now time.Time) time.Duration {
	info, err := os.Stat(f.path(name))
	if err != nil {
		return 0
	}
	return max(now.Sub(info.ModTime()), 0)
}

// resetFutureTime sets a file's time to now if it lies in the future, as after the
// clock was set back: Tessera would not publish a checkpoint until that time.
func (f folder) resetFutureTime(name string) error {
	info, err := os.Stat(f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &FileError{name, err.Error()}
	}
	now := time.Now()
	if !info.ModTime().After(now) {
		return nil
	}
	if err := os.Chtimes(f.path(name), now, now); err != nil {
		return &FileError{name, "its time lies in the future: " + err.Error()}
	}
	return nil
}

// Published returns when the newest checkpoint was seen in the folder: when it was
// published, or for one of an earlier run, when this one began.
func (l *Log) Published() time.Time { return l.newest.Load().at }

// Await implements notary.Log.
func (l *Log) Await(ctx context.Context, index uint64) error {
	_, err := l.covering(ctx, index)
	return err
}

// Prove implements notary.Log.
func (l *Log) Prove(ctx context.Context, index uint64) (receipt.Inclusion, error) {
	proofs, err := l.ProveAll(ctx, []uint64{index})
	if err != nil {
		return receipt.Inclusion{}, err
	}
	return proofs[0], nil
}

// ProveAll implements notary.Log.
func (l *Log) ProveAll(ctx context.Context, indexes []uint64) ([]receipt.Inclusion, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	s, err := l.covering(ctx, slices.Max(indexes))
	if err != nil {
		return nil, err
	}
	return l.tree.prove(s, indexes)
}

// covering returns the newest snapshot once it covers index.
func (l *Log) covering(ctx context.Context, index uint64) (*snapshot, error) {
	for {
		s := l.newest.Load()
		if index < s.checkpoint.Size {
			return s, nil
		}
		if added := l.added.Load(); index >= added {
			return nil, fmt.Errorf("%w: got index %d, want below %d", notary.ErrNoEntry, index, added)
		}
		select {
		case <-s.next:
		case <-l.alive.Done():
			// A checkpoint published before the log stopped still counts.
			if l.newest.Load() == s {
				return nil, l.Err()
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
