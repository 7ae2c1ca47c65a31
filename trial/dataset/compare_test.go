package dataset_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

func compare(tb testing.TB, a, b *datasettest.Table, o dataset.CompareOptions) *dataset.Diff {
	tb.Helper()
	d, _, err := dataset.Compare(tb.Context(), a.Reader(), b.Reader(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func visits(rows ...[]any) *datasettest.Table {
	return datasettest.New("AE", datasettest.Columns("C6 USUBJID", "N8 AESEQ", "N8 DOSE", "C9 TERM"), rows...)
}

func TestCompare(t *testing.T) {
	a := visits([]any{"701", 1, 0.1, "x"}, []any{"701", 2, 2, "y"}, []any{"702", 1, 3, "z"}, []any{"703", 1, nil, "z"})
	b := visits([]any{"701", 2, 2, "Y"}, []any{"701", 1, 0.1 + 1e-17*4, "x"}, []any{"703", 1, dataset.Missing('A'), "z"}, []any{"704", 1, 3, "z"})
	b.Meta.Label, b.Meta.Columns[2].Label = "Other", "Dose"
	b.Rows[1][2] = dataset.Number(0.10000000000000002)
	d := compare(t, a, b, dataset.CompareOptions{})
	if d.Pairing != dataset.PairedBySubject || !slices.Equal(d.PairedBy, []string{"USUBJID", "AESEQ"}) {
		t.Errorf("paired by %s %v", d.Pairing, d.PairedBy)
	}
	if d.Same() || !d.Reordered || d.RowsOnlyA != 1 || d.RowsOnlyB != 1 || d.RowsChanged != 3 || d.Cells != 3 || d.Precision != 1 || d.Missing != 1 || d.MetadataCount != 2 {
		t.Errorf("got %+v", d)
	}
	if len(d.Rows) != 2 || d.Rows[0].Row != 3 || d.Rows[0].In != "a" || d.Rows[1].Row != 4 || !slices.Equal(d.Rows[1].Key, []string{"704", "1"}) {
		t.Errorf("got rows %+v", d.Rows)
	}
	if same := compare(t, a, a.Clone(), dataset.CompareOptions{}); !same.Same() || same.MetadataCount != 0 {
		t.Errorf("a table differs from itself: %+v", same)
	}
	if few := compare(t, a, b, dataset.CompareOptions{MaxListed: 1}); few.Cells != 3 || len(few.Changed) != 1 || len(few.Metadata) != 1 {
		t.Errorf("got %+v", few)
	}
}

// Columns, and rows without keys.
func TestCompareColumns(t *testing.T) {
	a := datasettest.New("X", datasettest.Columns("N8 A", "C3 B", "C3 C"), []any{1, "x", "y"})
	b := datasettest.New("X", datasettest.Columns("C3 B", "C8 A", "N8 D"), []any{"x", "1", 2}, []any{"x", "1", 2})
	d := compare(t, a, b, dataset.CompareOptions{})
	if d.Pairing != dataset.PairedByPosition || !slices.Equal(d.OnlyA, []string{"C"}) || !slices.Equal(d.OnlyB, []string{"D"}) ||
		len(d.Types) != 1 || d.RowsOnlyB != 1 || d.Cells != 0 || d.Same() {
		t.Errorf("got %+v", d)
	}
}

// Rows that lie too far apart end it rather than fill the memory.
func TestCompareLimit(t *testing.T) {
	a, b := visits(), visits()
	for i := range 100 {
		row := visits([]any{"701", i, i, "x"}).Rows[0]
		a.Rows, b.Rows = append(a.Rows, row), slices.Insert(b.Rows, 0, row)
	}
	a.Meta.Rows, b.Meta.Rows = 100, 100
	_, _, err := dataset.Compare(t.Context(), a.Reader(), b.Reader(), dataset.CompareOptions{MaxHeld: 1 << 10})
	if !errors.Is(err, dataset.ErrLimit) {
		t.Errorf("got %v, want a limit", err)
	}
	if d := compare(t, a, b, dataset.CompareOptions{}); !d.Reordered || d.Cells != 0 || d.RowsOnlyA != 0 {
		t.Errorf("got %+v", d)
	}
}

// Tables are the same exactly where their content digests are equal.
func TestCompareAgreesWithDigest(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		table := func(label string) *datasettest.Table {
			out := visits()
			for range rapid.IntRange(0, 4).Draw(rt, label) {
				out.Rows = append(out.Rows, visits([]any{
					rapid.SampledFrom([]string{"1", "2"}).Draw(rt, "subject"), rapid.IntRange(1, 2).Draw(rt, "seq"), rapid.IntRange(0, 1).Draw(rt, "dose"), "x",
				}).Rows[0])
			}
			out.Meta.Rows = int64(len(out.Rows))
			return out
		}
		a, b := table("a"), table("b")
		ra, err := dataset.Digest(t.Context(), a.Reader())
		if err != nil {
			rt.Fatal(err)
		}
		rb, err := dataset.Digest(t.Context(), b.Reader())
		if err != nil {
			rt.Fatal(err)
		}
		if d := compare(t, a, b, dataset.CompareOptions{}); d.Same() != (ra.Digest == rb.Digest) {
			rt.Fatalf("same is %t, digests equal is %t: %+v", d.Same(), ra.Digest == rb.Digest, d)
		}
	})
}
