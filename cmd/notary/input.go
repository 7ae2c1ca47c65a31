package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// maxListed is the largest folder whose files a statement lists; a larger one
// becomes one subject with a manifest.
const maxListed = 1000

// input is one PATH of submit, hashed.
type input struct {
	path string
	// name is where its receipt goes, without suffix.
	name     string
	files    []client.FileHash
	subjects []trial.Subject
	manifest *trial.Manifest // nil where the statement lists the files
	body     any             // of its own, nil where all inputs have the same
	format   dataset.Format  // of a single file, by its content
	table    *[32]byte       // its content digest, nil where there is none
	noTable  error           // why a single file with a table has no content digest
	// supersedes is the statement that this one replaces, and reason why; zero for
	// what all inputs name.
	supersedes trial.ID
	reason     string
}

// draft is the statement about this input.
func (in *input) draft(base *client.Draft) client.Draft {
	d := *base
	d.Subjects = in.subjects
	if in.body != nil {
		d.Predicate.Body = in.body
	}
	if in.manifest != nil {
		d.Predicate.Manifest = &trial.ManifestInfo{Files: uint64(len(in.files))}
	}
	if !in.supersedes.IsZero() {
		d.Predicate.Supersedes, d.Predicate.Reason = in.supersedes, in.reason
	}
	return d
}

// readInputs hashes every path on all cores. Whatever cannot be notarized ends
// it before anything is signed.
func (a *app) readInputs(ctx context.Context, paths []string, o dataset.Options) ([]*input, error) {
	inputs := make([]*input, 0, len(paths))
	names := map[string]string{}
	var all []client.FileHash
	var total int64
	for _, path := range paths {
		in := &input{path: path, name: a.receiptName(path)}
		if other, twice := names[in.name]; twice {
			return nil, fmt.Errorf("invalid inputs: %s and %s would have the same receipt %s", other, path, in.name+client.ReceiptSuffix)
		}
		names[in.name] = path
		var err error
		if in.files, err = listInput(path); err != nil {
			return nil, err
		}
		for _, f := range in.files {
			total += f.Size
		}
		all = append(all, in.files...)
		inputs = append(inputs, in)
	}
	progress, done := a.bar(total, "hashing")
	err := client.HashAllWith(ctx, all, o, progress)
	done()
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		n := len(in.files)
		in.files, all = all[:n:n], all[n:]
		if err := in.finish(); err != nil {
			return nil, err
		}
	}
	a.noteTables(inputs)
	a.notePackages(inputs)
	return inputs, nil
}

func listInput(path string) ([]client.FileHash, error) {
	info, err := os.Lstat(path)
	if err == nil && info.IsDir() {
		return client.ListFolder(path)
	}
	h := client.FileHash{Name: filepath.Base(path), Path: path}
	if err == nil {
		h.Size = info.Size()
	}
	return []client.FileHash{h}, nil // hashing names what is wrong with it
}

// finish makes the subjects, once everything is hashed.
func (in *input) finish() error {
	info, err := os.Lstat(in.path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.path, err)
	}
	if info.IsDir() {
		if err := client.UnchangedFolder(in.path, in.files); err != nil {
			return err
		}
	} else {
		t := in.files[0].Table
		in.format, in.table, in.noTable = t.Format, t.Digest, noTable(in.files[0])
	}
	if len(in.files) <= maxListed {
		for _, f := range in.files {
			in.subjects = append(in.subjects, f.Subject())
		}
		return nil
	}
	return in.list()
}

// list puts the files into a manifest. One that an earlier, broken submission
// left is used again if it lists the same files: its secret is in the statement
// that may be logged already.
func (in *input) list() error {
	m, err := in.earlierManifest()
	if err != nil {
		return err
	}
	if m == nil {
		if m, err = client.NewManifest(in.files); err != nil {
			return err
		}
	}
	in.manifest = m
	in.subjects = []trial.Subject{m.Subject(filepath.Base(filepath.Clean(in.path)))}
	return nil
}

func (in *input) manifestPath() string { return in.name + client.ManifestSuffix }

func (in *input) earlierManifest() (*trial.Manifest, error) {
	text, err := os.ReadFile(in.manifestPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none is no error
	}
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	m, err := trial.ParseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", in.manifestPath(), err)
	}
	files := m.Files()
	same := len(files) == len(in.files)
	for i := 0; same && i < len(files); i++ {
		f := in.files[i]
		same = files[i].Path == f.Name && files[i].Size == uint64(f.Size) && files[i].Digests.Is(trial.DigestSHA256, f.SHA256)
	}
	if !same {
		return nil, fmt.Errorf("cannot write %s: it exists and lists other files; move it away", in.manifestPath())
	}
	return m, nil
}

// tableSuffixes are the names of files that hold nothing but a table.
var tableSuffixes = map[string]string{
	".xpt": "SAS transport", ".dsjc": "compressed Dataset-JSON", ".ndjson": "Dataset-JSON",
}

// noTable says why a file has no content digest, nil where it has one or need have
// none. Where the first bytes are damaged, only the name tells that there should be
// a table.
func noTable(f client.FileHash) error {
	what, named := tableSuffixes[strings.ToLower(filepath.Ext(f.Path))]
	if f.Table.Err != nil || f.Table.Format != dataset.FormatUnknown || !named {
		return f.Table.Err
	}
	return fmt.Errorf("by its name it is a %s file, and it does not begin like one", what)
}

// noteTables tells which tables are notarized by their bytes alone, and why.
func (a *app) noteTables(inputs []*input) {
	for _, in := range inputs {
		for _, f := range in.files {
			if err := noTable(f); err != nil {
				a.notef("warning: %s: no content digest, the file is notarized by its bytes alone: %v", f.Path, err)
			}
		}
	}
}
