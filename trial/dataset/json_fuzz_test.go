package dataset_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

func FuzzDetect(f *testing.F) {
	for _, content := range file([]string{"A string"}, `"a"`).forms(f) {
		f.Add([]byte(content))
	}
	f.Add([]byte(`<ODM xmlns="http://www.cdisc.org/ns/odm/v1.3" xmlns:def="http://www.cdisc.org/ns/def/v2.1">`))
	f.Add([]byte(`{"@context":[],"type":"EPCISDocument"}`))
	f.Fuzz(func(t *testing.T, head []byte) {
		format := dataset.Detect(head)
		if format.Table() || len(head) > dataset.HeadLength {
			return
		}
		// What is recognised as no table is opened as none.
		if _, err := dataset.Open(bytes.NewReader(head), dataset.Options{}); !errors.Is(err, dataset.ErrNotTable) {
			t.Errorf("format %q: got %v, want %v", format, err, dataset.ErrNotTable)
		}
	})
}

// FuzzJSON holds the readers against encoding/json: what they accept says there
// what they say.
func FuzzJSON(f *testing.F) {
	columns := []string{"S string", "I integer", "F float", "D decimal", "B boolean", "T date>integer"}
	sound := file(columns, `"a\u00e9",1,0.1,"1.10",true,"2014-01-02"`, `null,null,null,null,null,null`)
	for _, content := range sound.forms(f) {
		f.Add([]byte(content))
	}
	for _, bad := range []string{`"a",9007199254740993,1,"1",true,""`, `1`, `"a",1.5,1,"1",true,""`, `"a",1,1e400,"1",true,""`} {
		f.Add([]byte(file(columns, bad).json()))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		meta, rows, err := readAll(string(content))
		if err != nil {
			if bad := (*dataset.Error)(nil); !errors.As(err, &bad) || bad.Unwrap() == nil {
				t.Fatalf("error %v is no *Error", err)
			}
			return
		}
		if int64(len(rows)) != meta.Rows {
			t.Fatalf("got %d rows, declared %d", len(rows), meta.Rows)
		}
		if meta.Format == dataset.DSJC {
			return
		}
		for i, want := range slowRows(t, bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))) {
			for j, cell := range want {
				if !sameCell(rows[i][j], cell, meta.Columns[j]) {
					t.Errorf("row %d column %d: got %v, encoding/json %v", i, j, rows[i][j], cell)
				}
			}
		}
	})
}

// slowRows reads all rows at once.
func slowRows(t *testing.T, content []byte) [][]any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.UseNumber()
	var head struct {
		Rows [][]any `json:"rows"`
	}
	if err := dec.Decode(&head); err != nil {
		t.Fatalf("encoding/json refuses what was accepted: %v", err)
	}
	for dec.More() {
		var row []any
		if err := dec.Decode(&row); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		head.Rows = append(head.Rows, row)
	}
	return head.Rows
}

func sameCell(got dataset.Value, want any, c dataset.Column) bool {
	switch want := want.(type) {
	case nil:
		return got == dataset.Missing('.') || got == dataset.Text("")
	case bool:
		return got == dataset.Bool(want)
	case json.Number:
		f, err := want.Float64()
		return err == nil && got == dataset.Number(f)
	case string:
		switch {
		case c.Type == dataset.Character:
			return got == dataset.Text(want)
		case want == "":
			return got == dataset.Missing('.')
		case strings.HasPrefix(c.DataType, "decimal"):
			f, err := strconv.ParseFloat(want, 64)
			return err == nil && got == dataset.Number(f)
		}
		return got.Kind() == dataset.KindNumber // a date: its own tests
	}
	return false
}
