package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

type verifyOptions struct {
	receipt, manifest, proof string
	checks                   bool
}

func (a *app) verifyCommand() *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify --trust DIR [PATH…]",
		Short: "Compare files with their receipts, offline",
		Long: `verify checks receipts against a trust folder and compares files with what was notarized.
It needs no network and no notary. Each PATH is a file or folder whose receipt lies beside
it (PATH.receipt.json) or is named by --receipt. Without a PATH the receipt alone is checked.

A file is "identical", or "file differs, contents not comparable", or "not notarized".
Exit status: 0 everything holds, 1 something does not, 2 something could not be read.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.verify(cmd.Context(), o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.receipt, "receipt", "", "receipt `FILE` for every PATH (default: PATH.receipt.json)")
	f.StringVar(&o.manifest, "manifest", "", "manifest `FILE` of a folder that was notarized as one")
	f.StringVar(&o.proof, "proof", "", "proof `FILE` of a single file of such a folder")
	f.StringVar(&a.flags.Receipts, "receipts", "", "folder `DIR` in which the receipts lie")
	f.BoolVar(&o.checks, "checks", false, "print every check, also those that passed")
	return cmd
}

// verifyResult is the outcome for one PATH.
type verifyResult struct {
	Path     string `json:"path,omitzero"`
	Verified bool   `json:"verified"`
	// Verdict is the verdict on the file in its fixed words; empty where no file
	// was compared.
	Verdict       receipt.FileOutcome  `json:"verdict,omitzero"`
	Summary       string               `json:"summary"`
	Receipt       string               `json:"receipt,omitzero"`
	StatementID   string               `json:"statementId,omitzero"`
	Kind          trial.Kind           `json:"kind,omitzero"`
	Site          string               `json:"site,omitzero"`
	Version       string               `json:"version,omitzero"`
	LogIndex      *uint64              `json:"logIndex,omitzero"`
	LogTime       time.Time            `json:"logTime,omitzero"`
	WitnessTime   time.Time            `json:"witnessTime,omitzero"`
	KnownUpTo     uint64               `json:"authorityKnownUpTo,omitzero"`
	Signer        *receipt.Signer      `json:"signer,omitzero"`
	Files         []receipt.FileResult `json:"files,omitzero"`
	Missing       []string             `json:"missing,omitzero"`
	Checks        []receipt.Check      `json:"checks,omitzero"`
	Unreadable    bool                 `json:"unreadable,omitzero"`
	hasManyInside bool
}

func (a *app) verify(ctx context.Context, o verifyOptions, paths []string) error {
	if len(paths) == 0 && o.receipt == "" {
		return errors.New("nothing to verify: want a PATH or --receipt")
	}
	trust, err := a.verifyTrust()
	if err != nil {
		return err
	}
	v := &verification{app: a, o: o, verifier: receipt.NewVerifier(trust)}
	var results []*verifyResult
	if len(paths) == 0 {
		results = append(results, v.receiptAlone(o.receipt))
	} else if results, err = v.all(ctx, paths); err != nil {
		return err
	}
	if err := a.print(struct {
		Results []*verifyResult `json:"results"`
	}{results}, func(w io.Writer) {
		for _, r := range results {
			r.print(w, o.checks)
		}
	}); err != nil {
		return err
	}
	return verifyStatus(results)
}

// verifyStatus: a negative verdict weighs more than an unreadable input, so that
// nobody mistakes one for the other.
func verifyStatus(results []*verifyResult) error {
	unreadable := 0
	for _, r := range results {
		if r.Unreadable {
			unreadable++
		} else if !r.Verified {
			return errNegative
		}
	}
	if unreadable > 0 {
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

// all verifies every path on all cores, in the order given.
func (v *verification) all(ctx context.Context, paths []string) ([]*verifyResult, error) {
	var total int64
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			total += info.Size()
		}
	}
	progress, done := v.bar(total, "reading")
	defer done()
	results := make([]*verifyResult, len(paths))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range paths {
		g.Go(func() error {
			results[i] = v.path(ctx, p, progress)
			return ctx.Err()
		})
	}
	return results, g.Wait()
}

func (v *verification) receiptAlone(path string) *verifyResult {
	r, ev, err := client.ReadReceipt(path)
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
	r, ev, err := client.ReadReceipt(receiptPath)
	if errors.Is(err, fs.ErrNotExist) && v.o.receipt == "" {
		return &verifyResult{
			Path: path, Verdict: receipt.NotNotarized,
			Summary: fmt.Sprintf("%s: there is no receipt %s", receipt.NotNotarized, receiptPath),
		}
	}
	if err != nil {
		return &verifyResult{Path: path, Receipt: receiptPath, Summary: err.Error(), Unreadable: true}
	}
	files, gone, extra, err := v.files(ctx, path, info.IsDir(), r, receiptPath, progress)
	if err != nil {
		return &verifyResult{Path: path, Receipt: receiptPath, Summary: err.Error(), Unreadable: true}
	}
	res := newVerifyResult(path, receiptPath, v.verifier.Verify(r, ev, files))
	if info.IsDir() {
		res.wholeFolder(gone, extra)
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

// files hashes what path holds and names it as the statement does; gone is what
// the statement lists of a folder and the folder no longer has, extra what the
// folder has and the statement does not list.
func (v *verification) files(ctx context.Context, path string, isDir bool, r *receipt.Receipt, receiptPath string, progress client.Progress) (files []receipt.File, gone, extra []string, err error) {
	st, err := r.Statement()
	if err != nil {
		st = nil // the verdict says so
	}
	hashes, err := hashNow(ctx, path, isDir, progress)
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := v.findManifest(st, receiptPath)
	if err != nil {
		return nil, nil, nil, err
	}
	var listed []string
	switch {
	case m != nil:
		for _, f := range m.Files() {
			listed = append(listed, f.Path)
		}
	case st != nil:
		for _, s := range st.Subjects {
			listed = append(listed, s.Name)
		}
	}
	files = make([]receipt.File, 0, len(hashes))
	for _, h := range hashes {
		f, err := v.file(path, isDir, h, st, m)
		if err != nil {
			return nil, nil, nil, err
		}
		files = append(files, f)
	}
	if !isDir {
		return files, nil, nil, nil
	}
	for _, f := range files {
		if st != nil && !slices.Contains(listed, f.Name) {
			extra = append(extra, f.Name)
		}
	}
	return files, missing(listed, files), extra, nil
}

func hashNow(ctx context.Context, path string, isDir bool, progress client.Progress) ([]client.FileHash, error) {
	if isDir {
		return client.HashFolderAsIs(ctx, path, progress)
	}
	h, err := client.HashAsIs(ctx, path, progress)
	return []client.FileHash{h}, err
}

// missing are the listed names that no file has.
func missing(listed []string, files []receipt.File) []string {
	held := map[string]bool{}
	for _, f := range files {
		held[f.Name] = true
	}
	return slices.DeleteFunc(listed, func(name string) bool { return held[name] })
}

// file names one file as the statement does, with its proof where the statement
// has a manifest.
func (v *verification) file(path string, isDir bool, h client.FileHash, st *trial.Statement, m *trial.Manifest) (receipt.File, error) {
	f := receipt.File{Name: h.Name, SHA256: h.SHA256, Size: uint64(h.Size)}
	switch {
	case v.o.proof != "":
		text, err := os.ReadFile(v.o.proof)
		if err != nil {
			return f, fmt.Errorf("reading the proof: %w", err)
		}
		if f.Proof, err = trial.ParseManifestProof(text); err != nil {
			return f, fmt.Errorf("reading the proof %s: %w", v.o.proof, err)
		}
		f.Name = f.Proof.Path()
	case m != nil:
		if !isDir {
			f.Name = nameInside(path, m.Has, f.Name)
		}
		if !m.Has(f.Name) {
			return f, nil // the verdict says: not notarized
		}
		text, err := m.ProveFile(f.Name)
		if err != nil {
			return f, fmt.Errorf("proving %s: %w", f.Name, err)
		}
		if f.Proof, err = trial.ParseManifestProof(text); err != nil {
			return f, fmt.Errorf("proving %s: %w", f.Name, err)
		}
	case !isDir && st != nil:
		f.Name = subjectName(st, path, h)
	}
	return f, nil
}

// findManifest reads the manifest that the user named, or that lies beside the
// receipt of a folder that was notarized as one.
func (v *verification) findManifest(st *trial.Statement, receiptPath string) (*trial.Manifest, error) {
	path := v.o.manifest
	if path == "" {
		name, ok := strings.CutSuffix(receiptPath, client.ReceiptSuffix)
		if !ok || v.o.proof != "" || st == nil || st.Predicate.Manifest == nil {
			return nil, nil //nolint:nilnil // no manifest is no error
		}
		path = name + client.ManifestSuffix
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("it was notarized as one manifest of %d files, and %s is not there: name the manifest with --manifest, or one file's proof with --proof",
				st.Predicate.Manifest.Files, path)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	m, err := trial.ParseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", path, err)
	}
	return m, nil
}

// subjectName is the name under which the statement lists a file: the longest
// end of its path that is one, else that of the one subject with its digest,
// since a file may have been renamed, else that of the only subject.
func subjectName(st *trial.Statement, path string, h client.FileHash) string {
	names := map[string]bool{}
	same := ""
	for _, s := range st.Subjects {
		names[s.Name] = true
		if s.Digests[trial.DigestSHA256] == fmt.Sprintf("%x", h.SHA256) {
			same = s.Name
		}
	}
	name := nameInside(path, func(n string) bool { return names[n] }, "")
	switch {
	case name != "":
		return name
	case same != "":
		return same
	case len(st.Subjects) == 1:
		return st.Subjects[0].Name
	}
	return h.Name
}

// nameInside returns the longest end of path, in whole elements, that has.
func nameInside(path string, has func(string) bool, otherwise string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		abs = path
	}
	parts := strings.Split(filepath.ToSlash(abs), "/")
	for i := range parts {
		if name := strings.Join(parts[i:], "/"); name != "" && has(name) {
			return name
		}
	}
	return otherwise
}

func pathReason(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
