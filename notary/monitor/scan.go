package monitor

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// fetchers is how many receipts are asked for at the same time.
const fetchers = 8

// found is what a step of the scan saw.
type found struct {
	marks []uint64
	// own holds the entries of the trial's keys, and shown those that the notary
	// shows a statement to, with their leaf hashes.
	own   map[uint64]ownEntry
	shown map[uint64]receipt.Hash
	// unread is the first entry that names no signer, and how many there are.
	unread      *uint64
	unreadCount int
}

type ownEntry struct {
	leaf   receipt.Hash
	digest string
}

// scan goes through the new entries, a step at a time: what was seen of a step is
// stored before the next one begins, and is where a look that ends is taken up.
func (l *look) scan(ctx context.Context) error {
	d := l.m.doc
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	for d.Scanned < l.target.Size && l.waits == "" {
		until := min(d.Scanned+l.m.cfg.Step, l.target.Size)
		f := &found{own: map[uint64]ownEntry{}, shown: map[uint64]receipt.Hash{}}
		err := l.m.cfg.Client.Entries(ctx, l.target, d.Scanned, until, func(index uint64, entry []byte) error {
			l.see(f, index, entry)
			return nil
		})
		if err != nil {
			return l.broken(err)
		}
		if err := l.step(ctx, f, until); err != nil {
			return err
		}
	}
	l.settle(KindLogFiles)
	return nil
}

// see looks at one entry.
func (l *look) see(f *found, index uint64, entry []byte) {
	_, shown := l.listed[index]
	parts, err := receipt.SplitEntry(entry)
	if err != nil {
		if f.unread == nil {
			f.unread = &index
		}
		f.unreadCount++
	}
	since, ours := l.keys.since[string(parts.Key)]
	switch {
	case err == nil && ours && index >= since:
		f.own[index] = ownEntry{receipt.LeafHash(entry), string(parts.Digest)}
	case err == nil && string(parts.Key) == l.keys.notary:
		f.marks = append(f.marks, index)
	}
	if shown {
		f.shown[index] = receipt.LeafHash(entry)
	}
}

// step checks what was found and stores it.
func (l *look) step(ctx context.Context, f *found, until uint64) error {
	d := l.m.doc
	if err := l.marks.add(f.marks); err != nil {
		return err
	}
	if f.unread != nil {
		l.raisef(KindEntryForm, at(*f.unread), "%d entries from index %d on have a form that names no signer: whose they are cannot be told", f.unreadCount, *f.unread)
	}
	wanted := make(map[uint64]want, len(f.shown))
	for index, leaf := range f.shown {
		wanted[index] = want{l.listed[index], leaf}
	}
	if err := l.take(ctx, wanted); err != nil {
		return err
	}
	if err := l.undisclosed(f); err != nil {
		return err
	}
	scanned := until - d.Scanned
	d.Scanned, d.Marks = until, l.marks.count // before, a rescan adds the marks again
	if err := l.m.save(); err != nil {
		return err
	}
	if l.m.cfg.Observer != nil {
		l.m.cfg.Observer.Scanned(scanned)
	}
	return nil
}

// undisclosed raises an alarm for the entries of the trial's keys that the notary
// shows no statement to.
func (l *look) undisclosed(f *found) error {
	var digests map[string]uint64
	for _, index := range sortedKeys(f.own) {
		if _, shown := l.listed[index]; shown {
			continue
		}
		if digests == nil {
			var err error
			if digests, err = l.m.digests(); err != nil {
				return err
			}
		}
		e := f.own[index]
		if first, held := digests[e.digest]; held && first < index {
			continue // a second entry of a statement, which has no effect
		}
		s := at(index)
		s.leaf = hex.EncodeToString(e.leaf[:])
		l.raisef(KindUndisclosed, s, "the entry at index %d is signed by an enrolled key of the trial, and the notary shows no statement to it", index)
		if len(l.m.doc.open(KindUndisclosed)) >= maxOpen {
			l.waits = fmt.Sprintf("the scan waits at index %d: %d entries are undisclosed; acknowledge them to go on", index, maxOpen)
		}
	}
	return nil
}

// digests are those of the statements of the copy, as they stand in entries, with
// the first index of each: of several entries the first counts. They are read where an entry belongs to no statement, which is rare.
func (m *Monitor) digests() (map[string]uint64, error) {
	out := make(map[string]uint64, len(m.all))
	for _, h := range m.all {
		r, err := m.receipt(h)
		if err != nil {
			return nil, err
		}
		digest := receipt.EntryDigest(r.Envelope)
		if _, earlier := out[digest]; !earlier { // in log order
			out[digest] = h.Index
		}
	}
	return out, nil
}

// want is a statement to fetch, and the leaf hash of its place in the log.
type want struct {
	id   trial.ID
	leaf receipt.Hash
}

// take fetches statements, checks them and puts them into the copy.
func (l *look) take(ctx context.Context, wanted map[uint64]want) error {
	indexes := slices.DeleteFunc(sortedKeys(wanted), func(index uint64) bool {
		held, ok := l.m.byID[wanted[index].id]
		return ok && held == index
	})
	got := make([]*client.Receipt, len(indexes))
	refused := make([]error, len(indexes))
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	for i, index := range indexes {
		g.Go(func() error {
			r, err := l.receipts.Get(groupCtx, wanted[index].id)
			if err != nil && !isAnswer(err) {
				return err
			}
			if err == nil && l.checked(r, index, wanted[index]) == nil {
				err = r.WriteFiles(l.m.path(copyDir, receiptsDir, copyName(index)))
				if err != nil {
					return err
				}
			}
			got[i], refused[i] = r, err
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var more []held
	for i, index := range indexes {
		w := wanted[index]
		h, err := l.accept(got[i], refused[i], index, w)
		if err != nil {
			return err
		}
		if h != nil {
			more = append(more, *h)
		}
	}
	if err := appendJournal(l.m.path(journalFile), more); err != nil {
		return err
	}
	for _, h := range more {
		l.m.all = append(l.m.all, h)
		l.m.byID[h.ID] = h.Index
	}
	l.m.sortAll()
	return nil
}

// isAnswer tells whether an error is the notary's answer, which says something
// about the notary; others are about the way to it.
func isAnswer(err error) bool {
	_, refused := errors.AsType[*client.Refused](err)
	return refused || errors.Is(err, client.ErrReceipt) || errors.Is(err, client.ErrForked) || errors.Is(err, client.ErrRolledBack)
}

// checked compares a receipt with the entry that was read from the log.
func (l *look) checked(r *client.Receipt, index uint64, w want) error {
	if r.Index != index {
		return fmt.Errorf("the notary lists statement %s at index %d, and its receipt is of index %d", w.id, index, r.Index)
	}
	parsed, err := receipt.Parse(r.Bundle)
	if err != nil {
		return err
	}
	if receipt.LeafHash(parsed.Entry) != w.leaf {
		return fmt.Errorf("the log has another entry at index %d than statement %s should have", index, w.id)
	}
	return nil
}

// accept raises an alarm for a statement that is not as it should be; it returns
// what goes into the journal for one that is.
func (l *look) accept(r *client.Receipt, refused error, index uint64, w want) (*held, error) {
	s := at(index)
	s.statement = w.id.String()
	switch {
	case errors.Is(refused, client.ErrForked), errors.Is(refused, client.ErrRolledBack):
		return nil, l.broken(refused)
	case errors.Is(refused, client.ErrReceipt):
		l.raisef(KindReceipt, s, "%v", refused)
		return nil, nil //nolint:nilnil // an alarm is no error
	case refused != nil:
		l.raisef(KindReceipt, s, "the notary lists statement %s and hands out no receipt: %v", w.id, refused)
		return nil, nil //nolint:nilnil // an alarm is no error
	}
	if err := l.checked(r, index, w); err != nil {
		l.raisef(KindNoEntry, s, "%v", err)
		return nil, nil //nolint:nilnil // an alarm is no error
	}
	if err := l.governed(r); err != nil {
		if isDisk(err) {
			return nil, err
		}
		l.raisef(KindTimeMark, s, "%v", err)
		return nil, nil //nolint:nilnil // an alarm is no error
	}
	if b, ok := r.Verdict.Statement.Predicate.Body.(*trial.EnrolmentBody); ok && l.m.cfg.Site != "" && names(b, l.m.cfg.Site) {
		l.raisef(KindEnrolment, s, "a key was enrolled at index %d in the name of site %s: holder %s, %s (%s)", index, l.m.cfg.Site, b.HolderID, b.Organisation, b.OrganisationType)
	}
	return &held{Index: index, ID: w.id, Text: w.id.String(), Time: r.Verdict.LogTime, Keys: bearsKeys(r.Verdict.Statement)}, nil
}

// governed checks that a statement's log time is that of the last time mark before
// it: the entries tell where the marks are.
func (l *look) governed(r *client.Receipt) error {
	n, err := l.marks.below(r.Index)
	if err != nil || n == 0 {
		return err
	}
	want, err := l.marks.at(n - 1)
	if err != nil {
		return err
	}
	ev, err := receipt.ParseEvidence(r.Evidence)
	if err != nil {
		return fmt.Errorf("the evidence of statement %s: %w", r.StatementID, err)
	}
	for _, mark := range ev.TimeMarks {
		if mark.Index == want {
			return nil
		}
	}
	return fmt.Errorf("statement %s at index %d comes without the time mark at index %d, the last one before it", r.StatementID, r.Index, want)
}

// sortAll puts the copy into log order.
func (m *Monitor) sortAll() {
	slices.SortFunc(m.all, func(a, b held) int { return cmp.Compare(a.Index, b.Index) })
}

func sortedKeys[V any](m map[uint64]V) []uint64 {
	out := make([]uint64, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// missed looks at what was scanned before: statements that the notary shows only
// now, and those that it shows no more.
func (l *look) missed(ctx context.Context) error {
	late := map[uint64]want{}
	for _, index := range l.order {
		id := l.listed[index]
		if held, ok := l.m.byID[id]; index >= l.m.doc.Scanned || ok && held == index {
			continue
		}
		leaf, err := l.m.cfg.Client.LeafHash(ctx, l.target, index)
		if err != nil {
			return l.broken(err)
		}
		late[index] = want{id, leaf}
	}
	if len(late) > 0 {
		if err := l.take(ctx, late); err != nil {
			return err
		}
		l.m.fold = nil // what comes late is folded where it belongs
	}
	for _, a := range l.m.doc.Alarms {
		// Disclosed with a receipt that does not hold is not disclosed.
		if a.Kind == KindUndisclosed && a.Index != nil && a.Status != StatusResolved && !l.holds(*a.Index) {
			l.raised[a.ID] = true
		}
	}
	for _, h := range l.m.all {
		if l.listed[h.Index] != h.ID && h.Index < l.target.Size {
			s := at(h.Index)
			s.statement = h.Text
			l.raisef(KindWithheld, s, "the notary showed statement %s at index %d before, and shows it no more", h.ID, h.Index)
		}
	}
	l.settle(KindUndisclosed, KindReceipt, KindNoEntry, KindWithheld)
	return nil
}

// holds tells whether the copy has a statement of that index.
func (l *look) holds(index uint64) bool {
	_, ok := slices.BinarySearchFunc(l.m.all, index, func(h held, i uint64) int { return cmp.Compare(h.Index, i) })
	return ok
}
