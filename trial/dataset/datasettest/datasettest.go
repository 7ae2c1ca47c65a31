// Package datasettest makes tables and files for tests and measurements: shapes
// that published data lack, damaged files, and files of any size. Nothing that is
// shipped imports it.
package datasettest

import (
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// Table is a table in memory.
type Table struct {
	Meta dataset.Meta
	Rows [][]dataset.Value
}

// Reader returns a reader of the table.
func (t *Table) Reader() dataset.Reader { return &reader{table: t} }

type reader struct {
	table *Table
	next  int
}

func (r *reader) Meta() *dataset.Meta { return &r.table.Meta }
func (r *reader) Close() error        { return nil }

func (r *reader) Next(row []dataset.Value) error {
	if r.next == len(r.table.Rows) {
		return io.EOF
	}
	copy(row, r.table.Rows[r.next])
	r.next++
	return nil
}

// Columns makes columns from "C12 USUBJID" (character, 12 bytes), "N8 AGE" and
// "B1 SAFETY".
func Columns(specs ...string) []dataset.Column {
	columns := make([]dataset.Column, len(specs))
	for i, spec := range specs {
		length, name, _ := strings.Cut(spec[1:], " ")
		n, err := strconv.Atoi(length)
		if err != nil {
			panic(spec)
		}
		columns[i] = dataset.Column{Name: name, Type: dataset.Type(spec[0]), Length: n}
	}
	return columns
}

// New makes a table. Cells are float64 and int for numbers, string for text, bool
// for truth values, nil for what is missing and a [dataset.Value] for any.
func New(name string, columns []dataset.Column, rows ...[]any) *Table {
	t := &Table{Meta: dataset.Meta{Name: name, Columns: columns, Rows: int64(len(rows))}}
	for _, cells := range rows {
		row := make([]dataset.Value, len(columns))
		for i, cell := range cells {
			row[i] = value(cell, columns[i].Type)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func value(cell any, typ dataset.Type) dataset.Value {
	switch c := cell.(type) {
	case dataset.Value:
		return c
	case float64:
		return dataset.Number(c)
	case int:
		return dataset.Number(float64(c))
	case string:
		return dataset.Text(c)
	case bool:
		return dataset.Bool(c)
	}
	if typ == dataset.Character {
		return dataset.Text("")
	}
	return dataset.Missing('.')
}

// Edge returns a table of what published data lack: every code of a missing
// number, text beyond ASCII and with blanks at its edges, numbers of more than 15
// digits, short numbers, and numeric dates, times and datetimes. All of it fits a
// transport file of version 5, and rows have less than 80 bytes.
func Edge() *Table {
	columns := Columns("N8 NUM", "N3 SHORT", "N8 DT", "N8 TM", "N8 DTM", "C14 TEXT", "C2 CODE")
	columns[2].Format, columns[3].Format, columns[4].Format = "DATE9.", "TIME8.", "DATETIME20."
	numbers := []float64{
		0, 1, -1, 0.1, 1.0 / 3, math.Pi, 1 << 53, 1<<53 - 1, 123456789012345678, 0.1 + 0.2,
		1e-70, -1e70, math.Nextafter(1, 2), 63, 254,
	}
	texts := []string{"", " leading", "é", "Zürich", "日本語", "a\tb", "  x  y", "-", "<&>\"'", "ÅÄÖåäö", "Ω", "NULL", ".", "0", "12345678901234"}
	t := New("EDGE", columns)
	for i := range 28 + len(numbers) {
		row := []dataset.Value{
			dataset.Number(numbers[i%len(numbers)]), dataset.Number(float64(i - 20)), dataset.Number(float64(24000 + i)),
			dataset.Number(float64(i * 60)), dataset.Number(float64(2_000_000_000 + i)),
			dataset.Text(texts[i%len(texts)]), dataset.Text(string(rune('A' + i%26))),
		}
		if i < 28 {
			row[i%5] = dataset.Missing("._ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i])
		}
		t.Rows = append(t.Rows, row)
	}
	t.Meta.Rows = int64(len(t.Rows))
	return t
}

// Subjects returns a table of the shape of ADSL: 49 columns, about two in five of
// them numeric.
func Subjects(rows int) *Table {
	specs := []string{"C12 STUDYID", "C11 USUBJID", "C4 SUBJID", "C3 SITEID", "C20 ARM", "C20 TRT01P", "C8 TRT01A", "N8 AGE"}
	for i := range 20 {
		specs = append(specs, "N8 N"+strconv.Itoa(i))
	}
	for i := range 21 {
		specs = append(specs, "C"+strconv.Itoa(1+i%12)+" C"+strconv.Itoa(i))
	}
	t := New("ADSL", Columns(specs...))
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same table each time is the point
	for i := range rows {
		id := strconv.Itoa(1000 + i%9000)
		row := []dataset.Value{
			dataset.Text("CDISCPILOT01"), dataset.Text("01-701-" + id), dataset.Text(id), dataset.Text("701"),
			dataset.Text("Xanomeline High Dose"), dataset.Text("Placebo"), dataset.Text("Placebo"),
			dataset.Number(float64(50 + random.IntN(40))),
		}
		for j := range 20 {
			v := dataset.Number(float64(random.IntN(20000)))
			if j%4 == 1 {
				v = dataset.Number(float64(random.IntN(20000)) / 10)
			} else if j%4 == 2 && i%3 == 0 {
				v = dataset.Missing('.')
			}
			row = append(row, v)
		}
		for j := range 21 {
			row = append(row, dataset.Text("Y12 mmHg 345"[:(j*i)%(2+j%12)]))
		}
		t.Rows = append(t.Rows, row)
	}
	t.Meta.Rows = int64(rows)
	return t
}

// Clone returns a copy of the table that can be changed.
func (t *Table) Clone() *Table {
	c := &Table{Meta: t.Meta, Rows: make([][]dataset.Value, len(t.Rows))}
	c.Meta.Columns = slices.Clone(t.Meta.Columns)
	for i, row := range t.Rows {
		c.Rows[i] = slices.Clone(row)
	}
	return c
}

// Data returns the path of a published file in the folder shared/data beside the
// repository, and skips the test where that folder is not there.
func Data(tb testing.TB, elements ...string) string {
	tb.Helper()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		tb.Skip("the path of the sources is not known")
	}
	folder := filepath.Join(filepath.Dir(here), "..", "..", "..", "..", "shared", "data")
	if _, err := os.Stat(folder); err != nil {
		tb.Skipf("the published data are not here: %v", err)
	}
	return filepath.Join(append([]string{folder}, elements...)...)
}
