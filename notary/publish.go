package notary

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// publisher holds the submissions whose statements have their index and wait for a
// checkpoint that covers it.
type publisher struct {
	wake chan struct{} // holds a value where something below changed

	// mu is the service's, and guards the fields below.
	mu      *sync.Mutex
	waiting line
	closed  bool
	over    bool // the publisher takes nobody any more
}

// add returns false where it came too late: nobody will look at them.
func (p *publisher) add(waiting []*submission) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return false
	}
	for _, w := range waiting {
		p.waiting.push(w)
	}
	p.tell()
	return true
}

// close tells that nothing more comes.
func (p *publisher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.tell()
}

func (p *publisher) tell() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next returns the lowest index that is waited for, if there is one. It tells that
// the publisher is over in the same moment in which it makes it so: whoever adds is
// either seen or told.
func (p *publisher) next() (index uint64, waits, over bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	index = math.MaxUint64
	for w := p.waiting.first; w != nil; w = w.next {
		index = min(index, w.act.record.Index)
	}
	waits = p.waiting.first != nil
	p.over = p.closed && !waits
	return index, waits, p.over
}

// take returns those that want says, who do not wait any more.
func (p *publisher) take(want func(*submission) bool) []*submission {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting.take(nil, want)
}

// publish has submissions answered whose acts ended well.
func (s *Service) publish(waiting []*submission) {
	if len(waiting) == 0 {
		return
	}
	now := time.Now()
	for _, w := range waiting {
		w.since = now
	}
	size := s.log.Checkpoint().Size
	var covered, rest []*submission
	for _, w := range waiting {
		if w.act.record.Index < size {
			covered = append(covered, w)
		} else {
			rest = append(rest, w)
		}
	}
	s.hand(covered)
	if len(rest) > 0 && !s.published.add(rest) {
		for _, w := range rest {
			s.end(w, nil, false, unavailable(errClosing))
		}
	}
}

// publishLoop is the publisher: it waits for each checkpoint once, for everybody.
func (s *Service) publishLoop() {
	defer s.pool.close()
	for {
		next, waits, over := s.published.next()
		if over {
			return
		}
		if !waits {
			<-s.published.wake
			continue
		}
		err := s.log.Await(s.ctx, next)
		size := s.log.Checkpoint().Size
		s.hand(s.published.take(func(w *submission) bool { return w.act.record.Index < size }))
		if err != nil {
			s.unpublished(next, err)
		}
	}
}

// unpublished ends the submissions whose index no checkpoint will cover.
func (s *Service) unpublished(index uint64, err error) {
	all := s.ctx.Err() != nil || errors.Is(err, ErrLogStopped)
	for _, w := range s.published.take(func(w *submission) bool { return all || w.act.record.Index == index }) {
		s.end(w, nil, false, s.unproven(s.ctx, w.act.record, err))
	}
}

// answersAtOnce is how many answers a worker makes in one go: enough to share
// what they have in common, and few enough for all workers to have some.
const answersAtOnce = 16

// hand has submissions answered that a checkpoint covers: by workers what was just
// logged, whose proofs are in memory, and elsewhere what was logged long ago.
func (s *Service) hand(covered []*submission) {
	var old []*submission
	covered = slices.DeleteFunc(covered, func(w *submission) bool {
		if w.act.repeated {
			old = append(old, w)
		}
		return w.act.repeated
	})
	if len(old) > 0 {
		s.later(&s.old, old)
	}
	for len(covered) > 0 {
		some := covered[:min(answersAtOnce, len(covered))]
		covered = covered[len(some):]
		if !s.pool.answer(func() { s.answerAll(some) }) {
			for _, w := range some {
				s.end(w, nil, false, unavailable(errClosing))
			}
		}
	}
}

// answerAll makes receipts and answers. What has no evidence file yet waits for it
// elsewhere: making the first one may mean waiting for a checkpoint.
func (s *Service) answerAll(covered []*submission) {
	covered = slices.DeleteFunc(covered, func(w *submission) bool { return w.ended.Load() })
	defer s.endPanicked(covered...)
	indexes := make([]uint64, len(covered))
	for i, w := range covered {
		s.observe(w.ctx, StagePublish, w.since)
		indexes[i] = w.act.record.Index
	}
	proofs, err := s.log.ProveAll(s.ctx, indexes)
	if err != nil || len(proofs) != len(indexes) {
		proofs = nil // each is told why
	}
	var without []*submission
	for i, w := range covered {
		var inc *receipt.Inclusion
		if proofs != nil {
			inc = &proofs[i]
		}
		res, err := s.receipt(w, inc)
		if err != nil {
			s.end(w, nil, false, err)
			continue
		}
		w.res = res
		if evidence := s.heldEvidence(w.act.record); evidence != nil {
			s.give(w, evidence)
		} else {
			without = append(without, w)
		}
	}
	if len(without) > 0 {
		s.later(&s.lacking, without)
	}
}

// receipt makes a submission's receipt, or as much of it as is wanted. inc is nil
// where the entry could not be proven with others.
func (s *Service) receipt(w *submission, inc *receipt.Inclusion) (res *Result, err error) {
	defer recovered(&err)
	a := w.act
	began := time.Now()
	if inc == nil {
		one, err := s.log.Prove(s.ctx, a.record.Index)
		if err != nil {
			return nil, s.unproven(s.ctx, a.record, err)
		}
		inc = &one
	}
	res = &Result{Record: a.record}
	if w.Form.of(w.Envelope, a.record) == ProofOnly {
		res.Inclusion, err = s.checked(w.ctx, a.record, a.key, *inc, began)
	} else {
		res.Bundle, err = s.build(w.ctx, a.record, a.key, *inc, began)
	}
	w.since = time.Now()
	return res, err
}

func (s *Service) give(w *submission, evidence *evidenceFile) {
	s.observe(w.ctx, StageEvidence, w.since)
	w.res.Evidence, w.res.EvidenceSHA256 = evidence.text, evidence.sha256
	s.end(w, w.res, w.act.repeated, nil)
}

func (s *Service) makeEvidence(without []*submission) {
	defer s.endPanicked(without...)
	for _, w := range without {
		if w.ended.Load() {
			continue
		}
		evidence, err := s.evidenceOf(w.act.record)
		if err != nil {
			if errors.Is(err, context.Canceled) { // the service's context, not the caller's
				err = unavailable(errClosing)
			}
			s.end(w, nil, false, err)
			continue
		}
		s.give(w, evidence)
	}
}

func (s *Service) evidenceOf(rec *Record) (file *evidenceFile, err error) {
	defer recovered(&err)
	return s.evidence(s.ctx, rec)
}

// heldEvidence returns the evidence file of a logged statement where there is
// nothing to be made, looked up or waited for, else nil.
func (s *Service) heldEvidence(rec *Record) *evidenceFile {
	if rec.Authority || rec.Charter.IsZero() {
		return nil
	}
	mark := s.markProofs.held(rec.Index)
	t := s.trials.held(rec.Charter)
	if mark == nil || t == nil || !t.evidence.mu.TryLock() {
		return nil
	}
	defer t.evidence.mu.Unlock()
	return t.evidence.find(rec.KeyID, t.now.Load(), mark)
}

func (c *evidenceCache) find(key trial.KeyID, now *snapshot, mark *markProof) *evidenceFile {
	if f, ok := c.byKey[key]; ok && f.now == now && f.mark == mark.at() {
		return f.file
	}
	return nil
}
