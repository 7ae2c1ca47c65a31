package dataset_test

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

// Every published table that is there in several formats has one content digest.
func TestFormatsAgree(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(datasettest.Data(t, "cdisc-datasetjson"), "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range paths {
		if strings.HasSuffix(path, "schema.json") || filepath.Base(filepath.Dir(path)) == "schema" {
			continue
		}
		var want dataset.Result
		for i, ext := range []string{".json", ".ndjson", ".dsjc", ".xpt"} {
			path := strings.TrimSuffix(path, ".json") + ext
			f, err := os.Open(path)
			if os.IsNotExist(err) && ext == ".xpt" {
				continue // LB has none
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			r, err := dataset.Open(io.NewSectionReader(f, 0, info.Size()), dataset.Options{})
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			got, err := dataset.Digest(t.Context(), r)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if i == 0 {
				want = got
			}
			if got != want {
				t.Errorf("%s: got %x over %d rows, want %x over %d", path, got.Digest, got.Rows, want.Digest, want.Rows)
			}
			compared++
			_ = r.Close()
			_ = f.Close()
		}
	}
	if compared < 40 {
		t.Errorf("compared %d files, want 40 and more", compared)
	}
}

// The same for generated tables, which are there everywhere and have what the
// published ones lack.
func TestGeneratedFormatsAgree(t *testing.T) {
	edge := datasettest.Edge()
	for _, row := range edge.Rows {
		for i, v := range row {
			if v.Kind() == dataset.KindMissing {
				row[i] = dataset.Missing('.')
			}
		}
	}
	for i, dataType := range []string{"decimal", "integer", "date", "time", "datetime"} {
		edge.Meta.Columns[i].DataType = dataType
		if i > 1 {
			edge.Meta.Columns[i].TargetDataType = "integer"
		}
	}
	edge.Meta.Columns[0].TargetDataType = "decimal"
	tables := []*datasettest.Table{edge, datasettest.Subjects(200)}
	random := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		table := randomTable(random)
		for _, row := range table.Rows {
			for i, v := range row {
				if v.Kind() == dataset.KindMissing {
					row[i] = dataset.Missing('.')
				} else if f, exact := v.Float64(); v.Kind() == dataset.KindNumber && (!exact || f == math.Trunc(f) && math.Abs(f) > 1<<53) {
					row[i] = dataset.Number(0.25) // what JSON cannot hold, or not in every spelling
				}
			}
		}
		tables = append(tables, table)
	}
	for i, table := range tables {
		want := digest(t, table.Reader())
		for _, x := range []datasettest.JSON{{}, {RowsFirst: true}, {Lines: true}, {Compress: true}} {
			b, err := x.Bytes(table)
			if err != nil {
				t.Fatal(err)
			}
			r, err := dataset.Open(bytes.NewReader(b), dataset.Options{})
			if err != nil {
				t.Fatalf("table %d, %+v: %v", i, x, err)
			}
			if got, err := dataset.Digest(t.Context(), r); err != nil || got != want {
				t.Errorf("table %d, %+v: got %x, %v, want %x", i, x, got.Digest, err, want.Digest)
			}
		}
		if got, err := digestBoth(t, xptFile(t, datasettest.XPT{}, table)); err != nil || got != want {
			t.Errorf("table %d: got %x, %v, want %x", i, got.Digest, err, want.Digest)
		}
	}
	if _, err := (datasettest.JSON{}).Bytes(datasettest.Edge()); err == nil {
		t.Error("missing numbers with a code were written as JSON")
	}
}
