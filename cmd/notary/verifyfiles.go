package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// hashed is what a path holds, named as the statement does.
type hashed struct {
	files []receipt.File
	paths []string // of files
	// gone is what the statement lists of a folder and the folder no longer has,
	// extra what the folder has and the statement does not list.
	gone, extra []string
	// noTable says why what would be compared has no content digest.
	noTable []string
	// encoding is how the statement says that its tables were read.
	encoding string
}

// files hashes what path holds.
func (v *verification) files(ctx context.Context, path string, isDir bool, r *receipt.Receipt, receiptPath string, progress client.Progress) (*hashed, error) {
	st, err := r.Statement()
	if err != nil {
		st = nil // the verdict says so
	}
	hashes, err := hashNow(ctx, path, isDir, progress)
	if err != nil {
		return nil, err
	}
	m, err := v.findManifest(st, receiptPath)
	if err != nil {
		return nil, err
	}
	out := &hashed{files: make([]receipt.File, 0, len(hashes)), encoding: recordedEncoding(st)}
	for _, h := range hashes {
		f, err := v.file(path, isDir, h, st, m)
		if err != nil {
			return nil, err
		}
		if err := v.contents(ctx, &f, h.Path, st, out); err != nil {
			return nil, err
		}
		out.files, out.paths = append(out.files, f), append(out.paths, h.Path)
	}
	if !isDir {
		return out, nil
	}
	listed := listedNames(st, m)
	known := map[string]bool{}
	for _, name := range listed {
		known[name] = true
	}
	for _, f := range out.files {
		if st != nil && !known[f.Name] {
			out.extra = append(out.extra, f.Name)
		}
	}
	out.gone = missing(listed, out.files)
	return out, nil
}

// listedNames are the names of the files that were notarized.
func listedNames(st *trial.Statement, m *trial.Manifest) (names []string) {
	switch {
	case m != nil:
		for _, f := range m.Files() {
			names = append(names, f.Path)
		}
	case st != nil:
		for _, s := range st.Subjects {
			names = append(names, s.Name)
		}
	}
	return names
}

// contents computes what tells the same data from others, where the bytes are not
// the notarized ones.
func (v *verification) contents(ctx context.Context, f *receipt.File, path string, st *trial.Statement, out *hashed) error {
	if body, ok := mayHoldTrail(f, st); ok {
		t, _, err := v.readTrail(ctx, path, body.Date)
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			out.noTable = append(out.noTable, err.Error())
		case t.Records == 0:
			out.noTable = append(out.noTable, fmt.Sprintf("%s: it has no audit records of %s", path, body.Date))
		default:
			f.Audit = &t.Root
		}
	}
	if st != nil {
		if body, ok := st.Predicate.Body.(*trial.RevealBody); ok {
			c, err := commitTo(body.Salt, client.FileHash{Path: path, SHA256: f.SHA256})
			if err != nil {
				return err
			}
			f.Commitment = &c
		}
	}
	if !mayHoldTable(f, st) {
		return nil
	}
	t, err := client.TableAsIs(ctx, path, dataset.Options{Encoding: first(v.o.encoding, out.encoding)})
	if err != nil {
		return err
	}
	if f.Table = t.Digest; t.Err != nil {
		out.noTable = append(out.noTable, fmt.Sprintf("%s: %v", path, t.Err))
	}
	return nil
}

// mayHoldTrail tells whether the root over audit records can change the verdict on
// a file.
func mayHoldTrail(f *receipt.File, st *trial.Statement) (*trial.AuditTrailBody, bool) {
	if st == nil || f.Proof != nil {
		return nil, false
	}
	body, ok := st.Predicate.Body.(*trial.AuditTrailBody)
	for _, s := range st.Subjects {
		ok = ok && !s.Digests.Is(trial.DigestSHA256, f.SHA256)
	}
	return body, ok
}

func hashNow(ctx context.Context, path string, isDir bool, progress client.Progress) ([]client.FileHash, error) {
	if isDir {
		return client.HashFolderAsIs(ctx, path, progress)
	}
	h, err := client.HashAsIs(ctx, path, progress)
	return []client.FileHash{h}, err
}

// mayHoldTable tells whether a content digest can change the verdict on a file:
// its bytes are not the notarized ones, and a table was notarized.
func mayHoldTable(f *receipt.File, st *trial.Statement) bool {
	if f.Proof != nil {
		_, ok := f.Proof.Digests().Get(trial.DigestTable)
		return ok && f.Proof.SHA256() != f.SHA256
	}
	if st == nil {
		return false
	}
	table := false
	for _, s := range st.Subjects {
		if s.Name == f.Name && s.Digests.Is(trial.DigestSHA256, f.SHA256) {
			return false
		}
		_, ok := s.Digests.Get(trial.DigestTable)
		table = table || ok
	}
	return table
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
		var err error
		if f.Proof, err = m.Prove(f.Name); err != nil {
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
		if s.Digests.Is(trial.DigestSHA256, h.SHA256) {
			same = s.Name
		}
	}
	name := nameInside(path, func(n string) bool { return names[n] }, "")
	switch {
	case name != "":
		return name
	case same != "":
		return same
	}
	// An audit trail has its root beside the file.
	only := ""
	for _, s := range st.Subjects {
		if _, file := s.Digests.Get(trial.DigestSHA256); file && only != "" {
			return h.Name
		} else if file || len(st.Subjects) == 1 {
			only = s.Name
		}
	}
	return first(only, h.Name)
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
