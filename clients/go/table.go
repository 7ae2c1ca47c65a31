package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// Table is the content digest of a file, or why it has none.
type Table struct {
	// Format is what the file is by its content, empty where that is not known.
	Format dataset.Format
	// Digest is tn-table-v1 of the table; nil where there is no table, or none
	// that can be digested.
	Digest *[32]byte
	// Err says why a file of a tabular format has no digest.
	Err error
}

// TableAsIs computes the content digest of a file as it is now. A file without a
// digest is no error; one that cannot be read is.
func TableAsIs(ctx context.Context, path string, o dataset.Options) (Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return Table{}, fmt.Errorf("reading %s: %w", path, reason(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Table{}, fmt.Errorf("reading %s: %w", path, reason(err))
	}
	t, err := readTable(ctx, f, info.Size(), o)
	if err != nil {
		return Table{}, fmt.Errorf("reading %s: %w", path, reason(err))
	}
	return t, nil
}

// readTable tells what a file is and digests its table. What is wrong in the
// file is part of the answer; the error is of reading.
func readTable(ctx context.Context, f io.ReaderAt, size int64, o dataset.Options) (Table, error) {
	format, err := detect(f, size)
	t := Table{Format: format}
	if err != nil || !format.Table() {
		return t, err
	}
	r, err := dataset.Open(io.NewSectionReader(f, 0, size), o)
	if err == nil {
		defer r.Close()
		t.Format = r.Meta().Format
		var res dataset.Result
		if res, err = dataset.Digest(ctx, r); err == nil {
			t.Digest = &res.Digest
			return t, nil
		}
	}
	if _, ok := errors.AsType[*dataset.Error](err); !ok {
		return t, err
	}
	t.Err = err
	return t, nil
}

// detect looks at a file's head, in memory that is used again: of 100,000 files
// most may be no tables.
func detect(f io.ReaderAt, size int64) (dataset.Format, error) {
	pooled, _ := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	head := (*pooled)[:min(dataset.HeadLength, size)]
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return dataset.FormatUnknown, err
	}
	return dataset.Detect(head[:n]), nil
}
