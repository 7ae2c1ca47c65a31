package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// watchSubmit is what watch adds to a submission: what becomes of each file is
// told at once, and an older receipt is set aside.
type watchSubmit struct {
	w     *watcher
	files []watchFile // in the order of the results
	err   error       // of noting
}

// watchFile is what a statement is about.
type watchFile struct {
	rel string
	sum [32]byte
	// seen is the file as it was hashed in this run, nil for a statement of an earlier one.
	seen *sighting
}

// cannot is told of an input that cannot be signed.
func (s *watchSubmit) cannot(i int, err error) {
	f := s.files[i]
	if !errors.Is(err, errBlinding) {
		s.w.fail(f.seen, err.Error())
		return
	}
	// As a refusal of the notary's: trying again gives the same.
	s.w.counts.Refused++
	s.w.tell(watchEvent{Event: eventRefused, Path: f.rel, Message: err.Error()})
	s.err = errors.Join(s.err, s.w.note(f.seen, watched{sha256: f.sum, status: watchRefused}))
}

// answered is told of each result, one at a time.
func (s *watchSubmit) answered(i int, id trial.ID, r submitResult) {
	w, f := s.w, s.files[i]
	e := watchEvent{Event: r.Status, Path: f.rel, StatementID: id.String(), LogIndex: r.LogIndex, Receipt: r.Receipt, Message: r.Message, Reason: r.Reason}
	k := watched{sha256: f.sum, status: watchNotarized, id: id}
	switch r.Status {
	case statusNotarized, statusWitnesses:
		w.counts.Notarized++
	case statusRefused:
		k.status = watchRefused
		w.counts.Refused++
		e.StatementID, e.Receipt = "", ""
	default:
		return // told as trouble
	}
	w.better()
	w.tell(e)
	if f.seen != nil {
		s.err = errors.Join(s.err, w.note(f.seen, k))
	} else {
		// What the file is now is seen when it is hashed.
		w.index.files[f.rel] = k
	}
}

// makeRoom sets the receipt of a file's earlier content aside, under a name with
// its statement's id.
func (s *watchSubmit) makeRoom(name string, id trial.ID) error {
	// A folder that went away is not made anew: its files may be elsewhere.
	if _, err := os.Stat(s.w.receipts); err != nil {
		return fmt.Errorf("writing the receipt: %w", err)
	}
	// Where a network drive went away, the empty folder under it is there.
	if l := s.w.lock; l != nil && !l.Holds(filepath.Join(s.w.root, lockName)) {
		return fmt.Errorf("writing the receipt: %s is another folder than before", s.w.root)
	}
	old, _, err := client.ReadReceipt(name + client.ReceiptSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	was := client.StatementID(old.Envelope)
	if was == id {
		return nil
	}
	aside := kept(name, was)
	// The receipt last: until it has gone, all of this is done again after a crash.
	for _, suffix := range []string{client.EvidenceSuffix, client.ReceiptSuffix} {
		if err := os.Rename(name+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the earlier receipt: %w", err)
		}
	}
	return nil
}

// note remembers what was done about a file as it was seen.
func (w *watcher) note(s *sighting, k watched) error {
	delete(w.seen, s.rel)
	k.size, k.modified, k.changed = s.size, s.modified, s.mark.changed
	return w.index.put(s.rel, k)
}

// relReceipt is the path in the folder of the file whose receipt is name.
func (w *watcher) relReceipt(name string) string {
	rel, err := filepath.Rel(w.receipts, name)
	if err != nil {
		return name
	}
	return filepath.ToSlash(rel)
}

// resumeOwn sends again what this folder's watchers signed and got no answer for.
func (w *watcher) resumeOwn(ctx context.Context) error {
	pending, err := w.c.state.Pending()
	if err != nil {
		return err
	}
	for _, b := range pending {
		if err == nil && w.isOwn(b) {
			err = w.resumeBatch(ctx, b)
		}
		err = errors.Join(err, b.Release())
	}
	return err
}

// isOwn tells whether a batch is of this trial and its receipts belong here.
func (w *watcher) isOwn(b *client.Batch) bool {
	left := b.Unanswered()
	for _, it := range left {
		st, err := trial.ParseStatement(it.Envelope.Payload)
		if err != nil || st.Predicate.Charter != w.c.trust.Charter || !filepath.IsAbs(it.Note) {
			return false
		}
		if rel, err := filepath.Rel(w.receipts, it.Note); err != nil || !filepath.IsLocal(rel) {
			return false
		}
	}
	return len(left) > 0
}

func (w *watcher) resumeBatch(ctx context.Context, b *client.Batch) error {
	own := &watchSubmit{w: w}
	s := &submission{app: w.app, c: w.c, index: map[trial.ID]int{}, batch: b, watch: own}
	for _, it := range b.Unanswered() {
		f := watchFile{rel: w.relReceipt(it.Note)}
		if st, err := trial.ParseStatement(it.Envelope.Payload); err == nil {
			for _, subject := range st.Subjects {
				f.sum, _ = subject.Digests.Get(trial.DigestSHA256)
			}
		}
		id := client.StatementID(it.Envelope)
		s.index[id] = len(s.results)
		own.files = append(own.files, f)
		s.results = append(s.results, submitResult{Receipt: it.Note + client.ReceiptSuffix, StatementID: id.String()})
	}
	err := w.c.SubmitBatch(ctx, w.c.trust, b, s.answered)
	return errors.Join(err, own.err)
}

// submit hashes files, and notarizes those whose content is new.
func (w *watcher) submit(ctx context.Context, ready []*sighting) error {
	base, err := w.draft(ctx, w.c, w.key, &w.o.predicate, w.file)
	if err != nil {
		return err
	}
	encoding, err := readAs(base)
	if err != nil {
		return err
	}
	if ready = w.fit(ready); len(ready) == 0 {
		return nil
	}
	hashes, errs := w.hash(ctx, ready, encoding)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	verifier := receipt.NewVerifier(w.c.trust)
	var inputs []*input
	own := &watchSubmit{w: w}
	for i, s := range ready {
		if errs[i] != nil || !w.still(s) {
			w.unhashed(s, errs[i])
			continue
		}
		in := &input{path: w.path(s.rel), name: w.name(s.rel), files: hashes[i : i+1 : i+1]}
		done, err := w.known(verifier, s, in)
		if err == nil && !done {
			err = in.finish()
		}
		switch {
		case err != nil:
			w.fail(s, err.Error())
		case !done:
			inputs = append(inputs, in)
			own.files = append(own.files, watchFile{s.rel, hashes[i].SHA256, s})
		}
	}
	if len(inputs) == 0 {
		return nil
	}
	if w.o.supersede {
		base.Predicate.Reason = "" // it is that of files alone that replace one
	}
	w.noteTables(inputs)
	inputs = own.complete(ctx, base, inputs)
	if encoding.Encoding != "" {
		forEncoding(base, inputs)
	}
	s := &submission{app: w.app, c: w.c, results: make([]submitResult, len(inputs)), watch: own}
	if s.guard, err = w.newGuard(w.c, base, w.o.predicate.unblinded); err != nil {
		return err
	}
	if err := s.sign(ctx, base, w.key, w.o.predicate.zoneName(), inputs); err != nil {
		return err
	}
	err = s.send(ctx)
	return errors.Join(err, own.err)
}

// hash hashes files, each on its own: one that cannot be read stops no other.
func (w *watcher) hash(ctx context.Context, ready []*sighting, o dataset.Options) ([]client.FileHash, []error) {
	hashes, errs := make([]client.FileHash, len(ready)), make([]error, len(ready))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, s := range ready {
		g.Go(func() error {
			hashes[i], errs[i] = client.HashFileWith(ctx, w.path(s.rel), o, nil)
			return nil
		})
	}
	_ = g.Wait() // errors are each file's own
	return hashes, errs
}

// still tells whether a file is the one that had not changed for long enough: what
// was hashed may have come since.
func (w *watcher) still(s *sighting) bool {
	info, err := os.Lstat(w.path(s.rel))
	return err == nil && s.same(info)
}

// unhashed waits once more for a file that changes or has gone, and tells of any
// other that cannot be hashed.
func (w *watcher) unhashed(s *sighting, err error) {
	info, statErr := os.Lstat(w.path(s.rel))
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		delete(w.seen, s.rel)
	case statErr == nil && !s.same(info):
		w.sight(s.rel, info)
		w.counts.Waiting++
	case err == nil:
		w.counts.Waiting++ // it is looked at again
	default:
		w.fail(s, err.Error())
	}
}

// known tells whether a file is notarized as it is, or was refused as it is, and
// finds the statement that a new one follows.
func (w *watcher) known(v *receipt.Verifier, s *sighting, in *input) (bool, error) {
	h := in.files[0]
	k, ok := w.index.files[s.rel]
	if ok && k.sha256 == h.SHA256 {
		if k.status == watchRefused {
			w.counts.Refused++
		}
		return true, w.note(s, k)
	}
	if ok && k.status == watchNotarized {
		in.supersedes = k.id
	}
	old, ev, err := client.ReadReceipt(in.name + client.ReceiptSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		w.mayReplace(in)
		return false, nil
	}
	if err != nil {
		return false, err
	}
	st, err := old.Statement()
	if err != nil {
		return false, err
	}
	if st.Predicate.Charter != w.c.trust.Charter {
		in.supersedes = trial.ID{}
		return false, nil
	}
	in.supersedes = st.ID
	for _, subject := range st.Subjects {
		if !subject.Digests.Is(trial.DigestSHA256, h.SHA256) {
			continue
		}
		verdict := v.Verify(old, ev, nil)
		if err := client.Acceptable(verdict); err != nil {
			return false, fmt.Errorf("%s: %w", in.name+client.ReceiptSuffix, err)
		}
		w.counts.Already++
		w.tell(watchEvent{Event: eventAlready, Path: s.rel, StatementID: st.ID.String(), LogIndex: &verdict.Index, Receipt: in.name + client.ReceiptSuffix})
		return true, w.note(s, watched{sha256: h.SHA256, status: watchNotarized, id: st.ID})
	}
	w.mayReplace(in)
	return false, nil
}

// mayReplace drops what a statement would replace unless that was asked for.
func (w *watcher) mayReplace(in *input) {
	if !w.o.supersede {
		in.supersedes = trial.ID{}
	} else {
		in.reason = first(w.o.predicate.reason, w.file.Reason)
	}
}

// complete gives each input what its kind takes from the file; one that cannot be
// completed is told and left out.
func (s *watchSubmit) complete(ctx context.Context, base *client.Draft, inputs []*input) []*input {
	var complete []*input
	var files []watchFile
	for i, in := range inputs {
		if body, ok := base.Predicate.Body.(*trial.DataBody); ok && s.w.o.nameFrom {
			own := *body
			name := path.Base(s.files[i].rel)
			own.Dataset = strings.ToUpper(strings.TrimSuffix(name, path.Ext(name)))
			in.body = &own
		}
		err := s.w.auditTrails(ctx, base, []*input{in})
		if err == nil {
			err = s.w.ipEvents(base, []*input{in})
		}
		if err != nil {
			s.cannot(i, err)
			continue
		}
		complete, files = append(complete, in), append(files, s.files[i])
	}
	s.files = files
	return complete
}
