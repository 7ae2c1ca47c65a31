package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// maxCompared bounds the files of a folder that are compared cell by cell: where
// more differ, the folder is another one.
const maxCompared = 20

// comparison says where a file differs from what was notarized.
type comparison struct {
	Name     string `json:"name"` // as the statement has it
	Original string `json:"original"`
	// Why says why it was not compared.
	Why  string      `json:"why,omitzero"`
	Diff *diffResult `json:"diff,omitzero"`
}

// check refuses --original where it cannot be told what it belongs to.
func (o *verifyOptions) check(paths []string) error {
	if o.limit < 1 {
		return fmt.Errorf("invalid --limit: got %d, want at least 1", o.limit)
	}
	if _, err := dataset.EncodingName(o.encoding); err != nil {
		return fmt.Errorf("invalid --encoding: %w", err)
	}
	if o.original == "" {
		return nil
	}
	info, err := os.Stat(o.original)
	switch {
	case err != nil:
		return fmt.Errorf("invalid --original %s: %s", o.original, pathReason(err))
	case len(paths) == 0:
		return errors.New("invalid --original: want a PATH to compare with it")
	case info.IsDir():
		return nil
	case len(paths) > 1:
		return errors.New("invalid --original: got several PATHs and one file, want the folder with their originals")
	}
	if now, err := os.Stat(paths[0]); err == nil && now.IsDir() {
		return fmt.Errorf("invalid --original %s: got a file, want the folder that %s was", o.original, paths[0])
	}
	return nil
}

// compare says where files that differ from what was notarized do so. verify
// judges what is given for an original.
func (v *verification) compare(ctx context.Context, h *hashed, verify func(receipt.File) *receipt.Verdict) ([]*comparison, error) {
	var out []*comparison
	for i, f := range h.files {
		if res := verify(f).Files[0]; res.Outcome == receipt.Identical || res.Outcome == receipt.NotNotarized {
			continue
		}
		c := &comparison{Name: f.Name, Original: v.o.original}
		if out = append(out, c); len(out) > maxCompared {
			c.Original, c.Why = "", fmt.Sprintf("more than %d files differ: compare each by notary diff", maxCompared)
			return out, nil
		}
		if info, err := os.Stat(c.Original); err == nil && info.IsDir() {
			c.Original = filepath.Join(c.Original, filepath.FromSlash(f.Name))
		}
		old, err := client.HashAsIs(ctx, c.Original, nil)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			c.Why = err.Error()
			continue
		}
		// The same name, so that its bytes alone are judged.
		f.SHA256, f.Size, f.Table, f.Audit = old.SHA256, uint64(old.Size), nil, nil
		if res := verify(f).Files[0]; res.Outcome != receipt.Identical {
			c.Why = "it is not what was notarized: its SHA-256 is another"
			continue
		}
		if c.Diff, err = compareFiles(ctx, diffOptions{limit: v.o.limit, encoding: h.encoding, encodingB: first(v.o.encoding, h.encoding)}, c.Original, h.paths[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *comparison) print(w io.Writer) {
	if c.Why != "" {
		fmt.Fprintf(w, "  %s is not compared with its original %s\n    %s\n", c.Name, c.Original, c.Why)
		return
	}
	fmt.Fprintf(w, "  %s, compared with %s, which was notarized\n", c.Name, c.Original)
	var text bytes.Buffer
	c.Diff.print(&text)
	for line := range bytes.Lines(text.Bytes()) {
		fmt.Fprintf(w, "    %s", line)
	}
}
