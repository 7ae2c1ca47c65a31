package dataset_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// memory is a table in memory.
type memory struct {
	meta dataset.Meta
	rows [][]dataset.Value
	at   int
}

func (m *memory) Meta() *dataset.Meta { return &m.meta }
func (m *memory) Close() error        { return nil }

func (m *memory) Next(row []dataset.Value) error {
	if m.at == len(m.rows) {
		return io.EOF
	}
	copy(row, m.rows[m.at])
	m.at++
	return nil
}

// columns makes columns of one letter for the type and the name.
func columns(specs ...string) []dataset.Column {
	all := make([]dataset.Column, len(specs))
	for i, s := range specs {
		all[i] = dataset.Column{Type: dataset.Type(s[0]), Name: s[1:]}
	}
	return all
}

func table(cols []dataset.Column, rows ...[]dataset.Value) *memory {
	return &memory{meta: dataset.Meta{Columns: cols, Rows: -1}, rows: rows}
}

func digest(t *testing.T, r dataset.Reader) dataset.Result {
	t.Helper()
	got, err := dataset.Digest(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

type values = []dataset.Value

func TestDigestCountsContentOnly(t *testing.T) {
	base := func() *memory {
		return table(columns("CUSUBJID", "NAGE"),
			values{dataset.Text("01-001"), dataset.Number(63)},
			values{dataset.Text("01-002"), dataset.Missing('.')})
	}
	want := digest(t, base())
	if want.Rows != 2 || want.Columns != 2 || want.Cells() != 4 {
		t.Errorf("got %d rows and %d columns, want 2 and 2", want.Rows, want.Columns)
	}
	same := map[string]*memory{
		"order and case of names": table(columns("Nage", "CUsubjId"),
			values{dataset.Number(63), dataset.Text("01-001   ")},
			values{dataset.Missing('.'), dataset.Text("01-002")}),
		"metadata": base(),
	}
	same["metadata"].meta.Name, same["metadata"].meta.Label, same["metadata"].meta.Rows = "DM", "Demographics", 2
	same["metadata"].meta.Columns[0].Label = "Subject"
	for name, m := range same {
		if got := digest(t, m); got != want {
			t.Errorf("%s: got %x, want %x", name, got.Digest, want.Digest)
		}
	}
	other := map[string]func(m *memory){
		"row order":    func(m *memory) { m.rows[0], m.rows[1] = m.rows[1], m.rows[0] },
		"value":        func(m *memory) { m.rows[0][1] = dataset.Number(math.Nextafter(63, 64)) },
		"sign":         func(m *memory) { m.rows[0][1] = dataset.Number(-63) },
		"missing code": func(m *memory) { m.rows[1][1] = dataset.Missing('A') },
		"leading":      func(m *memory) { m.rows[0][0] = dataset.Text(" 01-001") },
		"trailing tab": func(m *memory) { m.rows[0][0] = dataset.Text("01-001\t") },
		"row missing":  func(m *memory) { m.rows = m.rows[:1] },
		"row twice":    func(m *memory) { m.rows = append(m.rows, m.rows[1]) },
		"name":         func(m *memory) { m.meta.Columns[1].Name = "AGES" },
		"type": func(m *memory) {
			m.meta.Columns[1].Type = dataset.Character
			m.rows[0][1], m.rows[1][1] = dataset.Text("63"), dataset.Text("")
		},
	}
	for name, change := range other {
		m := base()
		change(m)
		if digest(t, m) == want {
			t.Errorf("%s: the digest does not tell", name)
		}
	}
}

func TestDigestRefuses(t *testing.T) {
	text, one := dataset.Text("a"), dataset.Number(1)
	short := table(columns("NA"), values{one})
	short.meta.Rows = 2
	for name, c := range map[string]struct {
		table *memory
		want  error
		says  string
	}{
		"no columns":         {table(nil), dataset.ErrColumns, "table has 0 columns"},
		"a name twice":       {table(columns("NAGE", "CAge")), dataset.ErrColumns, "column 2: name AGE is there twice"},
		"no name":            {table(columns("N")), dataset.ErrColumns, "column 1: column has no name"},
		"no type":            {table(columns("XAGE")), dataset.ErrColumns, "column 1: column AGE has no type"},
		"name not UTF-8":     {table(columns("N\xff")), dataset.ErrText, "column 1: name is not UTF-8"},
		"long name":          {table(columns("N" + strings.Repeat("A", dataset.MaxNameLength+1))), dataset.ErrLimit, "name has 1025 bytes"},
		"text as number":     {table(columns("NA"), values{text}), dataset.ErrType, "row 1 column A: value does not fit a numeric column"},
		"number as text":     {table(columns("CA"), values{text}, values{one}), dataset.ErrType, "row 2 column A"},
		"missing as text":    {table(columns("CA"), values{dataset.Missing('.')}), dataset.ErrType, "row 1 column A"},
		"coded missing bool": {table(columns("BA"), values{dataset.Missing('A')}), dataset.ErrType, "row 1 column A"},
		"no value":           {table(columns("NA"), values{dataset.Number(math.NaN())}), dataset.ErrType, "row 1 column A"},
		"wrong count":        {short, dataset.ErrCount, "header says 2 rows, file holds 1"},
	} {
		got, err := dataset.Digest(t.Context(), c.table)
		var e *dataset.Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want %v: %s", name, err, c.want, c.says)
		}
		if got != (dataset.Result{}) {
			t.Errorf("%s: a digest beside the error", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dataset.Digest(ctx, table(columns("NA"))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
