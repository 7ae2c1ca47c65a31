package notary

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// batch is what the committer added at once. The committer hands it to the
// awaiter with its futures, and the awaiter to the placer.
type batch struct {
	acts    []*act
	futures []Future
	added   time.Time
}

// commitLoop is the committer: the one goroutine that makes statements durable,
// adds time marks, and calls Log.Add.
func (s *Service) commitLoop() {
	defer close(s.awaits)
	for {
		first, ok := <-s.queue
		if !ok {
			return
		}
		s.commit(s.gather(first))
	}
}

// gather waits for company: one transaction a batch is what makes the store
// fast. It does not wait where nothing else is in flight, and it is not woken by
// each that comes, which would cost as much as taking it.
func (s *Service) gather(first *act) []*act {
	if wait := s.linger(); wait > 0 {
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-s.full:
		}
		timer.Stop()
	}
	acts := append(make([]*act, 0, min(len(s.queue)+1, s.cfg.BatchSize)), first)
	for len(acts) < s.cfg.BatchSize {
		select {
		case a, ok := <-s.queue:
			if !ok {
				return acts
			}
			acts = append(acts, a)
		default:
			return acts
		}
	}
	return acts
}

// linger is how long the committer waits for company. To wait longer where
// thousands are in flight was no faster.
func (s *Service) linger() time.Duration {
	if s.cfg.Linger <= 0 || s.acts.count() <= 1 {
		return 0
	}
	return s.cfg.Linger
}

// commit makes a batch durable, and only then adds its entries. Where a time
// mark is due, it goes into the same transaction and has its index before any
// entry that it governs is added.
func (s *Service) commit(acts []*act) {
	if err := s.Err(); err != nil {
		s.halt(err)
		s.running.Go(func() { s.settleAll(acts, unavailable(err)) })
		return
	}
	mark, due, err := s.marks.next(s.log.Checkpoint())
	if err != nil {
		s.running.Go(func() { s.settleAll(acts, unavailable(fmt.Errorf("making a time mark: %w", err))) })
		return
	}
	s.observeBatch(acts, StageQueue, acts[0].admitted)
	began := time.Now()
	held, err := s.put(mark, acts)
	if err != nil {
		// On an error nothing was stored, and if it was all the same, the
		// statement is found when it is sent again.
		if errors.Is(err, ErrStoreFailed) || errors.Is(err, ErrStoreDamaged) {
			s.halt(err) // the store takes nothing more
		}
		s.dropMark(mark)
		s.running.Go(func() { s.settleAll(acts, unavailable(fmt.Errorf("storing statements: %w", err))) })
		return
	}
	if len(held) > 0 {
		if acts = s.without(acts, held); len(acts) == 0 {
			s.dropMark(mark)
			return
		}
	}
	s.observeBatch(acts, StageStore, began)
	if due {
		if err := s.addMark(mark); err != nil {
			if !errors.Is(err, ErrOverloaded) {
				s.halt(err)
			}
			s.finishAll(acts, unavailable(err))
			return
		}
	}
	b := &batch{acts: acts, futures: make([]Future, len(acts)), added: time.Now()}
	for i, a := range acts {
		b.futures[i] = s.log.Add(s.ctx, a.entry)
		if a.trial != nil {
			s.log.Hurry() // the trial's next one waits until this one takes effect
		}
	}
	s.awaiting.Add(1)
	s.added.Add(int64(len(acts)))
	s.awaits <- b
}

// put stores a batch in one transaction, but for what came from the store, and
// returns the statements that were held already.
func (s *Service) put(mark *timeMark, acts []*act) ([]trial.ID, error) {
	records := make([]*Record, 0, len(acts)+1)
	if mark != nil {
		records = append(records, mark.record)
	}
	for _, a := range acts {
		if !a.stored {
			records = append(records, a.record)
		}
	}
	held, err := s.store.Put(s.ctx, records)
	s.storeErr.set(err)
	return held, err
}

// without takes the acts out of a batch whose statements were held before. They
// go on in goroutines of their own: to resume one may mean waiting for others
// that the committer has still to take.
func (s *Service) without(acts []*act, held []trial.ID) []*act {
	known := make(map[trial.ID]bool, len(held))
	for _, id := range held {
		known[id] = true
	}
	return slices.DeleteFunc(acts, func(a *act) bool {
		if known[a.id] {
			s.running.Go(func() { s.settle(a, nil) })
		}
		return known[a.id]
	})
}

// addMark logs a time mark alone: every entry added before it has its index,
// and none is added after it until it has its own. So the order in which a log
// hands out indexes inside its queue never decides what a mark governs.
func (s *Service) addMark(m *timeMark) error {
	s.log.Hurry()
	s.awaiting.Wait()
	if err := s.Err(); err != nil {
		return err
	}
	added := s.log.Add(s.ctx, m.entry)
	s.log.Hurry()
	index, err := added(s.ctx)
	if errors.Is(err, ErrOverloaded) {
		s.dropMark(m)
	}
	if err != nil {
		return fmt.Errorf("logging a time mark: %w", err)
	}
	governed := s.marks.logged()
	m.record.Index, m.record.LogTime = index, governed
	if err := s.store.Place(s.ctx, []Placed{{ID: m.record.ID, Index: index, LogTime: governed}}); err != nil {
		s.storeErr.set(err)
		return fmt.Errorf("placing a time mark: %w", err)
	}
	m.record.Logged = true
	s.marks.advance(m)
	s.markProofs.add(m.record)
	s.placedUpTo.add(index)
	s.placedUpTo.announce()
	return nil
}

// dropMark forgets a time mark that was not added: it would be stale when its
// turn came. What stays behind, the next start drops.
func (s *Service) dropMark(m *timeMark) {
	if m != nil {
		_ = s.store.Drop(s.ctx, []trial.ID{m.record.ID})
	}
}

// awaitLoop is the awaiter: it learns the index of every added entry.
func (s *Service) awaitLoop() {
	defer close(s.places)
	for b := range s.awaits {
		// Before the marks can move on: the next one waits for this batch.
		logTime := s.marks.logged()
		known := b.acts[:0:0]
		for i, a := range b.acts {
			index, err := b.futures[i](s.ctx)
			if err != nil {
				err = fmt.Errorf("logging a statement: %w", err)
				if !errors.Is(err, ErrOverloaded) {
					// The outcome is unknown: only a scan of the log can tell.
					s.halt(err)
				}
				s.finish(a, unavailable(err))
				continue
			}
			a.record.Index, a.record.LogTime = index, logTime
			known = append(known, a)
		}
		s.added.Add(-int64(len(b.acts)))
		s.awaiting.Done()
		s.observeBatch(b.acts, StageAdd, b.added)
		if len(known) > 0 {
			s.places <- known
		}
	}
}

// placeLoop is the placer: it records indexes, as many batches at once as came
// meanwhile, lets authority statements take effect and answers.
func (s *Service) placeLoop() {
	defer s.published.close()
	for acts := range s.places {
		for more := true; more && len(acts) < s.cfg.BatchSize; {
			select {
			case next, ok := <-s.places:
				acts, more = append(acts, next...), ok
			default:
				more = false
			}
		}
		s.place(acts)
	}
}

func (s *Service) place(acts []*act) {
	began := time.Now()
	placed := make([]Placed, len(acts))
	for i, a := range acts {
		placed[i] = Placed{ID: a.id, Index: a.record.Index, LogTime: a.record.LogTime}
	}
	if err := s.store.Place(s.ctx, placed); err != nil {
		// Logged, and the store does not know it: to go on would log them
		// again when they are sent again.
		s.storeErr.set(err)
		err = fmt.Errorf("placing statements: %w", err)
		s.halt(err)
		s.finishAll(acts, unavailable(err))
		return
	}
	s.observeBatch(acts, StagePlace, began)
	s.publish(s.close(s.effective(acts), nil))
	s.placedUpTo.announce()
	if size, due := s.placedUpTo.due(); due {
		// What it saves is a part of the next recovery's scan: an error here
		// costs nothing, and the next Place or Put reports its cause.
		if s.store.SetPlacedUpTo(s.ctx, size) == nil {
			s.placedUpTo.saved(size)
		}
	}
}

// effective lets authority statements take effect, and returns the acts of which
// nothing failed. The others have their end.
func (s *Service) effective(acts []*act) []*act {
	indexes := make([]uint64, len(acts))
	failed := map[*act]error{}
	for i, a := range acts {
		a.record.Logged = true
		indexes[i] = a.record.Index
		if a.trial == nil {
			continue
		}
		if err := a.trial.apply(a.st, a.record); err != nil {
			s.halt(err)
			failed[a] = err
		}
	}
	// After they took effect: a signed list of a trial's authority relies on
	// everything below the watermark.
	s.placedUpTo.add(indexes...)
	if len(failed) == 0 {
		return acts
	}
	return slices.DeleteFunc(acts, func(a *act) bool {
		if failed[a] != nil {
			s.finish(a, failed[a])
		}
		return failed[a] != nil
	})
}

func (s *Service) finishAll(acts []*act, err error) {
	for _, a := range acts {
		s.finish(a, err)
	}
}

// halt stops the writing for good: the first error counts.
func (s *Service) halt(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopErr != nil {
		return
	}
	if !errors.Is(err, ErrLogStopped) {
		err = fmt.Errorf("%w: %w", ErrLogStopped, err)
	}
	s.stopErr = err
	close(s.stopped)
}

// Err returns nil while the service takes submissions, or what stopped it, under
// ErrLogStopped. A stopped service still answers reads; it must be opened again,
// which recovers.
func (s *Service) Err() error {
	s.mu.Lock()
	err := s.stopErr
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.log.Err()
}

// Stopped is closed when the service stops writing by itself.
func (s *Service) Stopped() <-chan struct{} { return s.stopped }

// unavailable wraps a cause so that the caller sends the same bytes again.
func unavailable(cause error) error {
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}
