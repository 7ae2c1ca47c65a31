package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
)

// rebuildOptions are the flags of `notaryd rebuild`.
type rebuildOptions struct {
	config, out, checkpoint string
	from, receipts          []string
}

func rebuildCommand(stdout io.Writer) *cobra.Command {
	var o rebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild --config FILE --out NEW.db",
		Short: "make a new database from statements and log, while no server runs",
		Long: "rebuild makes a new database from the log and from every statement that can be\n" +
			"read from the configured database, from older copies of it (--from) and from\n" +
			"receipts with their evidence (--receipts). Each statement is verified against its\n" +
			"log entry, and everything that lists select by is made anew. Log, high-water mark\n" +
			"and the sources are only read. It exits with 1 and names the entries whose\n" +
			"statements no source has.\n\n" +
			"The high-water mark is taken from --checkpoint, or else from store.markPath, or\n" +
			"else from the configured database, and the log must reproduce it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := LoadConfig(o.config)
			if err != nil {
				return usageError{err}
			}
			return o.run(cmd.Context(), c, stdout)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "notaryd.yaml", "the server's configuration")
	f.StringVar(&o.out, "out", "", "the new database; it must not exist")
	f.StringArrayVar(&o.from, "from", nil, "an older copy of the database; may be repeated")
	f.StringArrayVar(&o.receipts, "receipts", nil, "a folder with receipts and their evidence; may be repeated")
	f.StringVar(&o.checkpoint, "checkpoint", "", "the newest checkpoint that anyone holds, where no high-water mark is left")
	must(cmd.MarkFlagRequired("out"))
	return cmd
}

// sources are where statements come from, the first one's counting.
type sources struct {
	databases []*store.Salvage
	primary   *store.Salvage // the configured database, or nil
	receipts  map[receipt.Hash]*notary.Salvaged
}

func (o *rebuildOptions) run(ctx context.Context, c *Config, stdout io.Writer) (err error) {
	p := &parts{config: c}
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	if p.lock, err = store.Lock(c.Store.Path); err != nil {
		return err
	}
	src, err := o.open(ctx, c, stdout)
	defer func() { err = errors.Join(err, src.close()) }()
	if err != nil {
		return err
	}
	settings, mark, err := o.openLog(ctx, p, src)
	if err != nil {
		return err
	}
	if err := store.Create(o.out); err != nil {
		return err
	}
	report, err := o.fill(ctx, p, settings, src, mark, stdout)
	if err == nil {
		_, err = fmt.Fprintf(stdout, "wrote %d statements of %d log entries, and %d without an entry, to %s; the high-water mark is %d entries\n",
			report.Statements, report.Entries, report.Pending, o.out, mark.Size)
	}
	if err != nil {
		if p.store != nil {
			err = errors.Join(err, p.store.Close()) // which removes its write-ahead log
		}
		return errors.Join(err, lostIndexes(report), store.Remove(o.out))
	}
	for _, problem := range src.problems() {
		_, _ = fmt.Fprintln(stdout, "not read:", problem)
	}
	return nil
}

// open reads all sources. A configured database that cannot be opened at all is
// said and left out.
func (o *rebuildOptions) open(ctx context.Context, c *Config, stdout io.Writer) (*sources, error) {
	src := &sources{receipts: make(map[receipt.Hash]*notary.Salvaged)}
	primary, err := store.OpenSalvage(ctx, c.Store.Path)
	if err != nil {
		_, _ = fmt.Fprintf(stdout, "the configured database is left out: %v\n", err)
	} else {
		src.primary, src.databases = primary, append(src.databases, primary)
	}
	for _, path := range o.from {
		older, err := store.OpenSalvage(ctx, path)
		if err != nil {
			return src, err
		}
		src.databases = append(src.databases, older)
	}
	for _, dir := range o.receipts {
		if err := src.readReceipts(dir); err != nil {
			return src, err
		}
	}
	for _, db := range src.databases {
		_, _ = fmt.Fprintf(stdout, "read %d statements from a database\n", db.Statements())
	}
	if len(o.receipts) > 0 {
		_, _ = fmt.Fprintf(stdout, "read %d statements from receipts\n", len(src.receipts))
	}
	return src, nil
}

// readReceipts takes every receipt below a folder, and those in its evidence: of
// the time marks and of the trial's authority.
func (src *sources) readReceipts(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, client.ReceiptSuffix) {
			return err
		}
		r, ev, err := client.ReadReceipt(path)
		if err != nil {
			return err
		}
		all := []*receipt.Receipt{r}
		if ev != nil {
			all = append(append(all, ev.Authority...), ev.TimeMarks...)
		}
		for _, r := range all {
			key, err := r.Key()
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			src.receipts[receipt.LeafHash(r.Entry)] = &notary.Salvaged{Envelope: *r.Envelope, SignerDER: key.DER}
		}
		return nil
	})
}

func (src *sources) find(ctx context.Context, leaf receipt.Hash) (*notary.Salvaged, error) {
	for _, db := range src.databases {
		if found, err := db.Find(ctx, leaf); !errors.Is(err, notary.ErrNotFound) {
			return found, err
		}
	}
	if found, ok := src.receipts[leaf]; ok {
		return found, nil
	}
	return nil, notary.ErrNotFound
}

// copyFirst copies from the first database that gives all of it. An older copy may
// bring back a user that was removed since, so it is said.
func (src *sources) copyFirst(what string, copied func(*store.Salvage) error, stdout io.Writer) {
	for _, from := range src.databases {
		err := copied(from)
		if err == nil && from != src.primary {
			_, _ = fmt.Fprintf(stdout, "%s were copied from an older database: look through them\n", what)
		}
		if err == nil {
			return
		}
		from.Problems = append(from.Problems, what+": "+err.Error())
	}
	_, _ = fmt.Fprintf(stdout, "%s were not copied: make them again\n", what)
}

func (src *sources) problems() []string {
	var all []string
	for _, db := range src.databases {
		all = append(all, db.Problems...)
	}
	return all
}

func (src *sources) close() error {
	var errs []error
	for _, db := range src.databases {
		errs = append(errs, db.Close())
	}
	return errors.Join(errs...)
}

// openLog opens the log for reading under the mark that is to be the new
// database's: a log that does not reproduce it is refused, as at a start.
func (o *rebuildOptions) openLog(ctx context.Context, p *parts, src *sources) (notary.Config, notary.Mark, error) {
	settings, config, err := p.keys(tesseralog.Config{ReadOnly: true})
	if err != nil {
		return settings, notary.Mark{}, err
	}
	mark, err := o.mark(ctx, p.config, settings.LogKey, src)
	if err != nil {
		return settings, mark, err
	}
	config.Dir, config.Marks = p.config.Log.Dir, fixedMark(mark)
	if p.log, err = tesseralog.Open(ctx, config); err != nil {
		return settings, mark, fmt.Errorf("log in %s: %w", config.Dir, err)
	}
	settings.Log = p.log
	return settings, mark, nil
}

func (o *rebuildOptions) mark(ctx context.Context, c *Config, key receipt.LogKey, src *sources) (notary.Mark, error) {
	switch {
	case o.checkpoint != "":
		text, err := os.ReadFile(o.checkpoint)
		if err != nil {
			return notary.Mark{}, err
		}
		opened, err := receipt.OpenCheckpoint(text, key)
		if err != nil {
			return notary.Mark{}, fmt.Errorf("%s: %w", o.checkpoint, err)
		}
		return notary.Mark{Size: opened.Size, Root: opened.Root}, nil
	case c.Store.MarkPath != "":
		second, err := store.OpenFileMark(c.Store.MarkPath)
		if err != nil {
			return notary.Mark{}, err
		}
		mark, _, err := second.LoadMark(ctx)
		return mark, err
	case src.primary == nil:
		return notary.Mark{}, errors.New("no high-water mark is left: give the newest checkpoint that anyone holds (--checkpoint)")
	}
	mark, ok, err := src.primary.Mark(ctx)
	if err != nil || !ok {
		return mark, errors.Join(errors.New("the database holds no high-water mark: give the newest checkpoint that anyone holds (--checkpoint)"), err)
	}
	return mark, nil
}

// fill makes the new database and compares it with the log as `notaryd check` does.
func (o *rebuildOptions) fill(ctx context.Context, p *parts, settings notary.Config, src *sources, mark notary.Mark, stdout io.Writer) (notary.RebuildReport, error) {
	var err error
	if p.store, err = store.Open(o.out); err != nil {
		return notary.RebuildReport{}, err
	}
	settings.Store = p.store
	var pending []*notary.Salvaged
	if src.primary != nil {
		pending = src.primary.Pending(ctx)
	}
	report, err := notary.Rebuild(ctx, settings, src.find, pending)
	if err != nil {
		return report, err
	}
	for what, copied := range map[string]func(*store.Salvage) error{
		"users":         func(from *store.Salvage) error { return from.CopyUsers(ctx, p.store) },
		"refused calls": func(from *store.Salvage) error { return from.CopyRefusals(ctx, p.store) },
	} {
		src.copyFirst(what, copied, stdout)
	}
	if err := p.store.AdvanceMark(ctx, notary.Mark{}, mark); err != nil {
		return report, err
	}
	if _, err := notary.Examine(ctx, settings); err != nil {
		return report, fmt.Errorf("checking the new database: %w", err)
	}
	return report, p.store.TruncateLog(ctx)
}

// lostIndexes names the entries that no source has a statement of.
func lostIndexes(report notary.RebuildReport) error {
	if report.Lost == 0 {
		return nil
	}
	more := ""
	if report.Lost > uint64(len(report.LostAt)) {
		more = " and more"
	}
	return fmt.Errorf("their indexes: %v%s; ask for the receipts of those statements (--receipts)", report.LostAt, more)
}

// fixedMark is a high-water mark that only a reader is shown.
type fixedMark notary.Mark

func (m fixedMark) LoadMark(context.Context) (notary.Mark, bool, error) {
	return notary.Mark(m), notary.Mark(m) != notary.Mark{}, nil
}

func (fixedMark) AdvanceMark(context.Context, notary.Mark, notary.Mark) error {
	return errors.New("the high-water mark is only read")
}
