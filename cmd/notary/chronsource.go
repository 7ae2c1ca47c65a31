package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// holdings are a trial's statements as they were had, each checked against the
// trust folder, with the time marks that are known.
type holdings struct {
	trust      *receipt.Trust
	verifier   *receipt.Verifier
	statements map[uint64]*trial.Statement // by index
	marks      map[uint64]*trial.Statement
	sorted     []uint64 // indexes of marks, while it is current
	newest     receipt.Checkpoint
	// later finds the last time mark below an index, nil where there is nobody to
	// ask.
	later func(ctx context.Context, below uint64) (uint64, *trial.Statement, error)
	// refused says which receipts do not hold, and others counts those of other
	// trials.
	refused []string
	others  int
	// untimed are the indexes of statements that came without the time mark that
	// governs them, and links counts receipts that are symbolic links, not followed.
	untimed map[uint64]bool
	links   int
	offline bool
	// partial: the notary shows this user a part of the trial.
	partial bool
}

func newHoldings(t *receipt.Trust) *holdings {
	return &holdings{
		trust: t, verifier: receipt.NewVerifier(t), statements: map[uint64]*trial.Statement{}, marks: map[uint64]*trial.Statement{},
		untimed: map[uint64]bool{},
	}
}

// held gathers what the flags name: a folder of receipts, or what the notary shows.
func (a *app) held(ctx context.Context, from string) (*holdings, *connection, error) {
	if from != "" {
		t, err := a.verifyTrust()
		if err != nil {
			return nil, nil, err
		}
		h, err := heldIn(ctx, t, from)
		return h, nil, err
	}
	if a.cfg.Trial == "" && a.cfg.Trust == "" {
		return nil, nil, errors.New("missing --trial: want a charter's id or a registry number; or --from with a folder of receipts")
	}
	c, err := a.dialTrial(ctx)
	if err != nil {
		return nil, nil, err
	}
	h, err := a.heldBy(ctx, c)
	if err != nil {
		return nil, nil, errors.Join(err, c.Close())
	}
	return h, c, nil
}

// heldIn reads the receipts of a folder and of all folders in it, and those of the
// trust folder.
func heldIn(ctx context.Context, t *receipt.Trust, dir string) (*holdings, error) {
	h := newHoldings(t)
	h.offline = true
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !strings.HasSuffix(path, client.ReceiptSuffix):
		case d.Type().IsRegular():
			paths = append(paths, path)
		case d.Type()&fs.ModeSymlink != 0:
			h.links++
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the folder of receipts: %w", err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("invalid --from: the folder %s holds no receipt (NAME%s)", dir, client.ReceiptSuffix)
	}
	type read struct {
		r   *receipt.Receipt
		ev  *receipt.Evidence
		v   *receipt.Verdict
		err error
	}
	err = inOrder(ctx, len(paths), func(_ context.Context, i int) read {
		r, ev, err := client.ReadReceiptFor(h.verifier, paths[i])
		if err != nil {
			return read{err: err}
		}
		return read{r, ev, h.verifier.Verify(r, ev, nil), nil}
	}, func(got read, _ bool) error {
		if got.err != nil {
			return got.err
		}
		var marks []*receipt.Receipt
		if got.ev != nil {
			marks = got.ev.TimeMarks
		}
		return h.add(got.r, got.v, marks)
	})
	if err != nil {
		return nil, err
	}
	return h, h.addTrust(t)
}

// addTrust takes the receipts of a trust folder, whose authority statements belong
// to the trial.
func (h *holdings) addTrust(t *receipt.Trust) error {
	files := t.Files()
	for _, path := range sortedNames(files) {
		name, ok := strings.CutSuffix(path, client.ReceiptSuffix)
		if !ok || !strings.HasPrefix(path, "authority/") {
			continue
		}
		r, err := receipt.Parse(files[path])
		if err != nil {
			return fmt.Errorf("the trust folder's %s: %w", path, err)
		}
		var ev *receipt.Evidence
		var marks []*receipt.Receipt
		if text, ok := files[name+client.EvidenceSuffix]; ok {
			if ev, err = h.verifier.Evidence(text); err != nil {
				return fmt.Errorf("the trust folder's %s: %w", name+client.EvidenceSuffix, err)
			}
			marks = ev.TimeMarks
		}
		if err := h.add(r, h.verifier.Verify(r, ev, nil), marks); err != nil {
			return err
		}
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// add takes a statement whose receipt holds.
func (h *holdings) add(r *receipt.Receipt, v *receipt.Verdict, marks []*receipt.Receipt) error {
	if err := client.InLog(v); err != nil {
		h.refused = append(h.refused, fmt.Sprintf("entry %d: %v", r.Index, err))
		return nil
	}
	if err := h.see(r.Checkpoint); err != nil {
		return err
	}
	st := v.Statement
	switch {
	case st.Predicate.Kind == trial.KindTimeMark:
		return h.addMark(r)
	case st.ID != h.trust.Charter && st.Predicate.Charter != h.trust.Charter:
		h.others++
		return nil
	}
	if first, ok := h.statements[r.Index]; ok && first.ID != st.ID {
		return fmt.Errorf("%w: the receipts hold two statements of entry %d", client.ErrForked, r.Index)
	}
	if _, known := h.statements[r.Index]; v.LogTime.IsZero() && !known {
		h.untimed[r.Index] = true
	} else if !v.LogTime.IsZero() {
		delete(h.untimed, r.Index)
	}
	h.statements[r.Index] = st
	for _, m := range marks {
		if err := h.addMark(m); err != nil {
			return err
		}
	}
	return nil
}

func (h *holdings) addMark(r *receipt.Receipt) error {
	if h.marks[r.Index] != nil {
		return nil
	}
	v := h.verifier.Verify(r, nil, nil)
	if err := client.InLog(v); err != nil {
		return fmt.Errorf("the time mark of entry %d: %w", r.Index, err)
	}
	if v.Statement.Predicate.Kind != trial.KindTimeMark || v.Signer == nil {
		return fmt.Errorf("%w: entry %d is no time mark of this notary", client.ErrReceipt, r.Index)
	}
	h.marks[r.Index], h.sorted = v.Statement, nil
	return nil
}

// see keeps the largest checkpoint.
func (h *holdings) see(c receipt.Checkpoint) error {
	if h.newest.Size == c.Size && h.newest.Root != c.Root && c.Size > 0 {
		return fmt.Errorf("%w: two receipts prove different trees of %d entries", client.ErrForked, c.Size)
	}
	if c.Size > h.newest.Size {
		h.newest = c
	}
	return nil
}

// heldBy fetches what the notary shows of the trial up to its newest checkpoint,
// and checks all of it.
func (a *app) heldBy(ctx context.Context, c *connection) (*holdings, error) {
	at, _, err := c.Checkpoint(ctx, c.trust)
	if err != nil {
		return nil, err
	}
	h, err := heldAuthority(ctx, c)
	if err != nil {
		return nil, err
	}
	ids, err := listedBelow(ctx, c, at.Size)
	if err != nil {
		return nil, err
	}
	type fetched struct {
		d   *client.Disclosed
		err error
	}
	fetcher := c.Fetcher(c.trust)
	progress, done := a.counter(len(ids), "fetching")
	defer done()
	err = inOrder(ctx, len(ids), func(ctx context.Context, i int) fetched {
		d, err := fetcher.Disclosed(ctx, ids[i])
		return fetched{d, err}
	}, func(f fetched, _ bool) error {
		progress()
		if f.err != nil {
			return f.err
		}
		r, err := receipt.Parse(f.d.Bundle)
		if err != nil {
			return err
		}
		return h.add(r, f.d.Verdict, f.d.TimeMarks)
	})
	if err != nil {
		return nil, err
	}
	// What came since is left out, so that all of it is at one position.
	h.newest = at
	t, err := c.Trial(ctx, c.trust.Charter.String(), at.Size)
	if err != nil {
		return nil, err
	}
	h.partial = !t.GetView().GetWhole()
	for index := range h.statements {
		if index >= at.Size {
			delete(h.statements, index)
		}
	}
	h.later = func(ctx context.Context, below uint64) (uint64, *trial.Statement, error) {
		r, err := c.TimeMark(ctx, c.trust, below)
		if refused, ok := errors.AsType[*client.Refused](err); ok && refused.Reason == reasonNotFound {
			return 0, nil, nil
		}
		if err != nil {
			return 0, nil, err
		}
		return r.Index, r.Verdict.Statement, nil
	}
	return h, nil
}

// heldAuthority begins with the authority statements of the trial. Everybody's view
// has all of them, which a list need not show. What the folder at hand holds counts
// too, so that nothing is forgotten.
func heldAuthority(ctx context.Context, c *connection) (*holdings, error) {
	fresh, err := c.FetchTrust(ctx, c.trust.Charter.String())
	if err == nil {
		err = client.SameAnchors(c.trust, fresh)
	}
	if err != nil {
		return nil, err
	}
	h := newHoldings(fresh)
	return h, errors.Join(h.addTrust(fresh), h.addTrust(c.trust))
}

// listedBelow returns the statements that the notary lists below a size of the log.
func listedBelow(ctx context.Context, c *connection, size uint64) ([]trial.ID, error) {
	var ids []trial.ID
	for s, err := range c.List(ctx, client.Query{Trial: c.trust.Charter.String()}) {
		if err != nil {
			return nil, err
		}
		id, err := trial.ParseID(s.GetStatementId())
		if err != nil {
			return nil, fmt.Errorf("the notary's list: %w", err)
		}
		if s.GetLogIndex() < size {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// reasonNotFound is what the notary answers where there is no time mark yet.
const reasonNotFound = trial.Reason("NOT_FOUND")

// markTime returns what a time mark says.
func markTime(st *trial.Statement) time.Time {
	if b, ok := st.Predicate.Body.(*trial.TimeMarkBody); ok {
		return b.Time
	}
	return time.Time{}
}

// before returns the log time of an index: that of the last known mark before it.
func (h *holdings) before(index uint64) time.Time {
	indexes := h.indexes()
	i, _ := slices.BinarySearch(indexes, index)
	if i == 0 {
		return time.Time{}
	}
	return markTime(h.marks[indexes[i-1]])
}

func (h *holdings) indexes() []uint64 {
	if len(h.sorted) != len(h.marks) {
		h.sorted = make([]uint64, 0, len(h.marks))
		for i := range h.marks {
			h.sorted = append(h.sorted, i)
		}
		slices.Sort(h.sorted)
	}
	return h.sorted
}

// passing returns the first time mark above an index and below another that is at
// or after due; ok is false for none. Of a folder it is the first that is known.
func (h *holdings) passing(ctx context.Context, above, below uint64, due time.Time) (l trial.Logged, ok bool, err error) {
	indexes := h.indexes()
	from, _ := slices.BinarySearch(indexes, above+1)
	for _, i := range indexes[from:] {
		if i >= below {
			break
		}
		if m := h.marks[i]; !markTime(m).Before(due) {
			l, ok = trial.Logged{Statement: m, Index: i, Time: markTime(m)}, true
			below = i
			break
		}
		above = i
	}
	if h.later == nil {
		return l, ok, nil
	}
	// Between above and below there may be marks that nothing of this trial has to
	// do with.
	for above+1 < below {
		middle := above + (below-above)/2
		index, st, err := h.later(ctx, middle+1)
		switch {
		case err != nil:
			return l, false, err
		case st == nil || index <= above || markTime(st).Before(due):
			above = middle
		default:
			l, ok = trial.Logged{Statement: st, Index: index, Time: markTime(st)}, true
			below = index
		}
	}
	return l, ok, nil
}

// logged returns the statements in log order, at their places.
func (h *holdings) logged() []trial.Logged {
	out := make([]trial.Logged, 0, len(h.statements))
	for i, st := range h.statements {
		out = append(out, trial.Logged{Statement: st, Index: i, Time: h.before(i)})
	}
	slices.SortFunc(out, func(a, b trial.Logged) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

// missing counts the authority statements that the notary's signed list of the
// trust folder names and that are not at hand.
func (h *holdings) missing() (int, error) {
	list, err := asOfList(h.trust)
	if err != nil || list == nil {
		return 0, err
	}
	n := 0
	held := map[trial.ID]bool{}
	for _, st := range h.statements {
		held[st.ID] = true
	}
	for _, id := range list.Authority {
		if !held[id] {
			n++
		}
	}
	return n, nil
}

// asOfList reads the notary's signed list, nil where there is none.
func asOfList(t *receipt.Trust) (*trial.AsOf, error) {
	text, ok := t.Files()["authority/as-of.json"]
	if !ok {
		return nil, nil //nolint:nilnil // no list is no error
	}
	env, err := trial.ParseAsOfEnvelope(bytes.Clone(text))
	if err != nil {
		return nil, fmt.Errorf("the trust folder's list: %w", err)
	}
	list, err := trial.ParseAsOf(env, t.Notary)
	if err != nil {
		return nil, fmt.Errorf("the trust folder's list: %w", err)
	}
	return list, nil
}
