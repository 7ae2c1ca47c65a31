package dataset_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

func xptFile(tb testing.TB, x datasettest.XPT, table *datasettest.Table) []byte {
	tb.Helper()
	b, err := x.Bytes(table)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// digestXPT returns the digest of a transport file, or the error of reading it.
func digestXPT(tb testing.TB, b []byte, o dataset.Options) (dataset.Result, error) {
	tb.Helper()
	r, err := dataset.Open(bytes.NewReader(b), o)
	if err != nil {
		return dataset.Result{}, err
	}
	defer r.Close()
	return dataset.Digest(tb.Context(), r)
}

// readAll returns the rows of a transport file.
func readXPT(tb testing.TB, b []byte, o dataset.Options) (*dataset.Meta, [][]dataset.Value) {
	tb.Helper()
	r, err := dataset.Open(bytes.NewReader(b), o)
	if err != nil {
		tb.Fatal(err)
	}
	var rows [][]dataset.Value
	for {
		row := make([]dataset.Value, len(r.Meta().Columns))
		switch err := r.Next(row); {
		case errors.Is(err, io.EOF):
			return r.Meta(), rows
		case err != nil:
			tb.Fatal(err)
		}
		rows = append(rows, row)
	}
}

var versions = []datasettest.XPT{{}, {NULs: true}, {Version: 8}, {Version: 8, Uncounted: true}}

func TestXPTGivesBackWhatWasWritten(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	tables := []*datasettest.Table{datasettest.Edge(), datasettest.Subjects(300)}
	for range 60 {
		tables = append(tables, randomTable(random))
	}
	for i, table := range tables {
		want := digest(t, table.Reader())
		for _, x := range versions {
			b := xptFile(t, x, table)
			if _, rows := readXPT(t, b, dataset.Options{}); !slices.EqualFunc(rows, table.Rows, slices.Equal[[]dataset.Value]) {
				t.Fatalf("table %d, %+v: rows differ", i, x)
			}
			if got, err := digestBoth(t, b); err != nil || got != want {
				t.Fatalf("table %d, %+v: got %x, %v, want %x", i, x, got.Digest, err, want.Digest)
			}
		}
	}
}

// randomTable makes a table whose last row is never blank: version 5 could not
// tell it from padding.
func randomTable(random *rand.Rand) *datasettest.Table {
	var columns []dataset.Column
	for i := range 1 + random.IntN(9) {
		c := dataset.Column{Name: fmt.Sprintf("V%d", i), Type: dataset.Numeric, Length: 3 + random.IntN(6)}
		if random.IntN(2) == 0 {
			c.Type, c.Length = dataset.Character, 1+random.IntN(100)
		}
		columns = append(columns, c)
	}
	columns = append(columns, dataset.Column{Name: "LAST", Type: dataset.Character, Length: 1})
	t := datasettest.New("RANDOM", columns)
	for range random.IntN(40) {
		row := make([]dataset.Value, len(columns))
		for i, c := range columns {
			switch {
			case c.Name == "LAST":
				row[i] = dataset.Text("X")
			case c.Type == dataset.Character:
				row[i] = dataset.Text(strings.Repeat([]string{" ", "a", "Z9", "é"}[random.IntN(4)], random.IntN(1+c.Length/2)))
			case random.IntN(6) == 0:
				row[i] = dataset.Missing("._ABZ"[random.IntN(5)])
			default:
				mant := random.Uint64N(1 << (8*c.Length - 11))
				row[i] = dataset.ExactNumber(random.IntN(2) == 0, mant, random.IntN(400)-250)
			}
		}
		t.Rows = append(t.Rows, row)
	}
	t.Meta.Rows = int64(len(t.Rows))
	return t
}

func TestXPTMetadata(t *testing.T) {
	table := datasettest.New("DM", datasettest.Columns("C12 STUDYID", "N8 BRTHDT"), []any{"S1", 1})
	table.Meta.Label = "Demographics"
	table.Meta.Columns[1].Label, table.Meta.Columns[1].Format = "Date of Birth", "DATE."
	for _, x := range versions {
		meta, _ := readXPT(t, xptFile(t, x, table), dataset.Options{})
		if meta.Name != "DM" || meta.Label != "Demographics" || meta.Encoding != "utf-8" {
			t.Errorf("%+v: got %+v", x, meta)
		}
		if c := meta.Columns[1]; c.Name != "BRTHDT" || c.Label != "Date of Birth" || c.Format != "DATE." || c.Length != 8 || c.Type != dataset.Numeric {
			t.Errorf("%+v: got %+v", x, c)
		}
		if got := meta.Source["created"]; got != "01JAN20:00:00:00" {
			t.Errorf("%+v: created %q", x, got)
		}
		want, rows := dataset.XPT5, int64(-1)
		if x.Version == 8 {
			want = dataset.XPT8
		}
		if x.Version == 8 && !x.Uncounted {
			rows = 1
		}
		if meta.Format != want || meta.Rows != rows {
			t.Errorf("%+v: got %s and %d rows, want %s and %d", x, meta.Format, meta.Rows, want, rows)
		}
	}
}

func TestXPT8LongNamesAndLabels(t *testing.T) {
	long, format := strings.Repeat("A long label. ", 9)+"End", "my_long_format8."
	table := datasettest.New("A_LONG_NAME_OF_A_DATASET", datasettest.Columns("C3 A_LONG_NAME_OF_A_VARIABLE_1", "C3 A_LONG_NAME_OF_A_VARIABLE_2", "N8 X"),
		[]any{"a", "b", 1})
	table.Meta.Columns[1].Label = long
	for _, formats := range []string{"", format} {
		table.Meta.Columns[2].Format = formats
		meta, rows := readXPT(t, xptFile(t, datasettest.XPT{Version: 8}, table), dataset.Options{})
		if meta.Name != table.Meta.Name || meta.Columns[0].Name != table.Meta.Columns[0].Name {
			t.Errorf("got names %q and %q", meta.Name, meta.Columns[0].Name)
		}
		if meta.Columns[1].Label != long || meta.Columns[2].Format != formats {
			t.Errorf("got label %q and format %q", meta.Columns[1].Label, meta.Columns[2].Format)
		}
		if len(rows) != 1 || rows[0][1] != dataset.Text("b") {
			t.Errorf("got rows %v", rows)
		}
	}
}

// Version 5 does not say how many rows there are.
func TestXPTPadding(t *testing.T) {
	row := func(s string) []any { return []any{s} }
	for _, c := range []struct {
		rows        []string
		held, held8 int
	}{
		{nil, 0, 0},
		{[]string{"a"}, 1, 1},
		{[]string{"a", "b", "c", "d"}, 4, 4},      // 80 bytes, no padding
		{[]string{"a", "", "c"}, 3, 3},            // a blank row before another
		{[]string{"a", "", ""}, 1, 3},             // blank rows in the padding
		{[]string{"a", "b", "c", ""}, 3, 4},       // a blank row where no padding is needed
		{[]string{"", "", "", ""}, 1, 4},          // the tail is less than a record
		{[]string{"", "", "", "", "e"}, 5, 5},     // blank rows at the start
		{[]string{"a", "", "", "", "", ""}, 5, 6}, // 140 blank bytes, of which at most 79 are padding
		{slices.Repeat([]string{"x"}, 1000), 1000, 1000},
	} {
		table := datasettest.New("T", datasettest.Columns("C20 A"))
		for _, s := range c.rows {
			table.Rows = append(table.Rows, datasettest.New("", table.Meta.Columns, row(s)).Rows...)
		}
		for _, x := range versions {
			want := c.held
			if x.Version == 8 && !x.Uncounted && len(c.rows) > 0 {
				want = c.held8
			}
			if _, rows := readXPT(t, xptFile(t, x, table), dataset.Options{}); len(rows) != want {
				t.Errorf("%.40q, %+v: got %d rows, want %d", c.rows, x, len(rows), want)
			}
		}
	}
}

func TestXPTEncoding(t *testing.T) {
	word := "Zürich €"
	latin, err := charmap.Windows1252.NewEncoder().String(word)
	if err != nil {
		t.Fatal(err)
	}
	table := datasettest.New("T", datasettest.Columns("C10 A"), []any{word})
	table.Meta.Label = latin
	b := bytes.Replace(xptFile(t, datasettest.XPT{}, datasettest.New("T", datasettest.Columns("C10 A"), []any{"Z*rich *"})),
		[]byte("Z*rich *"), []byte(latin), 1)
	meta, rows := readXPT(t, b, dataset.Options{Encoding: "Windows-1252"})
	if meta.Encoding != "windows-1252" || rows[0][0] != dataset.Text(word) {
		t.Errorf("got %v in %s", rows[0][0], meta.Encoding)
	}
	want := digest(t, datasettest.New("T", datasettest.Columns("C10 A"), []any{word}).Reader())
	if got, err := digestXPT(t, b, dataset.Options{Encoding: "WINDOWS-1252"}); err != nil || got != want {
		t.Errorf("got %v, %v, want the digest of the same text", got, err)
	}
	for name, c := range map[string]struct {
		encoding string
		want     error
		says     string
	}{
		"never guessed":   {"", dataset.ErrText, "row 1 column A: bytes 5afc7269636820"},
		"another":         {"utf-8", dataset.ErrText, "are not utf-8: if the file is in another encoding, name it"},
		"undefined bytes": {"shift_jis", dataset.ErrText, "row 1 column A"},
		"unknown":         {"klingon", dataset.ErrEncoding, `encoding "klingon" is not known`},
		"no ASCII":        {"utf-16", dataset.ErrEncoding, "does not hold ASCII as it is"},
		"EBCDIC":          {"ibm037", dataset.ErrEncoding, "does not hold ASCII as it is"},
	} {
		if _, err := digestXPT(t, b, dataset.Options{Encoding: c.encoding}); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %s", name, err, c.says)
		}
	}
}

// Every byte of the rows counts.
func TestXPTOneByteChanged(t *testing.T) {
	table := datasettest.Edge()
	for _, x := range []datasettest.XPT{{}, {Version: 8}} {
		b := xptFile(t, x, table)
		want, err := digestXPT(t, b, dataset.Options{})
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.LastIndex(b, []byte("HEADER RECORD*")) + 80
		for i := data; i < len(b); i++ {
			b[i] ^= 1
			if got, err := digestBoth(t, b); err == nil && got == want {
				t.Errorf("%+v: byte %d can be changed", x, i)
			}
			b[i] ^= 1
		}
	}
}

func TestXPTRealFiles(t *testing.T) {
	older := datasettest.Data(t, "phuse-scripts", "adam", "TDF_ADaM_v1.0", "adsl.xpt")
	newer := datasettest.Data(t, "cdisc-datasetjson", "adam", "adsl.xpt")
	var files [][]byte
	var results []dataset.Result
	for _, path := range []string{older, newer} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := digestXPT(t, b, dataset.Options{})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		files, results = append(files, b), append(results, got)
	}
	if bytes.Equal(files[0], files[1]) || results[0] != results[1] || results[0].Rows != 254 || results[0].Columns != 49 {
		t.Errorf("ADSL of 2018 and 2022: got %+v, want different bytes and one digest of 254 × 49", results)
	}
	paths, err := filepath.Glob(filepath.Join(datasettest.Data(t, "cdisc-datasetjson"), "*", "*.xpt"))
	if err != nil || len(paths) < 11 {
		t.Fatalf("got %d files, %v", len(paths), err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := digestXPT(t, b, dataset.Options{}); err != nil || got.Rows == 0 {
			t.Errorf("%s: got %d rows, %v", path, got.Rows, err)
		}
	}
}

func TestXPTRefuses(t *testing.T) {
	table := datasettest.New("DM", datasettest.Columns("C12 USUBJID", "N8 AGE", "N4 SEX"))
	for i := range 254 {
		table.Rows = append(table.Rows, datasettest.New("", table.Meta.Columns, []any{fmt.Sprint(i), 20 + i%60, 1}).Rows...)
	}
	v5, v8 := xptFile(t, datasettest.XPT{}, table), xptFile(t, datasettest.XPT{Version: 8}, table)
	const names, first = 8 * 80, 8*80 + 0
	data := bytes.LastIndex(v5, []byte("HEADER RECORD*")) + 80
	set := func(b []byte, at int, s string) []byte {
		c := bytes.Clone(b)
		copy(c[at:], s)
		return c
	}
	short := func(b []byte, at int, v uint16) []byte {
		return set(b, at, string(binary.BigEndian.AppendUint16(nil, v)))
	}
	longLabel := table.Clone()
	longLabel.Meta.Columns[0].Label = strings.Repeat("l", 41)
	labels := xptFile(t, datasettest.XPT{Version: 8}, longLabel)
	label := bytes.Index(labels, []byte("LABELV8")) + 60
	twice := table.Clone()
	twice.Meta.Columns[1].Name = "usubjid"
	counts := func(n int) []byte {
		return set(v8, bytes.Index(v8, []byte("OBSV8"))+28, fmt.Sprintf("%15d", n))
	}
	for name, c := range map[string]struct {
		file []byte
		want error
		says string
	}{
		"empty":                      {nil, dataset.ErrNotTable, "no format with a table"},
		"no transport file":          {bytes.Repeat([]byte("x"), 800), dataset.ErrNotTable, "no format with a table"},
		"damaged library header":     {set(v5, 14, "X"), dataset.ErrNotTable, "no format with a table"},
		"file cut in its first line": {v5[:79], dataset.ErrTruncated, "record 1: file ends in its header, after 79 bytes"},
		"damaged member header":      {set(v5, 3*80, "h"), dataset.ErrHeader, "record 4: want a header record MEMBER"},
		"mixed versions":             {append(bytes.Clone(v8[:240]), v5[240:]...), dataset.ErrHeader, "record 4: want a header record MEMBV8"},
		"damaged descriptor header":  {set(v5, 4*80+20, "DSCR   "), dataset.ErrHeader, "record 5"},
		"size of a description":      {set(v5, 3*80+74, "0150"), dataset.ErrHeader, "record 4: a description of a variable has"},
		"VAX sizes in version 8":     {set(v8, 3*80+74, "0136"), dataset.ErrHeader, "record 4"},
		"damaged names header":       {set(v5, 7*80+30, "!"), dataset.ErrHeader, "record 8"},
		"number of variables":        {set(v5, 7*80+54, "00x3"), dataset.ErrHeader, "record 8: number of variables is"},
		"no variables":               {set(v5, 7*80+54, "0000"), dataset.ErrHeader, "record 8"},
		"absurdly many variables":    {set(v5, 7*80+54, "9999"), dataset.ErrTruncated, "record 8: header says 9999 variables, which need 1399860 bytes"},
		"too many variables":         {set(v5, 7*80+52, "999999"), dataset.ErrLimit, "record 8: header says 999999 variables, at most 32767"},
		"one variable fewer":         {set(v5, 7*80+54, "0002"), dataset.ErrHeader, "padding is not blank"},
		"a type of its own":          {short(v5, first, 3), dataset.ErrHeader, "record 9: variable USUBJID is of type 3"},
		"a length of zero":           {short(v5, first+4, 0), dataset.ErrLimit, "record 9: variable USUBJID has a length of 0"},
		"an absurd length":           {short(v5, first+4, 40000), dataset.ErrLimit, "variable USUBJID has a length of 40000"},
		"a number of nine bytes":     {short(v5, first+140+4, 9), dataset.ErrLimit, "record 10: variable AGE has a length of 9"},
		"variables that overlap":     {short(v5, first+140+86, 11), dataset.ErrHeader, "variable AGE is at byte 11 of a row, want 12"},
		"a gap between variables":    {short(v5, first+140+86, 13), dataset.ErrHeader, "variable AGE is at byte 13"},
		"an absurd position":         {short(v5, first+140+84, 0xffff), dataset.ErrLimit, "variable AGE is at byte"},
		"a variable without a name":  {set(v5, first+8, "        "), dataset.ErrColumns, "column 1: column has no name"},
		"a name twice":               {xptFile(t, datasettest.XPT{}, twice), dataset.ErrColumns, "column 2: name USUBJID is there twice"},
		"a name that is not UTF-8":   {set(v5, first+8, "\xff"), dataset.ErrText, "record 9: name of a variable is not utf-8"},
		"file cut in its head":       {v5[:names+100], dataset.ErrTruncated, "record 8: header says 3 variables"},
		"file cut in a record":       {v5[:len(v5)-7], dataset.ErrTruncated, "its last record is cut after 73 of 80"},
		"file cut in a row":          {v5[:data+80], dataset.ErrTruncated, "last row is cut after 8 of 24 bytes"},
		"padding with something":     {set(v5, len(v5)-1, "x"), dataset.ErrTruncated, "last row is cut"},
		"no number":                  {set(v5, data+12, "a\x00\x00\x00\x00\x00\x00\x00"), dataset.ErrNumber, "row 1 column AGE: bytes 6100000000000000 are neither"},
		"blanks for a number":        {set(v5, data+24+20, "\x7f\x00\x00\x00"), dataset.ErrNumber, "row 2 column SEX: bytes 7f000000"},
		"text that is not UTF-8":     {set(v5, data+24, "\xc3("), dataset.ErrText, "row 2 column USUBJID: bytes c328"},
		"one row more in the header": {counts(255), dataset.ErrCount, "record 15: header says 255 rows, file holds 254"},
		"fewer rows in the header":   {counts(250), dataset.ErrCount, "record 15: header says 250 rows, file holds 254"},
		"absurdly many rows":         {counts(999999999999999), dataset.ErrCount, "record 15: header says 999999999999999 rows, file holds 254"},
		"number of rows":             {set(v8, bytes.Index(v8, []byte("OBSV8"))+28, "            -12"), dataset.ErrHeader, "record 15: number of rows is"},
		"several tables":             {append(bytes.Clone(v5), v5[240:]...), dataset.ErrMembers, "file holds several tables"},
		"several tables, version 8":  {append(bytes.Clone(v8), v8[240:]...), dataset.ErrMembers, "record 93: file holds several tables"},
		"two files in one":           {append(bytes.Clone(v5), v5...), dataset.ErrMembers, "file holds several tables"},
		"records behind":             {append(bytes.Clone(v8), bytes.Repeat([]byte(" "), 80)...), dataset.ErrCount, "header says 254 rows"},
		"too many long labels":       {set(labels, label-12, "9"), dataset.ErrHeader, "number of long labels is"},
		"long label of nobody":       {short(labels, label, 9), dataset.ErrHeader, "long label of variable number 9, which is not there"},
		"long label of another":      {short(labels, label, 2), dataset.ErrHeader, `calls it "USUBJID", its description "AGE"`},
		"absurd long label":          {short(labels, label+4, 60000), dataset.ErrLimit, "a long label has 60000 bytes"},
	} {
		got, err := digestXPT(t, c.file, dataset.Options{})
		var e *dataset.Error
		if !errors.Is(err, c.want) || !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v: %s", name, err, c.want, c.says)
		}
		if got != (dataset.Result{}) {
			t.Errorf("%s: a digest beside the error", name)
		}
		_, _ = digestBoth(t, c.file)
	}
}

// plain hides that a reader encodes its rows itself.
type plain struct{ dataset.Reader }

// The two ways to a digest agree, errors included.
func digestBoth(tb testing.TB, b []byte) (dataset.Result, error) {
	tb.Helper()
	open := func() dataset.Reader {
		r, err := dataset.Open(bytes.NewReader(b), dataset.Options{})
		if err != nil {
			return nil
		}
		return r
	}
	r := open()
	if r == nil {
		return dataset.Result{}, dataset.ErrNotTable
	}
	fast, errFast := dataset.Digest(tb.Context(), r)
	slow, errSlow := dataset.Digest(tb.Context(), plain{open()})
	if fast != slow || fmt.Sprint(errFast) != fmt.Sprint(errSlow) {
		tb.Fatalf("got %x, %v and %x, %v", fast.Digest, errFast, slow.Digest, errSlow)
	}
	return fast, errFast
}

func FuzzXPT(f *testing.F) {
	for _, table := range []*datasettest.Table{
		datasettest.Edge(), datasettest.Subjects(2),
		datasettest.New("T", datasettest.Columns("C20 A"), []any{"a"}, []any{nil}),
	} {
		for _, x := range versions {
			f.Add(xptFile(f, x, table))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := digestBoth(t, b); err != nil && got != (dataset.Result{}) {
			t.Errorf("a digest beside the error %v", err)
		}
	})
}
