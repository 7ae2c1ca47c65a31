package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// Times of watch. Nothing of a file tells that it is complete: Windows gives a
// copy its size and its old time of change before the content is there. So it is
// looked at until nothing has changed for a while.
const (
	defaultSettle = 10 * time.Second
	defaultPoll   = 5 * time.Second
	firstRetry    = time.Second
	lastRetry     = time.Minute
)

type watchOptions struct {
	predicate              predicateFlags
	settle, poll           time.Duration
	include, exclude       []string
	recursive, once        bool
	retryRefused, nameFrom bool
	supersede              bool
}

func (a *app) watchCommand() *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch [--kind K] [flags] FOLDER",
		Short: "Notarize the files that appear in a folder",
		Long: `watch looks at FOLDER every few seconds and notarizes each file in it once, as "notary submit"
does with its flags: one statement a file, of the kind dataset unless --kind says otherwise.
The receipt goes beside the file, or into --receipts DIR under the file's path in FOLDER. No
file is moved or changed.

A file is taken when its size and its times of change have stayed the same for --settle, and
only if they still are after it was hashed. Names of files that are not complete (.part, .tmp,
.crdownload, ~ …), hidden files and the receipts themselves are left out. Symbolic links are
not followed.

A file whose content changes gets a further statement; NAME.receipt.json is then the newest
one's, and the older receipt becomes NAME.ID.receipt.json. A file is known by its path: a copy
under another name is another file.

What is signed is stored before it is sent, so that after a crash or while the notary cannot be
reached the same statement is sent again. A refusal is told once; the file needs a person.
A line is printed for each event, with --output json as one JSON object.

Exit status: 0 stopped, or with --once everything in the folder is notarized or not complete
yet; 1 with --once something was refused or not answered, or it was stopped before the end;
2 wrong usage, or with --once something cannot be read.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.watch(cmd.Context(), &o, args[0]) },
	}
	f := cmd.Flags()
	o.predicate.add(f)
	f.StringVar(&a.flags.Key, "key", "", "your signing key `FILE`")
	f.StringVar(&a.flags.Receipts, "receipts", "", "folder `DIR` for the receipts (default: beside each file)")
	f.StringVar(&a.flags.Site, "site", "", "the site `S` that it is about; - for the whole trial (default)")
	f.DurationVar(&o.settle, "settle", defaultSettle, "how long a file must not change before it is notarized")
	f.DurationVar(&o.poll, "poll", defaultPoll, "how often the folder is looked at")
	f.StringArrayVar(&o.include, "include", nil, "only files that match `GLOB`, such as *.xpt; repeat it for several")
	f.StringArrayVar(&o.exclude, "exclude", nil, "no files that match `GLOB`; repeat it for several")
	f.BoolVar(&o.recursive, "recursive", false, "subfolders too")
	f.BoolVar(&o.once, "once", false, "take what is there and end, for cron")
	f.BoolVar(&o.retryRefused, "retry-refused", false, "submit once more what was refused")
	f.BoolVar(&o.nameFrom, "dataset-from-name", false, "data: the dataset is the file's name without its suffix, in upper case")
	f.BoolVar(&o.supersede, "supersede", false, "a changed file's statement replaces the one before; needs --reason")
	return cmd
}

// check refuses what can only be a mistake.
func (o *watchOptions) check(kind trial.Kind) error {
	switch name, _ := kind.FixedSubject(); {
	case name != "":
		return fmt.Errorf("invalid --kind: a %s is not about files that appear in a folder", kind)
	case o.settle < 0 || o.poll <= 0:
		return fmt.Errorf("invalid --settle %s or --poll %s: want a time that is not negative, and one above 0", o.settle, o.poll)
	case o.predicate.body.salt != "":
		return errors.New("invalid --salt: watch notarizes files as they are; use notary submit")
	case o.predicate.supersedes != "":
		return errors.New("invalid --supersedes: every file would replace the same statement; want --supersede")
	case o.supersede != (o.predicate.reason != ""):
		return errors.New("invalid --supersede or --reason: want both, or neither")
	case o.nameFrom && kind != trial.KindDataset && kind != trial.KindDerivedDataset:
		return fmt.Errorf("invalid --dataset-from-name: a %s has no dataset", kind)
	}
	if _, err := dataset.EncodingName(*o.predicate.body.text["encoding"]); err != nil {
		return fmt.Errorf("invalid --encoding: %w", err)
	}
	for _, glob := range append(o.include, o.exclude...) {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("invalid --include or --exclude: got %q, want a pattern such as *.xpt", glob)
		}
	}
	return nil
}

// watcher is one run of watch. Its fields belong to the goroutine of run.
type watcher struct {
	*app
	o        *watchOptions
	file     *predicateFile
	root     string // absolute
	receipts string // absolute: where the receipts' tree begins
	key      *signer
	c        *connection
	lock     *client.Lock // of the folder, nil where it cannot be written to
	own      *client.Lock // of the index
	index    *watchIndex
	// seen are files that are not in the index as they are now.
	seen map[string]*sighting
	// mine are folders and files that belong to notary itself.
	mine  []os.FileInfo
	round int // the number of the scan
	// resumed tells that nothing that was signed is without an answer.
	resumed bool
	gone    bool
	settled bool // with --once: what was new had its time
	counts  watchCounts
	trouble string // the last one told, until something succeeds
}

// watch notarizes what appears in a folder until the context ends.
func (a *app) watch(ctx context.Context, o *watchOptions, folder string) (err error) {
	if err := checkZone(o.predicate.zoneName()); err != nil {
		return err
	}
	file, err := a.readPredicate(o.predicate.file)
	if err != nil {
		return err
	}
	o.predicate.kind = first(o.predicate.kind, string(file.Kind), string(trial.KindDataset))
	if err := o.check(trial.Kind(o.predicate.kind)); err != nil {
		return err
	}
	w := &watcher{app: a, o: o, file: file, seen: map[string]*sighting{}}
	if w.key, err = a.readKey(a.cfg.Key, "--key"); err != nil {
		return err
	}
	if err := w.locate(folder); err != nil {
		return err
	}
	if w.c, err = a.dial(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.c.Close()) }()
	if err := w.openTrust(ctx); err != nil {
		return err
	}
	if err := w.open(); err != nil {
		return errors.Join(err, w.close())
	}
	err = w.run(ctx)
	return errors.Join(err, w.close())
}

// locate finds folder and receipts, as they are to be known for good.
func (w *watcher) locate(folder string) error {
	info, err := os.Lstat(folder)
	switch {
	case err != nil:
		return fmt.Errorf("invalid FOLDER %s: %s", folder, pathReason(err))
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("invalid FOLDER %s: it is a symbolic link; name the folder that it points to", folder)
	case !info.IsDir():
		return fmt.Errorf("invalid FOLDER %s: it is no folder", folder)
	}
	if w.root, err = filepath.Abs(folder); err != nil {
		return fmt.Errorf("invalid FOLDER %s: %w", folder, err)
	}
	w.receipts = w.root
	if w.cfg.Receipts != "" {
		if w.receipts, err = filepath.Abs(w.cfg.Receipts); err != nil {
			return fmt.Errorf("invalid --receipts %s: %w", w.cfg.Receipts, err)
		}
	}
	return nil
}

// openTrust waits for the notary where the trial's trust folder must come from it.
func (w *watcher) openTrust(ctx context.Context) error {
	for n := 0; ; n++ {
		err := w.app.openTrust(ctx, w.c)
		if err == nil || w.o.once || !errors.Is(err, client.ErrUnanswered) {
			return err
		}
		w.troubled(err)
		if !pause(ctx, retryAfter(n)) {
			return err
		}
	}
}

// open takes the locks and reads what earlier runs left.
func (w *watcher) open() error {
	stateDir := filepath.Join(w.c.state.Dir(), "watch")
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return fmt.Errorf("making the state folder: %w", err)
	}
	name := filepath.Join(stateDir, watchName(w.root, w.c.trust.Charter))
	var err error
	if w.own, err = client.TryLock(name + ".lock"); err != nil {
		return w.locked(err)
	}
	if err := w.lockFolder(); err != nil {
		return err
	}
	if w.index, err = openWatchIndex(name + ".jsonl"); err != nil {
		return err
	}
	if w.o.retryRefused {
		w.index.forgetRefused()
	}
	// Better known before anything is submitted.
	if err := mayWrite(w.receipts); err != nil {
		return err
	}
	for _, p := range []string{
		w.c.state.Dir(), w.c.trustDir, w.cfg.Key, w.cfg.Token, w.cfg.CA, w.cfg.Cert, w.cfg.CertKey, first(w.configPath, configName),
		w.o.predicate.file, w.receipts,
	} {
		if info, err := os.Stat(p); p != "" && p != w.root && err == nil {
			w.mine = append(w.mine, info)
		}
	}
	return nil
}

// lockName is the lock in the folder: two watchers with different state folders
// would not see each other otherwise.
const lockName = ".notary-watch.lock"

func (w *watcher) lockFolder() (err error) {
	if w.lock, err = client.TryLock(filepath.Join(w.root, lockName)); err == nil {
		return nil
	}
	if errors.Is(err, client.ErrLocked) {
		return w.locked(err)
	}
	w.notef("warning: %v: whether somebody else watches this folder from another account or machine cannot be told", err)
	return nil
}

func (w *watcher) locked(err error) error {
	if errors.Is(err, client.ErrLocked) {
		return fmt.Errorf("%s is watched already: %w", w.root, err)
	}
	return err
}

func (w *watcher) close() error {
	var err error
	if w.index != nil {
		err = w.index.close()
	}
	for _, l := range []*client.Lock{w.lock, w.own} {
		if l != nil {
			err = errors.Join(err, l.Unlock())
		}
	}
	return err
}

// run looks at the folder until the context ends, or once.
func (w *watcher) run(ctx context.Context) error {
	w.tell(watchEvent{Event: eventWatching, Path: w.root})
	failures := 0
	for {
		err := w.sweep(ctx)
		if fatal(err) {
			return err
		}
		wait := w.o.poll
		switch {
		case ctx.Err() != nil:
			w.tell(watchEvent{Event: eventStopped, Message: w.counts.String()})
			if w.o.once {
				return errNegative // nobody looked at the rest
			}
			return nil
		case err != nil:
			w.troubled(err)
			wait = max(wait, retryAfter(failures))
			failures++
		default:
			w.better()
			failures = 0
		}
		if w.o.once && (err != nil || w.counts.Waiting == 0 || w.settled) {
			w.tell(watchEvent{Event: eventDone, Message: w.counts.String()})
			return w.status(err)
		}
		if w.o.once {
			wait, w.settled = w.o.settle, true
		}
		pause(ctx, wait)
	}
}

// fatal tells an error after which nobody should rely on this notary, or that
// trying again does not mend.
func fatal(err error) bool {
	for _, e := range []error{client.ErrReceipt, client.ErrRolledBack, client.ErrForked, client.ErrOtherAnchors, client.ErrLocked} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// sweep looks at the folder and notarizes what is ready.
func (w *watcher) sweep(ctx context.Context) error {
	if !w.resumed {
		if err := w.resumeOwn(ctx); err != nil {
			return err
		}
		w.resumed = true
	}
	ready, err := w.scan(ctx)
	if err != nil || w.gone {
		return err
	}
	for len(ready) > 0 && ctx.Err() == nil {
		n := portion(ready)
		if err := w.submit(ctx, ready[:n]); err != nil {
			w.resumed = false
			return errors.Join(err, w.index.sync())
		}
		ready = ready[n:]
	}
	return w.index.sync()
}

// Bounds of what is hashed before it is sent: a folder of large files must not
// wait for the last of them.
const (
	portionFiles = 500
	portionBytes = 1 << 30
)

func portion(ready []*sighting) int {
	var total int64
	for i, s := range ready {
		if total += s.size; i == portionFiles || i > 0 && total > portionBytes {
			return i
		}
	}
	return len(ready)
}

func retryAfter(n int) time.Duration { return min(firstRetry<<min(n, 10), lastRetry) }

// pause tells whether the time passed before the context ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
