package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

type submitOptions struct {
	predicate       predicateFlags
	resume, discard bool
}

func (a *app) submitCommand() *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use:   "submit --kind K [flags] [PATH…]",
		Short: "Notarize files and folders",
		Long: `submit hashes each PATH on this machine, signs one statement for it and writes
PATH.receipt.json and PATH.evidence.json beside it, or into --receipts DIR. Beside the hash of
a SAS transport or Dataset-JSON file stands the content digest of its table, where it has one:
the same data in another file can be told by it. A folder is one
statement that lists its files; above 1,000 files it is one statement about a manifest,
which is written to PATH.manifest.json (mode 0600): keep it, it proves single files.

Before anything is signed, files of a blinded trial are looked at for what could tell who gets
which treatment. What is found is a warning, or refused where the charter says so.

Each signed statement is stored before it is sent. If there is no answer, run the same
command again, or "notary submit --resume": the same statement is sent, never signed twice.
A PATH whose receipt is there already, for the same content, is not submitted again.

Acts that are about no file, such as version-effective, database-unlock or closeout, take no
PATH and write KIND-ID.receipt.json. A randomisation-seal, a consent-manifest, a
consent-withdrawal and the unblinding of one participant take a PATH and --salt FILE, and
send nothing but a salted commitment to the file.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.resume || o.discard {
				return a.resume(cmd.Context(), o.discard, args)
			}
			return a.submit(cmd.Context(), &o.predicate, args)
		},
	}
	f := cmd.Flags()
	o.predicate.add(f)
	a.actFlags(f)
	f.StringVar(&a.flags.Site, "site", "", "the site `S` that it is about; - for the whole trial (default)")
	f.BoolVar(&o.resume, "resume", false, "send what was signed earlier and not answered")
	f.BoolVar(&o.discard, "discard", false, "forget what was signed earlier and not answered")
	return cmd
}

// submit hashes, signs, stores, sends.
func (a *app) submit(ctx context.Context, flags *predicateFlags, paths []string) error {
	if err := checkZone(flags.zoneName()); err != nil {
		return err
	}
	file, err := a.readPredicate(flags.file)
	if err != nil {
		return err
	}
	kind := trial.Kind(first(flags.kind, string(file.Kind)))
	switch name, committed := kind.FixedSubject(); {
	case kind == "":
		return errNoKind
	case len(paths) > 0 && a.actOut != "":
		return errors.New("invalid --out: the receipt of a PATH is PATH.receipt.json; want --receipts DIR")
	case len(paths) > 0:
	case name != "" && !committed, kind == trial.KindVerification:
		return a.submitAbout(ctx, flags, file)
	default:
		return errors.New("nothing to submit: want at least one PATH")
	}
	key, err := a.readKey(a.cfg.Key, "--key")
	if err != nil {
		return err
	}
	c, err := a.dialTrial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	base, err := a.draft(ctx, c, key, flags, file)
	if err != nil {
		return err
	}
	if aboutNoFile(base) {
		return fmt.Errorf("invalid PATH: a %s is about no file", kind)
	}
	inputs, err := a.prepare(ctx, base, flags, paths)
	if err != nil {
		return err
	}
	results := make([]submitResult, len(inputs))
	guard, err := a.newGuard(c, base, flags.unblinded)
	if err != nil {
		return err
	}
	s := &submission{app: a, c: c, results: results, verifier: receipt.NewVerifier(c.trust), guard: guard}
	if err := s.sign(ctx, base, key, flags.zoneName(), inputs); err != nil {
		return err
	}
	err = s.send(ctx)
	if printErr := a.printSubmitted(results); printErr != nil {
		return printErr
	}
	return submitStatus(results, err)
}

// prepare hashes what the statements are about, and takes from it what each says.
func (a *app) prepare(ctx context.Context, base *client.Draft, flags *predicateFlags, paths []string) ([]*input, error) {
	encoding, err := readAs(base)
	if err != nil {
		return nil, err
	}
	inputs, err := a.readInputs(ctx, paths, encoding)
	if err != nil {
		return nil, err
	}
	if encoding.Encoding != "" && !forEncoding(base, inputs) {
		return nil, errors.New("invalid --encoding: no PATH is a SAS transport file, and other tables say their encoding")
	}
	if err := a.auditTrails(ctx, base, inputs); err != nil {
		return nil, err
	}
	if err := a.ipEvents(base, inputs); err != nil {
		return nil, err
	}
	return inputs, a.commit(base, flags.body.salt, inputs)
}

// draft makes what all statements of one submit have in common.
func (a *app) draft(ctx context.Context, c *connection, key *signer, flags *predicateFlags, file *predicateFile) (*client.Draft, error) {
	book, err := client.ReadAuthority(c.trust)
	if err != nil {
		return nil, err
	}
	role := trial.Role(first(flags.role, string(file.Role)))
	d, err := book.NewDraft(c.trust, c.state, key.pub, role)
	if err != nil {
		// The key may have been enrolled since the folder was fetched.
		if book, err = a.refreshTrust(ctx, c); err != nil {
			return nil, err
		}
		if d, err = book.NewDraft(c.trust, c.state, key.pub, role); err != nil {
			return nil, err
		}
	}
	if err := a.fill(d, flags, file); err != nil {
		return nil, err
	}
	return d, completeData(d, book)
}

// submission is one run of submit.
type submission struct {
	*app
	c *connection
	// mu owns results: workers fill in their own element at any time.
	mu      sync.Mutex
	results []submitResult
	batch   *client.Batch
	// verifier checks the receipts of earlier submissions.
	verifier *receipt.Verifier
	// index finds the result of a statement.
	index map[trial.ID]int
	// people may endorse what waits for it.
	people people
	// guard looks into files first; nil where nothing is to be guarded.
	guard *guard
	// watch is set where files that change get a further statement; see watchSubmit.
	watch *watchSubmit
}

// sign stores a signed statement for every input that has none. What an earlier
// run signed and did not get answered is taken over with its bytes.
func (s *submission) sign(ctx context.Context, base *client.Draft, key *signer, zone string, inputs []*input) error {
	pending, err := s.c.state.Pending()
	if err != nil {
		return err
	}
	s.index = map[trial.ID]int{}
	known := unanswered(pending)
	var items []client.Item
	for i, in := range inputs {
		d := in.draft(base)
		r := &s.results[i]
		r.Path, r.Receipt, r.Kind, r.Site = in.path, in.name+client.ReceiptSuffix, d.Predicate.Kind, d.Predicate.Site
		r.content(in)
		if err := s.guard.check(ctx, &d, in, r); err != nil {
			if s.watch != nil && ctx.Err() == nil {
				s.watch.cannot(i, err)
				continue
			}
			return errors.Join(err, releaseAll(pending))
		}
		done, err := s.already(&d, in, r)
		if err != nil {
			return errors.Join(err, releaseAll(pending))
		}
		if done {
			continue
		}
		s.warnParticipants(&d)
		env := earlier(&d, known)
		if env == nil {
			env, err = d.Sign(key.priv, s.now(), zone)
			if err != nil && s.watch != nil {
				s.watch.cannot(i, err)
				continue
			}
			if err != nil {
				return errors.Join(fmt.Errorf("%s: %w", in.path, err), releaseAll(pending))
			}
		}
		if err := in.writeManifest(r); err != nil {
			return errors.Join(err, releaseAll(pending))
		}
		s.index[client.StatementID(env)] = i
		items = append(items, client.Item{Envelope: env, Note: in.name})
	}
	if len(items) > 0 {
		if s.batch, err = s.c.state.Begin(items); err != nil {
			return errors.Join(err, releaseAll(pending))
		}
	}
	return s.takeOver(pending)
}

// takeOver drops from earlier batches what this one sends now, and tells about
// the rest. It runs after the new batch is stored: nothing is ever in neither.
func (s *submission) takeOver(pending []*client.Batch) error {
	left := 0
	for _, b := range pending {
		for _, it := range b.Unanswered() {
			if _, ours := s.index[client.StatementID(it.Envelope)]; !ours {
				left++
			} else if err := b.Done(client.StatementID(it.Envelope)); err != nil {
				return errors.Join(err, releaseAll(pending))
			}
		}
	}
	if left > 0 && s.watch == nil {
		s.notef("%s of earlier commands without an answer yet; run: notary submit --resume", count(left, "statement", "statements"))
	}
	return releaseAll(pending)
}

// already tells whether the receipt of an earlier submission stands for this
// draft. A receipt of anything else is never overwritten.
func (s *submission) already(d *client.Draft, in *input, r *submitResult) (bool, error) {
	if s.watch != nil {
		return false, nil // looked at before it came here
	}
	path := in.name + client.ReceiptSuffix
	old, ev, err := client.ReadReceipt(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !d.Same(old.Envelope) {
		return false, fmt.Errorf("cannot write %s: it exists and is the receipt of another statement; move it away or use --receipts", path)
	}
	v := s.verifier.Verify(old, ev, nil)
	if !v.Verified {
		return false, fmt.Errorf("%w: %s: %s", client.ErrReceipt, path, v.Summary)
	}
	r.Status, r.StatementID, r.LogIndex = statusAlready, client.StatementID(old.Envelope).String(), &v.Index
	if in.manifest != nil {
		r.Manifest = in.manifestPath()
	}
	return true, nil
}

// unanswered finds the statements of earlier runs by their subjects.
func unanswered(pending []*client.Batch) map[string][]*trial.Envelope {
	known := map[string][]*trial.Envelope{}
	for _, b := range pending {
		for _, it := range b.Unanswered() {
			if st, err := trial.ParseStatement(it.Envelope.Payload); err == nil {
				k := subjectsKey(st.Subjects)
				known[k] = append(known[k], it.Envelope)
			}
		}
	}
	return known
}

func subjectsKey(subjects []trial.Subject) string {
	var k strings.Builder
	for _, s := range subjects {
		digests := s.Digests.Text()
		fmt.Fprintf(&k, "%q %s\n", s.Name, digests[trial.DigestSHA256]+digests[trial.DigestManifest])
	}
	return k.String()
}

// earlier returns the statement that an earlier run signed for this draft.
func earlier(d *client.Draft, known map[string][]*trial.Envelope) *trial.Envelope {
	for _, env := range known[subjectsKey(d.Subjects)] {
		if d.Same(env) {
			return env
		}
	}
	return nil
}

func releaseAll(batches []*client.Batch) error {
	var err error
	for _, b := range batches {
		err = errors.Join(err, b.Release())
	}
	return err
}

// writeManifest stores the manifest before the statement about it is sent.
func (in *input) writeManifest(r *submitResult) error {
	if in.manifest == nil {
		return nil
	}
	r.Manifest = in.manifestPath()
	if _, err := os.Lstat(r.Manifest); err == nil {
		return nil // an earlier run wrote it: see earlierManifest
	}
	return client.WriteNew(r.Manifest, in.manifest.Marshal(), 0o600)
}

// send submits the batch and writes receipts as they come.
func (s *submission) send(ctx context.Context) error {
	if s.batch == nil {
		return nil
	}
	progress, done := s.counter(len(s.batch.Items), "submitting")
	err := s.c.SubmitBatch(ctx, s.c.trust, s.batch, func(it client.Item, r *client.Receipt, err error) error {
		defer progress()
		return s.answered(it, r, err)
	})
	done()
	return errors.Join(err, s.batch.Release())
}

func (s *submission) answered(it client.Item, r *client.Receipt, err error) error {
	var writeErr error
	if err == nil {
		if s.watch != nil {
			writeErr = s.watch.makeRoom(it.Note, r.StatementID)
		}
		if writeErr == nil {
			writeErr = os.MkdirAll(filepath.Dir(it.Note), 0o755)
		}
		if writeErr == nil {
			writeErr = r.WriteFiles(it.Note)
		}
		err = writeErr
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[client.StatementID(it.Envelope)]
	if !ok {
		return fmt.Errorf("invalid answer: got one for %s, want one of those sent", client.StatementID(it.Envelope))
	}
	res := &s.results[i]
	if s.watch != nil {
		defer func() { s.watch.answered(i, client.StatementID(it.Envelope), *res) }()
	}
	if err != nil {
		res.fail(err)
		return writeErr
	}
	n := newSubmitResult(res.Path, it.Note+client.ReceiptSuffix, r)
	n.Manifest, n.Format, n.Table, n.NoTable, n.Blinding = res.Manifest, res.Format, res.Table, res.NoTable, res.Blinding
	n.Waits = waitsFor(s.people.read(s.c.trust), r.Verdict.Statement, s.now())
	*res = n
	return nil
}
