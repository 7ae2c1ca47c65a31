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
	"time"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

type verifyOptions struct {
	receipt, manifest, proof string
	checks                   bool
	// original is what was notarized, to say where a file differs from it.
	original string
	limit    int
	encoding string
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify --trust DIR [PATH…]",
		Short: "Compare files with their receipts, offline",
		Long: `verify checks receipts against a trust folder and compares files with what was notarized.
It needs no network and no notary. Each PATH is a file or folder whose receipt lies beside
it (PATH.receipt.json) or is named by --receipt. Without a PATH the receipt alone is checked,
or with --receipts every receipt of that folder. Results come in the order of the inputs,
each as soon as it is known.

A file is "identical"; or "same data, different file", where its table has the content digest
that was notarized (labels and other metadata are not compared); or "data differ"; or "file
differs, contents not comparable", where a content digest is missing; or "not notarized".
An export of an audit trail is told from another by its records of the notarized day.

With --original OLD, the file or folder that was notarized, the variables, rows and cells in
which a table differs from it are listed, as "notary diff" does; OLD must be what the receipt
says was notarized.

Exit status: 0 everything holds, 1 something does not, 2 something could not be read.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.receipt, "receipt", "", "receipt `FILE` for every PATH (default: PATH.receipt.json)")
	f.StringVar(&o.manifest, "manifest", "", "manifest `FILE` of a folder that was notarized as one")
	f.StringVar(&o.proof, "proof", "", "proof `FILE` of a single file of such a folder")
	f.StringVar(&a.flags.Receipts, "receipts", "", "folder `DIR` in which the receipts lie")
	f.StringVar(&o.original, "original", "", "what was notarized, the `FILE` or folder: say where a table differs from it")
	f.StringVar(&o.encoding, "encoding", "", "`NAME` of the encoding of text in SAS transport files (default: what the receipt says)")
	f.IntVar(&o.limit, "limit", dataset.DefaultMaxListed, "with --original: list at most `N` cells, rows and differences of metadata, each")
	f.BoolVar(&o.checks, "checks", false, "print every check, also those that passed")
	return cmd
}

// verifyResult is the outcome for one PATH.
type verifyResult struct {
	Path     string `json:"path,omitzero"`
	Verified bool   `json:"verified"`
	// Verdict is the verdict on the file in its fixed words; empty where no file
	// was compared.
	Verdict     receipt.FileOutcome  `json:"verdict,omitzero"`
	Summary     string               `json:"summary"`
	Receipt     string               `json:"receipt,omitzero"`
	StatementID string               `json:"statementId,omitzero"`
	Kind        trial.Kind           `json:"kind,omitzero"`
	Site        string               `json:"site,omitzero"`
	Version     string               `json:"version,omitzero"`
	LogIndex    *uint64              `json:"logIndex,omitzero"`
	LogTime     time.Time            `json:"logTime,omitzero"`
	WitnessTime time.Time            `json:"witnessTime,omitzero"`
	KnownUpTo   uint64               `json:"authorityKnownUpTo,omitzero"`
	Signer      *receipt.Signer      `json:"signer,omitzero"`
	Files       []receipt.FileResult `json:"files,omitzero"`
	Missing     []string             `json:"missing,omitzero"`
	// NoTable says why tables that differ have no content digest.
	NoTable []string `json:"noContentDigest,omitzero"`
	// Compared says where files differ from the originals that were named.
	Compared      []*comparison   `json:"compared,omitzero"`
	Checks        []receipt.Check `json:"checks,omitzero"`
	Unreadable    bool            `json:"unreadable,omitzero"`
	hasManyInside bool
}

func (a *app) verify(ctx context.Context, o verifyOptions, paths []string) error {
	alone := len(paths) == 0
	if alone && o.receipt == "" && a.flags.Receipts == "" {
		return errors.New("nothing to verify: want a PATH, --receipt or --receipts")
	}
	if err := o.check(paths); err != nil {
		return err
	}
	trust, err := a.verifyTrust()
	if err != nil {
		return err
	}
	v := &verification{app: a, o: o, verifier: receipt.NewVerifier(trust)}
	work := func(ctx context.Context, progress client.Progress, i int) *verifyResult {
		return v.path(ctx, paths[i], progress)
	}
	switch {
	case len(paths) > 0:
	case o.receipt != "":
		paths = []string{o.receipt}
	default:
		if paths, err = receiptsIn(a.flags.Receipts); err != nil {
			return err
		}
	}
	if alone {
		work = func(_ context.Context, _ client.Progress, i int) *verifyResult { return v.receiptAlone(paths[i]) }
	}
	progress, done := v.bar(sizeOf(paths, isTerminal(a.stderr)), "reading")
	defer done()
	out := a.resultList(func(w io.Writer, r *verifyResult) { r.print(w, o.checks) })
	var status verifyStatus
	err = inOrder(ctx, len(paths), func(ctx context.Context, i int) *verifyResult {
		return work(ctx, progress, i)
	}, func(r *verifyResult, more bool) error {
		status.add(r)
		return out.add(r, more)
	})
	if err := errors.Join(err, out.close()); err != nil {
		return err
	}
	return status.err()
}

// sizeOf adds up the sizes of files, if anybody looks at it.
func sizeOf(paths []string, wanted bool) (total int64) {
	if !wanted {
		return 0
	}
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			total += info.Size()
		}
	}
	return total
}

// receiptsIn lists the receipts of a folder, sorted by name.
func receiptsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder of receipts: %w", err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), client.ReceiptSuffix) && !e.IsDir() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("nothing to verify: the folder %s holds no receipt (NAME%s)", dir, client.ReceiptSuffix)
	}
	return paths, nil
}

// verifyStatus gathers the exit status. A negative verdict weighs more than an
// unreadable input, so that nobody mistakes one for the other.
type verifyStatus struct{ negative, unreadable bool }

func (s *verifyStatus) add(r *verifyResult) {
	s.unreadable = s.unreadable || r.Unreadable
	s.negative = s.negative || !r.Unreadable && !r.Verified
}

func (s *verifyStatus) err() error {
	switch {
	case s.negative:
		return errNegative
	case s.unreadable:
		return errUnreadable
	}
	return nil
}

// verifyTrust reads the trust folder that the user named. One that a notary.yaml
// in the working folder names does not count: the working folder may be what is
// to be verified.
func (a *app) verifyTrust() (*receipt.Trust, error) {
	dir := a.flags.Trust
	if dir == "" && a.configPath != "" {
		dir = a.cfg.Trust
	}
	if dir == "" {
		return nil, errors.New("missing --trust: want the trial's trust folder")
	}
	return client.ReadTrust(dir)
}

// verification is one run of verify.
type verification struct {
	*app
	o        verifyOptions
	verifier *receipt.Verifier
}

func (v *verification) receiptAlone(path string) *verifyResult {
	r, ev, err := client.ReadReceiptFor(v.verifier, path)
	if err != nil {
		return &verifyResult{Receipt: path, Summary: err.Error(), Unreadable: true}
	}
	return newVerifyResult("", path, v.verifier.Verify(r, ev, nil))
}

// path verifies one file or folder.
func (v *verification) path(ctx context.Context, path string, progress client.Progress) *verifyResult {
	info, err := os.Stat(path)
	if err != nil {
		return &verifyResult{Path: path, Summary: "the file cannot be read: " + pathReason(err), Unreadable: true}
	}
	receiptPath := v.o.receipt
	if receiptPath == "" {
		receiptPath = v.receiptName(path) + client.ReceiptSuffix
	}
	r, ev, err := client.ReadReceiptFor(v.verifier, receiptPath)
	if errors.Is(err, fs.ErrNotExist) && v.o.receipt == "" {
		return &verifyResult{
			Path: path, Verdict: receipt.NotNotarized,
			Summary: fmt.Sprintf("%s: there is no receipt %s", receipt.NotNotarized, receiptPath),
		}
	}
	if err != nil {
		return &verifyResult{Path: path, Receipt: receiptPath, Summary: err.Error(), Unreadable: true}
	}
	h, err := v.files(ctx, path, info.IsDir(), r, receiptPath, progress)
	if err != nil {
		return &verifyResult{Path: path, Receipt: receiptPath, Summary: err.Error(), Unreadable: true}
	}
	res := newVerifyResult(path, receiptPath, v.verifier.Verify(r, ev, h.files))
	res.NoTable = h.noTable
	if v.o.original != "" {
		if res.Compared, err = v.compare(ctx, h, func(f receipt.File) *receipt.Verdict {
			return v.verifier.Verify(r, ev, []receipt.File{f})
		}); err != nil {
			return &verifyResult{Path: path, Receipt: receiptPath, Summary: err.Error(), Unreadable: true}
		}
	}
	if info.IsDir() {
		res.wholeFolder(h.gone, h.extra)
	}
	return res
}

// receiptName is where the receipt of path lies, without its suffix.
func (a *app) receiptName(path string) string {
	path = filepath.Clean(path)
	if a.cfg.Receipts == "" {
		return path
	}
	return filepath.Join(a.cfg.Receipts, filepath.Base(path))
}
