package notary

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// evidenceCache holds a trial's evidence files, the last one of each key. All
// statements that a key signs under one time mark and one state of the trial
// share theirs, so that a receipt's evidence costs next to nothing. Its mutex is
// held while one is made: a thousand callers at a new mark make it once.
type evidenceCache struct {
	mu    sync.Mutex
	byKey map[trial.KeyID]cachedEvidence
}

// evidenceFile is an evidence file with its hash, which a caller may name instead
// of having it sent again.
type evidenceFile struct {
	text   []byte
	sha256 string // in lowercase hexadecimal
}

// cachedEvidence is the evidence file of a key under one state of the trial.
type cachedEvidence struct {
	now  *snapshot
	mark uint64 // index of the governing mark, or noMark
	file *evidenceFile
}

const noMark = ^uint64(0)

// evidence returns the evidence file of a logged statement: the trial's
// authority as far as the signer's key depends on it, and the governing time
// marks. The text is shared.
//
// It has no as-of list. That list is complete or worthless, and the whole
// authority of a large trial beside every receipt would be megabytes and would
// show each site the others' staff; the trust folder has it.
func (s *Service) evidence(ctx context.Context, rec *Record) (*evidenceFile, error) {
	mark, err := s.markProofs.before(ctx, rec.Index)
	if err != nil {
		return nil, err
	}
	if rec.Charter.IsZero() { // a time mark
		return s.buildEvidence(ctx, nil, mark)
	}
	t, now, err := s.trials.get(ctx, rec.Charter)
	if err != nil {
		return nil, err
	}
	if rec.Authority {
		i := indexOf(now.facts, rec.ID)
		if i < 0 && s.placedUpTo.wait(ctx, s.stopped, rec.Index+1) {
			// The store knew its index a moment before the fold did.
			if _, now, err = s.trials.get(ctx, rec.Charter); err != nil {
				return nil, err
			}
			i = indexOf(now.facts, rec.ID)
		}
		if i < 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if i < 0 {
			return nil, fmt.Errorf("%w: statement %s is not among its trial's authority statements", ErrDamaged, rec.ID)
		}
		return s.buildEvidence(ctx, chain(now.facts, rec.KeyID, now.facts[i].st), mark)
	}
	t.evidence.mu.Lock()
	defer t.evidence.mu.Unlock()
	if file := t.evidence.find(rec.KeyID, now, mark); file != nil {
		return file, nil
	}
	file, err := s.buildEvidence(ctx, chain(now.facts, rec.KeyID, nil), mark)
	if err != nil {
		return nil, err
	}
	if t.evidence.byKey == nil || len(t.evidence.byKey) >= maxEvidenceFiles {
		t.evidence.byKey = make(map[trial.KeyID]cachedEvidence)
	}
	t.evidence.byKey[rec.KeyID] = cachedEvidence{now: now, mark: mark.at(), file: file}
	return file, nil
}

func indexOf(facts []*fact, id trial.ID) int {
	return slices.IndexFunc(facts, func(f *fact) bool { return f.record.ID == id })
}

// maxEvidenceFiles bounds a trial's cache, which is emptied when full.
const maxEvidenceFiles = 256

func (s *Service) buildEvidence(ctx context.Context, facts []*fact, mark *markProof) (*evidenceFile, error) {
	authority := make([][]byte, 0, len(facts))
	marks := []*markProof{mark}
	for _, f := range facts {
		bundle, m, err := f.proof.get(ctx, s, f.record)
		if err != nil {
			return nil, err
		}
		authority, marks = append(authority, bundle), append(marks, m)
	}
	times, err := markReceipts(ctx, s, marks)
	if err != nil {
		return nil, err
	}
	text, err := receipt.BuildEvidence(authority, times, nil)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return &evidenceFile{text: text, sha256: hex.EncodeToString(sum[:])}, nil
}

// reliance is what a statement's standing depends on, found so far.
type reliance struct {
	keys    map[trial.KeyID]bool
	holders map[string]bool
	facts   map[trial.ID]bool
	target  trial.ID // of an endorsement, needed though nothing names its key
}

// chain returns the authority statements that a statement's standing depends on,
// in log order: the charter, the registrations and the recoveries; all about the
// signer's key and about the keys that an authority statement names; the
// enrolments of the same holders, since a holder has one name; and the same for
// the keys that endorsed those enrolments. st is nil where it changes no
// authority itself.
func chain(facts []*fact, key trial.KeyID, st *trial.Statement) []*fact {
	r := &reliance{
		keys:    map[trial.KeyID]bool{key: true},
		holders: make(map[string]bool),
		facts:   make(map[trial.ID]bool),
	}
	if st != nil {
		r.add(st)
		if b, ok := st.Predicate.Body.(*trial.EndorsementBody); ok {
			r.target = b.Statement
		}
	}
	for grown := true; grown; {
		grown = false
		for _, f := range facts {
			if !r.facts[f.record.ID] && r.needs(f.st) {
				r.add(f.st)
				grown = true
			}
		}
	}
	var out []*fact
	for _, f := range facts {
		if r.facts[f.record.ID] {
			out = append(out, f)
		}
	}
	return out
}

func (r *reliance) needs(st *trial.Statement) bool {
	switch b := st.Predicate.Body.(type) {
	case *trial.CharterBody, *trial.RegistrationBody, *trial.RecoveryBody:
		return true
	case *trial.EnrolmentBody:
		return r.keys[b.Key.ID] || r.holders[b.HolderID] || st.ID == r.target
	case *trial.RevocationBody:
		return r.keys[b.Key]
	case *trial.EndorsementBody:
		return r.facts[b.Statement]
	}
	return false
}

func (r *reliance) add(st *trial.Statement) {
	r.facts[st.ID] = true
	switch b := st.Predicate.Body.(type) {
	case *trial.EnrolmentBody:
		r.keys[b.Key.ID], r.holders[b.HolderID] = true, true
	case *trial.RevocationBody:
		r.keys[b.Key] = true
	case *trial.EndorsementBody:
		r.keys[st.Predicate.Signer.KeyID] = true
	}
}

// markProof is a logged time mark with its receipt, made once.
type markProof struct {
	record *Record // nil: there is no such mark

	mu     sync.Mutex
	bundle []byte
}

// at returns the mark's index, or noMark.
func (m *markProof) at() uint64 {
	if m.record == nil {
		return noMark
	}
	return m.record.Index
}

func (m *markProof) get(ctx context.Context, s *Service) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bundle == nil {
		bundle, err := s.receiptOf(ctx, m.record)
		if err != nil {
			return nil, err
		}
		m.bundle = bundle
	}
	return m.bundle, nil
}

// markReceipts returns the receipts of the marks in log order, each once.
func markReceipts(ctx context.Context, s *Service, marks []*markProof) ([][]byte, error) {
	marks = slices.DeleteFunc(marks, func(m *markProof) bool { return m.record == nil })
	slices.SortFunc(marks, func(a, b *markProof) int { return cmp.Compare(a.at(), b.at()) })
	marks = slices.CompactFunc(marks, func(a, b *markProof) bool { return a.at() == b.at() })
	out := make([][]byte, 0, len(marks))
	for _, m := range marks {
		b, err := m.get(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// keptMarks is the number of newest time marks that are held in memory.
const keptMarks = 64

// markProofs finds the time mark that governs an index.
type markProofs struct {
	store Store

	mu sync.Mutex
	// recent holds the newest marks in log order, without a gap.
	recent []*markProof
}

func (p *markProofs) add(rec *Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recent = append(p.recent, &markProof{record: rec}); len(p.recent) > keptMarks {
		p.recent = slices.Delete(p.recent, 0, 1)
	}
}

// held returns the last mark below index if it is in memory, else nil.
func (p *markProofs) held(index uint64) *markProof {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range slices.Backward(p.recent) {
		if m.record.Index < index {
			return m
		}
	}
	return nil
}

// before returns the last mark below index; it has no record where there is
// none.
func (p *markProofs) before(ctx context.Context, index uint64) (*markProof, error) {
	if m := p.held(index); m != nil {
		return m, nil
	}
	rec, err := p.store.MarkBefore(ctx, index)
	switch {
	case errors.Is(err, ErrNotFound):
		return &markProof{}, nil
	case err != nil:
		return nil, unavailable(fmt.Errorf("looking a time mark up: %w", err))
	}
	return &markProof{record: rec}, nil
}
