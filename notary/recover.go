package notary

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// catchUp reads what the log holds beyond the store's watermark, places it, and
// returns the stored statements that the log does not hold, oldest first. Time
// marks among those are dropped: they tell the time of a moment that has passed.
func (s *Service) catchUp(ctx context.Context) ([]*Record, error) {
	size := s.log.Size()
	from, err := s.store.PlacedUpTo(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading how far the database is: %w", err)
	}
	if err := s.refuseLogBehind(ctx, from, size); err != nil {
		return nil, err
	}
	pending, err := s.store.Pending(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading statements without an index: %w", err)
	}
	scan := &recovery{s: s, pending: make(map[receipt.Hash]*Record, len(pending))}
	for _, rec := range pending {
		scan.pending[rec.LeafHash] = rec
	}
	if err := scan.run(ctx, from); err != nil {
		return nil, err
	}
	if scan.next > from {
		if err := s.store.SetPlacedUpTo(ctx, scan.next); err != nil {
			return nil, fmt.Errorf("writing how far the database is: %w", err)
		}
	}
	s.placedUpTo = newWatermark(scan.next)
	s.recovered.Scanned, s.recovered.Placed = scan.next-from, scan.found
	if scan.mark != nil {
		s.marks.advance(scan.mark)
		s.markProofs.add(scan.mark.record)
	}
	missing, err := s.missing(ctx, pending, scan.pending)
	s.recovered.Logged = len(missing)
	return missing, err
}

// Recovered counts what Open found: nothing after a clean stop.
type Recovered struct {
	// Scanned is the number of log entries beyond those that the database was known
	// to have placed, and Placed of those whose statement got its index only now.
	Scanned uint64
	Placed  int
	// Logged is the number of statements that were stored, not in the log, and are
	// logged now; Dropped of time marks that were stale by then.
	Logged, Dropped int
}

// Recovered returns what Open found.
func (s *Service) Recovered() Recovered { return s.recovered }

// refuseLogBehind refuses a database that knows more of the log than there is.
func (s *Service) refuseLogBehind(ctx context.Context, from, size uint64) error {
	if from > size {
		return fmt.Errorf("%w: the database knows %d entries, the log holds %d: %d are missing; restore the newest copy of the log",
			ErrLogBehind, from, size, from-size)
	}
	beyond, err := s.store.List(ctx, Query{After: int64(size) - 1, Below: math.MaxInt64, Limit: 1})
	if err != nil {
		return fmt.Errorf("reading the newest statement: %w", err)
	}
	if len(beyond) > 0 {
		return fmt.Errorf("%w: the database has a statement at index %d, the log holds %d entries; restore the newest copy of the log",
			ErrLogBehind, beyond[0].Index, size)
	}
	return nil
}

// missing returns those of the pending statements that the scan did not find.
func (s *Service) missing(ctx context.Context, pending []*Record, unseen map[receipt.Hash]*Record) ([]*Record, error) {
	var missing []*Record
	var stale []trial.ID
	for _, rec := range pending {
		switch {
		case unseen[rec.LeafHash] == nil:
		case rec.Kind == trial.KindTimeMark:
			stale = append(stale, rec.ID)
		default:
			missing = append(missing, rec)
		}
	}
	if len(stale) > 0 {
		if err := s.store.Drop(ctx, stale); err != nil {
			return nil, fmt.Errorf("dropping stale time marks: %w", err)
		}
		s.recovered.Dropped = len(stale)
	}
	return missing, nil
}

// recovery is one scan of the log's end.
type recovery struct {
	s       *Service
	pending map[receipt.Hash]*Record // emptied as they are found
	mark    *timeMark                // the newest that was met, or nil
	next    uint64                   // index after the last one scanned
	placed  []Placed
	found   int // that were placed
	// lost counts entries without a statement, from firstLost on.
	lost, firstLost uint64
}

func (r *recovery) run(ctx context.Context, from uint64) error {
	r.next = from
	rec, err := r.s.store.MarkBefore(ctx, from)
	switch {
	case err == nil:
		if r.mark, err = parseMark(rec); err != nil {
			return err
		}
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("looking the last time mark up: %w", err)
	}
	err = r.s.log.Scan(ctx, from, func(index uint64, entry []byte) error {
		return r.entry(ctx, index, entry)
	})
	if err != nil {
		return fmt.Errorf("scanning the log: %w", err)
	}
	if r.lost > 0 {
		return lostStatements(r.lost, r.firstLost)
	}
	return r.flush(ctx)
}

// entry matches one log entry with its statement. Of duplicates the lowest
// index counts.
func (r *recovery) entry(ctx context.Context, index uint64, entry []byte) error {
	r.next = index + 1
	leaf := receipt.LeafHash(entry)
	rec := r.pending[leaf]
	if rec == nil {
		var err error
		rec, err = r.s.store.ByLeaf(ctx, leaf)
		if errors.Is(err, ErrNotFound) {
			if r.lost == 0 {
				r.firstLost = index
			}
			r.lost++
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking the statement of entry %d up: %w", index, err)
		}
		if rec.Logged && rec.Index < index || !rec.Logged {
			return nil // a duplicate of what was met before
		}
	}
	delete(r.pending, leaf)
	governed := r.time()
	if !rec.Logged || rec.Index > index {
		r.placed = append(r.placed, Placed{ID: rec.ID, Index: index, LogTime: governed})
		rec.Logged, rec.Index, rec.LogTime = true, index, governed
	}
	if rec.Kind == trial.KindTimeMark {
		mark, err := parseMark(rec)
		if err != nil {
			return err
		}
		r.mark = mark
	}
	if len(r.placed) >= r.s.cfg.BatchSize {
		return r.flush(ctx)
	}
	return nil
}

func (r *recovery) time() time.Time {
	if r.mark == nil {
		return time.Time{}
	}
	return r.mark.time
}

// flush places what was found. Nothing is placed once entries were lost: a
// database that is refused is left as it was.
func (r *recovery) flush(ctx context.Context) error {
	if len(r.placed) == 0 || r.lost > 0 {
		return nil
	}
	if err := r.s.store.Place(ctx, r.placed); err != nil {
		return fmt.Errorf("placing statements: %w", err)
	}
	r.found += len(r.placed)
	r.placed = r.placed[:0]
	return nil
}

// addPending logs statements that are stored and not in the log, the way every
// statement goes. They were admitted when they were stored and are not judged
// again.
func (s *Service) addPending(ctx context.Context, pending []*Record) error {
	var acts []*act
	for _, rec := range pending {
		st, err := openRecord(rec)
		if err != nil {
			return err
		}
		a := &act{id: rec.ID, st: st, begun: time.Now(), done: make(chan struct{})}
		if err := s.acts.enter(places(st.Payload)); err != nil {
			// More than fit at once: let the first ones go ahead.
			if err := waitActs(ctx, acts); err != nil {
				return err
			}
			acts = acts[:0]
			if err := s.acts.enter(places(st.Payload)); err != nil {
				return err
			}
		}
		s.mu.Lock()
		s.inFlight[a.id] = a
		s.mu.Unlock()
		if err := s.resume(a, rec); err != nil {
			s.finish(a, err)
			return err
		}
		a.admitted = time.Now()
		s.queue <- a
		acts = append(acts, a)
	}
	return waitActs(ctx, acts)
}

func waitActs(ctx context.Context, acts []*act) error {
	for _, a := range acts {
		select {
		case <-a.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if a.err != nil {
			return a.err
		}
	}
	return nil
}
