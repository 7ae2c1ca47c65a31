package dataset_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// jsonFile is a table as Dataset-JSON, in pieces that a test can spoil.
type jsonFile struct {
	head    []string // members but columns and rows
	columns []string
	rows    []string
}

func column(name, dataType string) string {
	target := ""
	if before, found := strings.CutSuffix(dataType, ">integer"); found {
		dataType, target = before, `,"targetDataType":"integer"`
	}
	return fmt.Sprintf(`{"itemOID":"IT.%s","name":"%s","label":"l","dataType":"%s"%s}`, name, name, dataType, target)
}

// file makes a sound file of columns "NAME type" and rows without their brackets.
func file(columns []string, rows ...string) *jsonFile {
	f := &jsonFile{
		head: []string{
			`"datasetJSONCreationDateTime":"2024-11-11T15:09:15"`, `"datasetJSONVersion":"1.1.0"`,
			`"itemGroupOID":"IG.X"`, fmt.Sprintf(`"records":%d`, len(rows)), `"name":"X"`, `"label":"Ex"`,
		},
		rows: rows,
	}
	for _, c := range columns {
		name, dataType, _ := strings.Cut(c, " ")
		f.columns = append(f.columns, column(name, dataType))
	}
	return f
}

func (f *jsonFile) columnsMember() string { return `"columns":[` + strings.Join(f.columns, ",") + "]" }

func (f *jsonFile) rowsMember() string {
	rows := slices.Clone(f.rows)
	for i := range rows {
		rows[i] = "[" + rows[i] + "]"
	}
	return `"rows":[` + strings.Join(rows, ", ") + "]"
}

func (f *jsonFile) json() string {
	return "{" + strings.Join(append(slices.Clone(f.head), f.columnsMember(), f.rowsMember()), ",") + "}\n"
}

func (f *jsonFile) rowsFirst() string {
	return "{" + strings.Join(append([]string{f.rowsMember(), f.columnsMember()}, f.head...), ",") + "\n}"
}

func (f *jsonFile) ndjson() string {
	lines := []string{"{" + strings.Join(append(slices.Clone(f.head), f.columnsMember()), ",") + "}"}
	for _, r := range f.rows {
		lines = append(lines, "["+r+"]")
	}
	return strings.Join(lines, "\n") + "\n"
}

// forms are the ways to write the same table.
func (f *jsonFile) forms(tb testing.TB) map[string]string {
	tb.Helper()
	nd := f.ndjson()
	return map[string]string{
		"json": f.json(), "rows first": f.rowsFirst(), "mark": "\xef\xbb\xbf" + f.rowsFirst(),
		"ndjson": nd, "ndjson without end": strings.TrimSuffix(nd, "\n"), "ndjson with returns": strings.ReplaceAll(nd, "\n", "\r\n"),
		"gzip": string(gzipped(tb, nd)), "zlib": string(zlibbed(tb, nd)),
	}
}

// readAll opens a file and reads all its rows.
func readAll(text string) (*dataset.Meta, [][]dataset.Value, error) {
	r, err := dataset.Open(strings.NewReader(text), dataset.Options{})
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var rows [][]dataset.Value
	for {
		row := make([]dataset.Value, len(r.Meta().Columns))
		if err := r.Next(row); errors.Is(err, io.EOF) {
			return r.Meta(), rows, nil
		} else if err != nil {
			if again := r.Next(row); !errors.Is(again, err) {
				return nil, nil, fmt.Errorf("second error %w, first: %w", again, err)
			}
			return nil, nil, err
		}
		rows = append(rows, row)
	}
}

func TestJSONCells(t *testing.T) {
	t.Parallel()
	num, text := dataset.Number, dataset.Text
	missing := dataset.Missing('.')
	tests := map[string]struct {
		dataType string
		cells    []string
		want     []dataset.Value
	}{
		"string": {
			"string", []string{`"a"`, `""`, `null`, `"  a  "`, `"a\"b\\"`, `"\u00e9\ud83d\ude00"`, `"é"`, `"],["`, `"\\\\"`, `"a,b"`},
			[]dataset.Value{text("a"), text(""), text(""), text("  a"), text(`a"b\`), text("é😀"), text("é"), text("],["), text(`\\`), text("a,b")},
		},
		"URI":     {"URI", []string{`"urn:x"`}, []dataset.Value{text("urn:x")}},
		"boolean": {"boolean", []string{"true", "false", "null"}, []dataset.Value{dataset.Bool(true), dataset.Bool(false), missing}},
		"integer": {
			"integer", []string{"1", "-1", "0", "-0", "null"},
			[]dataset.Value{num(1), num(-1), num(0), num(0), missing},
		},
		"integer spelled otherwise": {
			"integer", []string{"1.0", "1e3", "0.0", "-0e5", "9007199254740992", "18014398509481984", "1E20", "100000000000000000000"},
			[]dataset.Value{num(1), num(1000), num(0), num(0), num(1 << 53), num(1 << 54), num(1e20), num(1e20)},
		},
		"float": {
			"float", []string{"0.1", "-2.50", "1e-7", "1e23", "5e-324", "1e-400", "179769313486231570000000000000000000000e270", "null", "3", "0.30000000000000004"},
			[]dataset.Value{num(0.1), num(-2.5), num(1e-7), num(1e23), num(5e-324), num(0), num(1.7976931348623157e308), missing, num(3), num(0.30000000000000004)},
		},
		"double": {"double", []string{"1.5"}, []dataset.Value{num(1.5)}},
		"decimal": {
			"decimal", []string{`"1.10"`, `"-0.5"`, `"+.5"`, `"5."`, `"007"`, `"1e-5"`, `""`, `null`, `2.5`, `"0.1000000000000000055511151231257827"`},
			[]dataset.Value{num(1.1), num(-0.5), num(0.5), num(5), num(7), num(1e-5), missing, missing, num(2.5), num(0.1)},
		},
		"date as text":     {"date", []string{`"1928"`, `"2014-01-02"`, `null`}, []dataset.Value{text("1928"), text("2014-01-02"), text("")}},
		"datetime as text": {"datetime", []string{`"2014-01-02"`, `"2014-01-02T10:00:00+02:00"`}, []dataset.Value{text("2014-01-02"), text("2014-01-02T10:00:00+02:00")}},
		"date": {
			"date>integer", []string{`"1960-01-01"`, `"2014-01-02"`, `"1959-12-31"`, `"1582-01-01"`, `"9999-12-31"`, `"2000-02-29"`, `"4000-02-28"`, `"4000-03-01"`, `null`, `""`},
			[]dataset.Value{num(0), num(19725), num(-1), num(-138061), num(2936547), num(14669), num(745153), num(745154), missing, missing},
		},
		"datetime": {
			"datetime>integer", []string{`"1960-01-01T00:00:00"`, `"2014-01-02T10:11:12"`, `"1960-01-01T00:00:00.10"`, `"1959-12-31T23:59:59.75"`, `"1959-12-31T23:59:55.25"`, `null`},
			[]dataset.Value{num(0), num(1704276672), num(0.1), num(-0.25), num(-4.75), missing},
		},
		"time": {
			"time>integer", []string{`"00:00:00"`, `"23:59:59"`, `"12:00:00.125"`, `"12:00:00.000"`, `null`},
			[]dataset.Value{num(0), num(86399), num(43200.125), num(43200), missing},
		},
	}
	for name, tt := range tests {
		f := file([]string{"X " + tt.dataType}, tt.cells...)
		for form, content := range f.forms(t) {
			t.Run(name+"/"+form, func(t *testing.T) {
				t.Parallel()
				_, rows, err := readAll(content)
				if err != nil {
					t.Fatal(err)
				}
				for i, want := range tt.want {
					if rows[i][0] != want {
						t.Errorf("%s: got %v, want %v", tt.cells[i], rows[i][0], want)
					}
				}
			})
		}
	}
}

func TestJSONCellsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		dataType string
		want     error
		cells    []string
	}{
		"string":                              {"string", dataset.ErrType, []string{"1", "true", "{}", `["a"]`, `{"a":"b"}`}},
		"boolean":                             {"boolean", dataset.ErrType, []string{"1", `"true"`, "0"}},
		"integer":                             {"integer", dataset.ErrType, []string{"1.5", `"1"`, "1e-5", "1e-400", "true", `""`, `"."`}},
		"inexact":                             {"integer", dataset.ErrNumber, []string{"9007199254740993", "-9007199254740993", "9007199254740993.0", "90071992547409930e-1", "12345678901234567890", "1e400", "1e23"}},
		"float":                               {"float", dataset.ErrType, []string{`"1"`, `"NaN"`, "false", "[1]"}},
		"inexact float spelled as an integer": {"float", dataset.ErrNumber, []string{"9007199254740993", "1e309", "-1e309"}},
		"decimal":                             {"decimal", dataset.ErrNumber, []string{`"1,5"`, `" 1"`, `"1 "`, `"."`, `"-"`, `"+-1"`, `"1e"`, `"1e+-5"`, `"0x10"`, `"1_000"`, `"Inf"`, `"nan"`, `"e5"`, `"9007199254740993"`, `"1e400"`, `".e5"`}},
		"date":                                {"date>integer", dataset.ErrDate, []string{`"1928"`, `"2014-01"`, `"2014-1-2"`, `"2014-02-30"`, `"0000-01-01"`, `"1581-12-31"`, `"4000-02-29"`, `"8000-02-29"`, `"2014-01-02T00:00:00"`, `"2014-01-02Z"`, `"-2014-01-02"`, `"20140102"`, `" 2014-01-02"`, `"----------"`}},
		"datetime":                            {"datetime>integer", dataset.ErrDate, []string{`"2014-01-02"`, `"2014-01-02T10:11"`, `"2014-01-02T10:11:12Z"`, `"2014-01-02T10:11:12+00:00"`, `"2014-01-02 10:11:12"`, `"2014-01-02T24:00:00"`, `"2014-01-02T10:11:60"`, `"2014-01-02T10:11:12."`, `"2014-01-02T-:-:-"`, `"2014-01-02T10:11:12.1234567890123456789"`}},
		"time":                                {"time>integer", dataset.ErrDate, []string{`"10:11"`, `"10:11:12Z"`, `"1:02:03"`, `"10-11-12"`, `"+1:00:00"`}},
		"date as a number":                    {"date>integer", dataset.ErrType, []string{"19725", "true"}},
		"long":                                {"float", dataset.ErrLimit, []string{"0." + strings.Repeat("1", 1200)}},
	}
	for name, tt := range tests {
		for _, cell := range tt.cells {
			for form, content := range file([]string{"A string", "X " + tt.dataType}, `"",null`, `"",`+cell).forms(t) {
				_, _, err := readAll(content)
				if !errors.Is(err, tt.want) || !strings.HasPrefix(err.Error(), "row 2 column X: ") {
					t.Errorf("%s/%s, %s: got %v, want %v", name, form, cell, err, tt.want)
				}
			}
		}
	}
}

func TestJSONMeta(t *testing.T) {
	t.Parallel()
	f := file([]string{"Usubjid string"})
	f.head = append(f.head, `"fileOID":"f"`, `"sourceSystem":{"name":"SAS","version":"9.4"}`)
	f.columns = append(f.columns, `{"itemOID":"i","name":"TRTSDT","label":"Start","dataType":"date","targetDataType":"integer","displayFormat":"DATE9.","length":8,"keySequence":2}`)
	want := map[string]dataset.Format{"json": dataset.DatasetJSON, "rows first": dataset.DatasetJSON, "ndjson": dataset.NDJSON, "gzip": dataset.DSJC, "zlib": dataset.DSJC}
	for form, content := range f.forms(t) {
		m, rows, err := readAll(content)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if len(rows) != 0 || m.Rows != 0 || m.Name != "X" || m.Label != "Ex" || m.Encoding != "utf-8" || want[form] != "" && m.Format != want[form] {
			t.Errorf("%s: got %+v", form, m)
		}
		if m.Source["fileOID"] != "f" || m.Source["sourceSystem.version"] != "9.4" || m.Source["datasetJSONVersion"] != "1.1.0" {
			t.Errorf("%s: got source %v", form, m.Source)
		}
		wantColumn := dataset.Column{
			Name: "TRTSDT", Type: dataset.Numeric, Label: "Start", Length: 8, Format: "DATE9.",
			DataType: "date", TargetDataType: "integer", KeySequence: 2,
		}
		if len(m.Columns) != 2 || m.Columns[0].Name != "Usubjid" || m.Columns[1] != wantColumn {
			t.Errorf("%s: got columns %+v", form, m.Columns)
		}
	}
}

// TestJSONRefused spoils a sound file in each of the ways that have a name.
func TestJSONRefused(t *testing.T) {
	t.Parallel()
	sound := func() *jsonFile { return file([]string{"A string", "B integer"}, `"a",1`, `"b",2`) }
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, with, 1) }
	}
	tests := map[string]struct {
		spoil func(string) string
		want  error
	}{
		"row too long":             {replace(`["b",2]`, `["b",2,3]`), dataset.ErrColumns},
		"row too short":            {replace(`["b",2]`, `["b"]`), dataset.ErrColumns},
		"row empty":                {replace(`["b",2]`, `[]`), dataset.ErrColumns},
		"row an object":            {replace(`["b",2]`, `{"value":["b",2]}`), dataset.ErrType},
		"row a string":             {replace(`["b",2]`, `"b"`), dataset.ErrType},
		"more rows than declared":  {replace(`"records":2`, `"records":1`), dataset.ErrCount},
		"fewer rows than declared": {replace(`"records":2`, `"records":3`), dataset.ErrCount},
		"records negative":         {replace(`"records":2`, `"records":-2`), dataset.ErrHeader},
		"records a string":         {replace(`"records":2`, `"records":"2"`), dataset.ErrHeader},
		"records absurd":           {replace(`"records":2`, `"records":99999999999999999999`), dataset.ErrHeader},
		"records missing":          {replace(`"records":2,`, ``), dataset.ErrHeader},
		"name missing":             {replace(`"name":"X",`, ``), dataset.ErrHeader},
		"label a number":           {replace(`"label":"Ex"`, `"label":1`), dataset.ErrHeader},
		"member twice":             {replace(`"name":"X",`, `"name":"X","name":"X",`), dataset.ErrSyntax},
		"member unknown":           {replace(`"name":"X",`, `"name":"X","nam":"X",`), dataset.ErrHeader},
		"version 1.0":              {replace(`"1.1.0"`, `"1.0.0"`), dataset.ErrHeader},
		"version 2":                {replace(`"1.1.0"`, `"1.1x0"`), dataset.ErrHeader},
		"creation no time":         {replace(`"2024-11-11T15:09:15"`, `"2024-11-11"`), dataset.ErrHeader},
		"column member twice":      {replace(`"itemOID":"IT.A"`, `"itemOID":"IT.A","itemOID":"IT.A"`), dataset.ErrSyntax},
		"column member unknown":    {replace(`"itemOID":"IT.A"`, `"itemOID":"IT.A","x":1`), dataset.ErrHeader},
		"column member missing":    {replace(`"itemOID":"IT.A",`, ``), dataset.ErrHeader},
		"column without a name":    {replace(`"name":"A"`, `"name":""`), dataset.ErrColumns},
		"column twice":             {replace(`"name":"A"`, `"name":"b"`), dataset.ErrColumns},
		"column length":            {replace(`"itemOID":"IT.A"`, `"itemOID":"IT.A","length":0`), dataset.ErrHeader},
		"column type":              {replace(`"dataType":"integer"`, `"dataType":"int"`), dataset.ErrHeader},
		"column target":            {replace(`"dataType":"integer"`, `"dataType":"string","targetDataType":"integer"`), dataset.ErrHeader},
		"columns an object":        {replace(`"columns":[`, `"columns":{},"x":[`), dataset.ErrHeader},
		"column a string":          {replace(`"columns":[`, `"columns":["a",`), dataset.ErrHeader},
		"source system":            {replace(`"name":"X",`, `"name":"X","sourceSystem":{"name":"SAS"},`), dataset.ErrHeader},
		"source system member":     {replace(`"name":"X",`, `"name":"X","sourceSystem":{"name":"SAS","version":"9","x":"y"},`), dataset.ErrHeader},
		"text not UTF-8":           {replace(`"b",2`, "\"\xe9\",2"), dataset.ErrText},
		"half a surrogate":         {replace(`"b",2`, `"\ud83d",2`), dataset.ErrText},
		"label not UTF-8":          {replace(`"Ex"`, "\"\xe9\""), dataset.ErrText},
		"number with a zero":       {replace(`"b",2`, `"b",02`), dataset.ErrSyntax},
		"bare word":                {replace(`"b",2`, `"b",NaN`), dataset.ErrSyntax},
		"comma too many":           {replace(`"b",2`, `"b",2,`), dataset.ErrSyntax},
		"comma missing":            {replace(`"b",2`, `"b" 2`), dataset.ErrSyntax},
		"control character":        {replace(`"b",2`, "\"\x01\",2"), dataset.ErrSyntax},
	}
	for name, tt := range tests {
		f := sound()
		for form, content := range map[string]string{"json": f.json(), "rows first": f.rowsFirst(), "ndjson": f.ndjson()} {
			spoilt := tt.spoil(content)
			if spoilt == content {
				t.Errorf("%s/%s: nothing was spoilt", name, form)
			}
			if _, err := digestOf(t, spoilt); !errors.Is(err, tt.want) {
				t.Errorf("%s/%s: got %v, want %v", name, form, err, tt.want)
			}
			packed := string(zlibbed(t, spoilt))
			if _, err := digestOf(t, packed); form == "ndjson" && !errors.Is(err, tt.want) {
				t.Errorf("%s/compressed: got %v, want %v", name, err, tt.want)
			}
		}
	}
}

func digestOf(tb testing.TB, content string) (dataset.Result, error) {
	tb.Helper()
	r, err := dataset.Open(strings.NewReader(content), dataset.Options{})
	if err != nil {
		return dataset.Result{}, err
	}
	defer r.Close()
	return dataset.Digest(tb.Context(), r)
}

// TestJSONCut cuts a file at each byte: no beginning of a file is a file.
func TestJSONCut(t *testing.T) {
	t.Parallel()
	f := file([]string{"A string", "B integer"}, `"a",1`, `"b",2`)
	for form, content := range f.forms(t) {
		sound := strings.TrimRight(content, "\r\n")
		for n := range len(sound) {
			if _, err := digestOf(t, content[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes have a digest", form, n, len(content))
			} else if bad := (*dataset.Error)(nil); !errors.As(err, &bad) {
				t.Errorf("%s: %d bytes: error %v is no *Error", form, n, err)
			}
		}
	}
}

func TestJSONTrailing(t *testing.T) {
	t.Parallel()
	f := file([]string{"A string"}, `"a"`)
	tests := map[string]struct {
		content string
		want    error
	}{
		"value after json":        {f.json() + "1", dataset.ErrTrailing},
		"rubbish after json":      {f.json() + "\x00", dataset.ErrTrailing},
		"value after rows first":  {f.rowsFirst() + "{}", dataset.ErrTrailing},
		"row after ndjson":        {f.ndjson() + "[\"b\"]\n", dataset.ErrCount},
		"line after ndjson":       {f.ndjson() + "\n", dataset.ErrSyntax},
		"ndjson in one line":      {strings.ReplaceAll(f.ndjson(), "\n", " "), dataset.ErrSyntax},
		"row over lines":          {strings.Replace(f.ndjson(), `["a"]`, "[\n\"a\"]", 1), dataset.ErrSyntax},
		"bytes after gzip":        {string(gzipped(t, f.ndjson())) + "x", dataset.ErrTrailing},
		"member after gzip":       {string(gzipped(t, f.ndjson())) + string(gzipped(t, "")), dataset.ErrTrailing},
		"bytes after zlib":        {string(zlibbed(t, f.ndjson())) + "x", dataset.ErrTrailing},
		"compressed dataset-json": {string(gzipped(t, f.json())), dataset.ErrHeader},
		"compressed rows first":   {string(gzipped(t, strings.Replace(f.rowsFirst(), "{", `{"datasetJSONVersion":"1.1.0",`, 1))), dataset.ErrSyntax},
		"unknown member last":     {strings.TrimSuffix(f.json(), "}\n") + `,"x":1}`, dataset.ErrHeader},
		"rows twice":              {strings.TrimSuffix(f.json(), "}\n") + `,"rows":[]}`, dataset.ErrSyntax},
		"utf-16":                  {"\xff\xfe{\x00", dataset.ErrNotTable},
		"text":                    {"USUBJID\n", dataset.ErrNotTable},
		"pdf":                     {"%PDF-1.7", dataset.ErrNotTable},
		"empty":                   {"", dataset.ErrNotTable},
	}
	for name, tt := range tests {
		if _, err := digestOf(t, tt.content); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	last := strings.TrimSuffix(f.json(), "}\n") + `,"originator":"x"}`
	if _, err := digestOf(t, last); err != nil {
		t.Errorf("known member last: %v", err)
	}
}

// TestDSJCDamaged flips each bit of a compressed file: the checksum and the shape
// of the table leave no digest but that of the same table.
func TestDSJCDamaged(t *testing.T) {
	t.Parallel()
	f := file([]string{"A string"}, `"a"`, `"b"`)
	for form, packed := range map[string][]byte{"gzip": gzipped(t, f.ndjson()), "zlib": zlibbed(t, f.ndjson())} {
		want, err := digestOf(t, string(packed))
		if err != nil {
			t.Fatal(err)
		}
		for i := range packed {
			for bit := range 8 {
				bad := bytes.Clone(packed)
				bad[i] ^= 1 << bit
				// The header of gzip has a time stamp and an operating system.
				if got, err := digestOf(t, string(bad)); err == nil && got != want {
					t.Errorf("%s: byte %d bit %d: another digest", form, i, bit)
				}
			}
		}
	}
}

// endless gives a value's beginning and then the same byte for ever.
type endless struct {
	head string
	size int64
}

func (e *endless) Size() int64 { return e.size }

func (e *endless) ReadAt(p []byte, off int64) (int, error) {
	p = p[:min(int64(len(p)), e.size-off)]
	n := 0
	if off < int64(len(e.head)) {
		n = copy(p, e.head[off:])
	}
	for n < len(p) {
		n += copy(p[n:], fill)
	}
	return n, nil
}

var fill = strings.Repeat("x", 1<<16)

func TestJSONAbsurdLengths(t *testing.T) {
	t.Parallel()
	f := file([]string{"A string"}, `"a"`)
	sound := f.json()
	for name, head := range map[string]string{
		"cell":        sound[:strings.Index(sound, `"rows":[["`)+len(`"rows":[["`)],
		"label":       sound[:strings.Index(sound, `"label":"`)+len(`"label":"`)],
		"rows before": `{"datasetJSONVersion":"1.1.0","rows":[["`,
	} {
		r, err := dataset.Open(&endless{head: head, size: 5 << 30}, dataset.Options{})
		if err == nil {
			err = r.Next(make([]dataset.Value, 1))
		}
		if !errors.Is(err, dataset.ErrLimit) {
			t.Errorf("%s: got %v, want %v", name, err, dataset.ErrLimit)
		}
	}
}

func TestDSJCBomb(t *testing.T) {
	t.Parallel()
	f := file([]string{"A string"}, strings.Repeat(`"a"],[`, 1)+`"a"`)
	head, _, _ := strings.Cut(f.ndjson(), "\n")
	head = strings.Replace(head, `"records":1`, `"records":10000000`, 1) + "\n"
	bomb := head + strings.Repeat("[\"aaaaaaaa\"]\n", 2_000_000)
	for form, packed := range map[string][]byte{"gzip": gzipped(t, bomb), "zlib": zlibbed(t, bomb)} {
		if _, err := digestOf(t, string(packed)); !errors.Is(err, dataset.ErrLimit) {
			t.Errorf("%s: %d bytes for %d: got %v, want %v", form, len(packed), len(bomb), err, dataset.ErrLimit)
		}
	}
}

// TestJSONReadError holds that a disk's fault is not taken for the file's.
func TestJSONReadError(t *testing.T) {
	t.Parallel()
	fault := errors.New("input/output error")
	content := file([]string{"A string"}, strings.Repeat("x", 1<<17)).json()
	content = strings.Replace(content, strings.Repeat("x", 1<<17), `"`+strings.Repeat("x", 1<<17)+`"`, 1)
	for _, after := range []int64{0, 100, 70 << 10} {
		r, err := dataset.Open(&failing{strings.NewReader(content), after, fault}, dataset.Options{})
		if err == nil {
			err = r.Next(make([]dataset.Value, 1))
		}
		if bad := (*dataset.Error)(nil); !errors.Is(err, fault) || errors.As(err, &bad) {
			t.Errorf("after %d bytes: got %v, want %v", after, err, fault)
		}
	}
}

type failing struct {
	*strings.Reader

	after int64
	fault error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= f.after {
		return f.Reader.ReadAt(p, off)
	}
	n := max(f.after-off, 0)
	n0, err := f.Reader.ReadAt(p[:n], off)
	if err != nil {
		return n0, err
	}
	return n0, f.fault
}
