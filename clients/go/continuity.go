package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// Errors of a log that does not continue what was seen of it. Neither ever goes
// away by trying again: keep the state folder and tell the trial's sponsor.
var (
	// ErrRolledBack means that the notary's newest checkpoint is smaller than
	// one that it signed before: entries were lost.
	ErrRolledBack = errors.New("the log was rolled back")
	// ErrForked means that the log signed two histories that exclude each other.
	ErrForked = errors.New("the log was forked")
)

// Continuity says what was checked of a checkpoint against the largest one that
// this client has seen of the same log.
type Continuity string

// The outcomes that are no error.
const (
	// ContinuityFirst: nothing was seen of this log before.
	ContinuityFirst Continuity = "first checkpoint seen of this log"
	// ContinuitySame: it is the largest one seen, with the same root.
	ContinuitySame Continuity = "the largest checkpoint seen"
	// ContinuityProven: the log's public files prove that one continues the
	// other.
	ContinuityProven Continuity = "continues the largest checkpoint seen"
	// ContinuityUnproven: it is larger, or it is older and the notary's newest
	// one is not; that one continues the other was not proven, because the
	// log's public files are not known (Options.Tiles) or not readable.
	ContinuityUnproven Continuity = "not smaller than the largest checkpoint seen; continuity not proven"
)

func forked(a, b receipt.Checkpoint) error {
	if a.Size == b.Size {
		return fmt.Errorf("%w: %s signed two different roots for %d entries", ErrForked, a.Origin, a.Size)
	}
	return fmt.Errorf("%w: the %d entries that %s now signs do not start with the %d entries that it signed before",
		ErrForked, b.Size, a.Origin, a.Size)
}

func rolledBack(newest, seen receipt.Checkpoint) error {
	return fmt.Errorf("%w: %s now has %d entries and had %d before: %d are lost",
		ErrRolledBack, seen.Origin, newest.Size, seen.Size, seen.Size-newest.Size)
}

// watermark remembers the largest checkpoint of each log. The mutex owns logs
// and the files behind it: whoever holds it may compare and replace, and what
// is in memory was in the folder when it was read. Another process may move the
// folder on meanwhile, so every replacement reads the folder again under its
// lock.
type watermark struct {
	state *State // nil: memory only
	mu    sync.Mutex
	logs  map[string]seenLog
	// prefix holds checkpoints that were proven to be part of the history seen:
	// many answers come under one.
	prefix map[treeKey]bool
	// unread is the last checkpoint for which the public files were not
	// readable: other answers under it do not try again.
	unread treeKey
}

type treeKey struct {
	origin string
	size   uint64
	root   receipt.Hash
}

// maxPrefix bounds watermark.prefix.
const maxPrefix = 4096

// seenLog is what was seen of one log.
type seenLog struct {
	// largest is the largest checkpoint; nothing smaller is ever the newest.
	largest receipt.Checkpoint
	// proven is the largest one that is proven to continue the first; it lags
	// while no public files are readable, and is caught up with them.
	proven receipt.Checkpoint
}

func newWatermark(s *State) *watermark {
	return &watermark{state: s, logs: map[string]seenLog{}, prefix: map[treeKey]bool{}}
}

// newestFunc asks the notary for its newest checkpoint, verified.
type newestFunc func(context.Context) (receipt.Checkpoint, error)

// floor returns the size of the largest checkpoint seen. A request that is sent
// now must not be answered under a smaller one.
func (w *watermark) floor(origin string) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, known := w.logs[origin]
	if known || w.state == nil {
		return seen.largest.Size, nil
	}
	seen, known, err := w.state.loadSeen(origin)
	if err == nil && known {
		w.logs[origin] = seen
	}
	return seen.largest.Size, err
}

// observe judges a verified checkpoint and remembers it if it is the largest.
// floor is the largest size when the request was sent that it answers: an answer
// between floor and the largest was overtaken by another on its way.
func (c *Client) observe(ctx context.Context, cp receipt.Checkpoint, floor uint64, newest newestFunc) (Continuity, error) {
	w := c.seen
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, known := w.logs[cp.Origin]
	key := treeKey{cp.Origin, cp.Size, cp.Root}
	if known && sameTree(seen.largest, cp) && (c.opts.Tiles == "" || sameTree(seen.proven, cp) || w.unread == key) {
		return w.sameAs(seen), nil
	}
	unlock := func() error { return nil }
	if w.state != nil {
		var err error
		if unlock, err = w.state.lock(); err != nil {
			return "", err
		}
		if seen, known, err = w.state.loadSeen(cp.Origin); err != nil {
			return "", errors.Join(err, unlock())
		}
	}
	next, how, err := c.judge(ctx, seen, known, cp, floor, newest)
	if err == nil && (!known || !sameTree(next.largest, seen.largest) || !sameTree(next.proven, seen.proven)) && w.state != nil {
		err = w.state.saveSeen(cp.Origin, next)
	}
	if err = errors.Join(err, unlock()); err != nil {
		return "", err
	}
	w.logs[cp.Origin] = next
	if how == ContinuityUnproven {
		w.unread = key
	}
	return how, nil
}

func (w *watermark) sameAs(s seenLog) Continuity {
	if sameTree(s.largest, s.proven) {
		return ContinuitySame
	}
	return ContinuityUnproven
}

// judge decides; it changes nothing.
func (c *Client) judge(ctx context.Context, seen seenLog, known bool, cp receipt.Checkpoint, floor uint64, newest newestFunc) (seenLog, Continuity, error) {
	switch {
	case !known:
		return seenLog{largest: cp, proven: cp}, ContinuityFirst, nil
	case cp.Size == seen.largest.Size && cp.Root != seen.largest.Root:
		return seen, "", forked(seen.largest, cp)
	case cp.Size < seen.largest.Size:
		return c.judgeOlder(ctx, seen, cp, floor, newest)
	}
	next := seenLog{largest: cp, proven: seen.proven}
	if c.opts.Tiles == "" {
		return next, c.seen.sameAs(next), nil
	}
	// The largest one is proven too: it may have been signed while no files
	// were readable, on a history that was thrown away since.
	for _, old := range []receipt.Checkpoint{seen.proven, seen.largest} {
		if err := c.proveContinues(ctx, old, cp); err != nil {
			if errors.Is(err, errTiles) {
				return next, ContinuityUnproven, nil
			}
			return seen, "", err
		}
	}
	next.proven = cp
	c.seen.addPrefix(treeKey{cp.Origin, cp.Size, cp.Root})
	if sameTree(seen.largest, cp) {
		return next, ContinuitySame, nil
	}
	return next, ContinuityProven, nil
}

// judgeOlder judges a checkpoint below the largest one: an answer that was
// overtaken by another, or the sign of a log that lost entries.
func (c *Client) judgeOlder(ctx context.Context, seen seenLog, cp receipt.Checkpoint, floor uint64, newest newestFunc) (seenLog, Continuity, error) {
	if cp.Size < floor {
		now, err := newest(ctx)
		if err != nil {
			return seen, "", err
		}
		if now.Size < seen.largest.Size {
			return seen, "", rolledBack(now, seen.largest)
		}
		if now.Size == seen.largest.Size && now.Root != seen.largest.Root {
			return seen, "", forked(seen.largest, now)
		}
	}
	key := treeKey{cp.Origin, cp.Size, cp.Root}
	if c.seen.prefix[key] {
		return seen, ContinuityProven, nil
	}
	if c.opts.Tiles == "" {
		return seen, ContinuityUnproven, nil
	}
	err := c.proveContinues(ctx, cp, seen.largest)
	switch {
	case errors.Is(err, errTiles):
		return seen, ContinuityUnproven, nil
	case err != nil:
		return seen, "", err
	}
	c.seen.addPrefix(key)
	return seen, ContinuityProven, nil
}

// addPrefix must be called with mu held.
func (w *watermark) addPrefix(key treeKey) {
	if len(w.prefix) >= maxPrefix {
		clear(w.prefix)
	}
	w.prefix[key] = true
}

func sameTree(a, b receipt.Checkpoint) bool { return a.Size == b.Size && a.Root == b.Root }
