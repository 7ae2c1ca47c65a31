package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// diffResult is two files compared.
type diffResult struct {
	A       string              `json:"a"`
	B       string              `json:"b"`
	Verdict receipt.FileOutcome `json:"verdict"`
	// Why says why contents cannot be compared.
	Why  string        `json:"why,omitzero"`
	Diff *dataset.Diff `json:"diff,omitzero"`
}

type diffOptions struct {
	csv      bool
	encoding string
	// encodingB is that of the second file.
	encodingB string
	limit     int
}

func (a *app) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare the tables of two files, cell by cell",
		Long: `diff compares two files on this machine, without a notary and without receipts. Where
both hold a table (SAS transport version 5 or 8, Dataset-JSON, its lines or compressed form)
it lists the variables, rows and cells that differ, and apart from them what is no data:
labels, lengths, formats, time stamps.

Rows are paired by the keys of the metadata, else by USUBJID and the sequence number (AESEQ,
ASEQ), else by position. Rows of two tables in one order need little memory; where more than
256 MiB of rows wait for their partner, sort both tables by the same variables first.

Exit status: 0 identical or the same data, 1 anything else, 2 a file cannot be read.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.diff(cmd.Context(), o, args[0], args[1]) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.csv, "csv", false, "print the differences as CSV, a line each")
	f.StringVar(&o.encoding, "encoding", "", "`NAME` of the encoding of text in SAS transport files, such as windows-1252 (default: UTF-8)")
	f.StringVar(&o.encodingB, "encoding-b", "", "`NAME` of the encoding of B, where it is not that of A")
	f.IntVar(&o.limit, "limit", dataset.DefaultMaxListed, "list at most `N` cells, rows and differences of metadata, each")
	return cmd
}

func (a *app) diff(ctx context.Context, o diffOptions, pathA, pathB string) error {
	switch {
	case o.csv && a.output != "text":
		return errors.New("invalid --csv: want it without --output json")
	case o.limit < 1:
		return fmt.Errorf("invalid --limit: got %d, want at least 1", o.limit)
	}
	for _, name := range []string{o.encoding, o.encodingB} {
		if _, err := dataset.EncodingName(name); err != nil {
			return fmt.Errorf("invalid --encoding: %w", err)
		}
	}
	o.encodingB = first(o.encodingB, o.encoding)
	r, err := compareFiles(ctx, o, pathA, pathB)
	if err != nil {
		return err
	}
	if o.csv {
		err = r.writeCSV(a.stdout)
	} else {
		err = a.print(r, r.print)
	}
	if err == nil && !r.Verdict.Holds() {
		err = errNegative
	}
	return err
}

func compareFiles(ctx context.Context, o diffOptions, pathA, pathB string) (*diffResult, error) {
	r := &diffResult{A: pathA, B: pathB, Verdict: receipt.Identical}
	var sums [2][32]byte
	for i, path := range [...]string{pathA, pathB} {
		h, err := client.HashAsIs(ctx, path, nil)
		if err != nil {
			return nil, err
		}
		sums[i] = h.SHA256
	}
	if sums[0] == sums[1] {
		return r, nil
	}
	d, err := compareTables(ctx, o, pathA, pathB)
	damaged, ok := errors.AsType[*fileError](err)
	switch {
	case ok:
		r.Verdict, r.Why = receipt.NotComparable, damaged.Error()
	case err != nil:
		return nil, err
	case d.Same():
		r.Verdict, r.Diff = receipt.SameData, d
	default:
		r.Verdict, r.Diff = receipt.DataDiffer, d
	}
	return r, nil
}

// fileError says why the contents of files cannot be compared; path is empty
// where it is about both.
type fileError struct {
	path string
	err  *dataset.Error
}

func (e *fileError) Error() string {
	if e.path == "" {
		return e.err.Error()
	}
	return e.path + ": " + e.err.Error()
}

// inFile puts the file's name before what is wrong in it.
func inFile(path string, err error) error {
	if e, ok := errors.AsType[*dataset.Error](err); ok {
		return &fileError{path, e}
	}
	return err
}

func compareTables(ctx context.Context, o diffOptions, pathA, pathB string) (*dataset.Diff, error) {
	var readers [2]dataset.Reader
	for i, path := range [...]string{pathA, pathB} {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		encoding := [...]string{o.encoding, o.encodingB}[i]
		readers[i], err = dataset.Open(io.NewSectionReader(f, 0, info.Size()), dataset.Options{Encoding: encoding})
		if err != nil {
			return nil, inFile(path, err)
		}
		defer readers[i].Close()
	}
	d, which, err := dataset.Compare(ctx, readers[0], readers[1], dataset.CompareOptions{MaxListed: o.limit})
	return d, inFile(map[string]string{"a": pathA, "b": pathB}[which], err)
}

func (r *diffResult) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n", r.Verdict)
	if r.Why != "" {
		fmt.Fprintf(w, "  %s\n", r.Why)
	}
	d := r.Diff
	if d == nil {
		return
	}
	fmt.Fprintf(w, "  a  %s: %s\n  b  %s: %s\n", r.A, count(int(d.RowsA), "row", "rows"), r.B, count(int(d.RowsB), "row", "rows"))
	by := string(d.Pairing)
	if len(d.PairedBy) > 0 {
		by += ": " + strings.Join(d.PairedBy, ", ")
	}
	fmt.Fprintf(w, "  rows paired by %s\n", by)
	r.printData(w)
	if d.MetadataCount == 0 {
		return
	}
	fmt.Fprintf(w, "  metadata differ, which is no difference of data: %d\n", d.MetadataCount)
	for _, m := range d.Metadata {
		fmt.Fprintf(w, "    %s: %q, %q\n", strings.TrimSpace(m.Variable+" "+m.Property), m.A, m.B)
	}
	rest(w, uint64(d.MetadataCount), len(d.Metadata))
}

func (r *diffResult) printData(w io.Writer) {
	d := r.Diff
	for _, n := range []struct {
		text  string
		names []string
	}{{"variables only in a", d.OnlyA}, {"variables only in b", d.OnlyB}} {
		if len(n.names) > 0 {
			fmt.Fprintf(w, "  %s: %s\n", n.text, some(n.names))
		}
	}
	for _, c := range d.Types {
		fmt.Fprintf(w, "  type of %s: %s, %s\n", c.Variable, c.A, c.B)
	}
	if d.Reordered {
		fmt.Fprintf(w, "  rows stand in another order\n")
	}
	if d.RowsOnlyA+d.RowsOnlyB > 0 {
		fmt.Fprintf(w, "  rows only in a: %d, only in b: %d\n", d.RowsOnlyA, d.RowsOnlyB)
		for _, row := range d.Rows {
			fmt.Fprintf(w, "    %s row %d%s\n", row.In, row.Row, keyed(row.Key))
		}
		rest(w, d.RowsOnlyA+d.RowsOnlyB, len(d.Rows))
	}
	if d.Cells == 0 {
		return
	}
	fmt.Fprintf(w, "  cells that differ: %d in %s; precision only: %d\n", d.Cells, count(int(d.RowsChanged), "row", "rows"), d.Precision)
	for _, v := range d.Variables {
		fmt.Fprintf(w, "    %s: %d\n", v.Variable, v.Cells)
	}
	for _, c := range d.Changed {
		note := ""
		if c.Note != "" {
			note = " (" + c.Note + ")"
		}
		fmt.Fprintf(w, "    row %d, %d%s %s: %q, %q%s\n", c.RowA, c.RowB, keyed(c.Key), c.Variable, c.A, c.B, note)
	}
	rest(w, d.Cells, len(d.Changed))
}

func keyed(key []string) string {
	if len(key) == 0 {
		return ""
	}
	return " [" + strings.Join(key, ", ") + "]"
}

// rest says how many there are beyond those listed.
func rest(w io.Writer, all uint64, listed int) {
	if n := all - uint64(listed); n > 0 {
		fmt.Fprintf(w, "    … and %d more\n", n)
	}
}

// writeCSV writes a line for each difference; "what" says of what kind it is, and
// the first line after the header is the verdict.
func (r *diffResult) writeCSV(w io.Writer) error {
	rows := [][]string{{"what", "variable", "row a", "row b", "key", "a", "b", "note"}, {"verdict", "", "", "", "", r.A, r.B, strings.TrimSuffix(string(r.Verdict)+": "+r.Why, ": ")}}
	if d := r.Diff; d != nil {
		rows = append(rows, dataLines(d)...)
		for _, m := range d.Metadata {
			rows = append(rows, []string{"metadata", m.Variable, "", "", "", m.A, m.B, m.Property})
		}
	}
	return writeCSV(w, rows)
}

func dataLines(d *dataset.Diff) (rows [][]string) {
	for _, name := range d.OnlyA {
		rows = append(rows, []string{"variable only in a", name, "", "", "", "", "", ""})
	}
	for _, name := range d.OnlyB {
		rows = append(rows, []string{"variable only in b", name, "", "", "", "", "", ""})
	}
	for _, c := range d.Types {
		rows = append(rows, []string{"type", c.Variable, "", "", "", c.A, c.B, ""})
	}
	if d.Reordered {
		rows = append(rows, []string{"order of rows", "", "", "", "", "", "", ""})
	}
	for _, row := range d.Rows {
		line := []string{"row only in " + row.In, "", "", "", strings.Join(row.Key, " | "), "", "", ""}
		at := 2
		if row.In == "b" {
			at = 3
		}
		line[at] = strconv.FormatUint(row.Row, 10)
		rows = append(rows, line)
	}
	for _, c := range d.Changed {
		rows = append(rows, []string{
			"cell", c.Variable, strconv.FormatUint(c.RowA, 10), strconv.FormatUint(c.RowB, 10), strings.Join(c.Key, " | "), c.A, c.B, c.Note,
		})
	}
	return rows
}
