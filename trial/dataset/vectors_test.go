package dataset_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

var updateVectors = flag.Bool("update", false, "write testdata/vectors.json anew")

// The vectors, as other languages read them.
type (
	vectors struct {
		Version string        `json:"version"`
		About   []string      `json:"about"`
		Tables  []vectorTable `json:"tables"`
		Files   []vectorFile  `json:"files"`
	}
	vectorColumn struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	vectorTable struct {
		Name    string         `json:"name"`
		Columns []vectorColumn `json:"columns"`
		Rows    [][]any        `json:"rows"`
		Encoded string         `json:"encoded"`
		Digest  string         `json:"digest"`
	}
	vectorFile struct {
		Name     string `json:"name"`
		Format   string `json:"format"`
		Encoding string `json:"encoding,omitempty"`
		Base64   string `json:"base64"`
		Rows     uint64 `json:"rows,omitempty"`
		Digest   string `json:"digest,omitempty"`
		Error    string `json:"error,omitempty"`
		Message  string `json:"message,omitempty"`
	}
)

var aboutVectors = []string{
	"Worked examples of the content digest tn-table-v1, which docs/content-digest.md describes.",
	"A cell is a string for text, true or false, {\"missing\": CODE}, {\"number\": DECIMAL} for the nearest binary64, or {\"mantissa\": DECIMAL, \"exponent\": INTEGER} for mantissa times 2 to the exponent.",
	"encoded is the bytes that are hashed, in hexadecimal. A file has a digest or an error, never both; message is in words of this implementation.",
}

type object = map[string]any

// vectorCell makes a value of a cell.
func vectorCell(t *testing.T, cell any) dataset.Value {
	t.Helper()
	switch c := cell.(type) {
	case string:
		return dataset.Text(c)
	case bool:
		return dataset.Bool(c)
	case object:
		if code, ok := c["missing"].(string); ok {
			return dataset.Missing(code[0])
		}
		var f float64
		if s, ok := c["number"].(string); ok {
			if _, err := fmt.Sscan(s, &f); err != nil {
				t.Fatal(err)
			}
			return dataset.Number(f)
		}
		var mant uint64
		s := c["mantissa"].(string)
		if _, err := fmt.Sscan(strings.TrimPrefix(s, "-"), &mant); err != nil {
			t.Fatal(err)
		}
		exp, err := c["exponent"].(json.Number).Int64()
		if err != nil {
			t.Fatal(err)
		}
		return dataset.ExactNumber(s[0] == '-', mant, int(exp))
	}
	t.Fatalf("cell %v", cell)
	return dataset.Value{}
}

func number(s string) object  { return object{"number": s} }
func missing(s string) object { return object{"missing": s} }
func exact(mant string, exp int) object {
	return object{"mantissa": mant, "exponent": json.Number(fmt.Sprint(exp))}
}

func tablesOfVectors() []vectorTable {
	codes := [][]any{{missing(".")}, {missing("_")}}
	for c := 'A'; c <= 'Z'; c++ {
		codes = append(codes, []any{missing(string(c))})
	}
	return []vectorTable{
		{
			Name: "two variables, as in the description", Columns: []vectorColumn{{"USUBJID", "C"}, {"Age", "N"}},
			Rows: [][]any{{"01-001", number("63")}, {"01-002", missing(".")}},
		},
		{Name: "no rows", Columns: []vectorColumn{{"A", "N"}}, Rows: [][]any{}},
		{
			Name: "numbers", Columns: []vectorColumn{{"X", "N"}},
			Rows: [][]any{
				{number("0")}, {number("-0")}, {number("1")}, {number("-1")}, {number("254")}, {number("-0.5")}, {number("0.1")},
				{number("1e300")}, {number("5e-324")}, {number("9007199254740991")}, {number("9007199254740992")},
				{exact("72057594037927935", -56)}, {exact("-72057594037927935", 196)}, {exact("1", -312)}, {exact("96", 0)},
			},
		},
		{Name: "missing numbers", Columns: []vectorColumn{{"X", "N"}}, Rows: codes},
		{
			Name: "text", Columns: []vectorColumn{{"T", "C"}},
			Rows: [][]any{
				{""}, {"   "}, {" a "}, {"a\t"}, {"Z\u00fcrich"}, {"Zu\u0308rich"}, {"\u65e5\u672c\u8a9e"}, {"a\u00a0"}, {"a\u0000"},
				{strings.Repeat("x", 127)}, {strings.Repeat("x", 128)}, {strings.Repeat("y", 300)},
			},
		},
		{Name: "truth values", Columns: []vectorColumn{{"B", "B"}}, Rows: [][]any{{true}, {false}, {missing(".")}}},
		{
			Name: "names are sorted by their bytes in ASCII upper case", Columns: []vectorColumn{{"b", "N"}, {"_", "N"}, {"\u00e9", "N"}, {"A2", "C"}, {"a10", "B"}, {"A", "C"}},
			Rows: [][]any{{number("1"), number("2"), number("3"), "4", true, "6"}},
		},
	}
}

// TestVectors holds the digest, and every reader, to the published examples.
func TestVectors(t *testing.T) {
	path := filepath.Join("testdata", "vectors.json")
	if *updateVectors {
		writeVectors(t, path)
	}
	got := readVectors(t, path)
	for _, table := range got.Tables {
		if digest := tableOfVector(t, table); hex.EncodeToString(digest.Digest[:]) != table.Digest {
			t.Errorf("%s: got %x, want %s", table.Name, digest.Digest, table.Digest)
		}
	}
	for _, f := range got.Files {
		want := f
		fillFile(t, &f)
		if f != want {
			t.Errorf("%s: got %+v, want %+v", f.Name, f, want)
		}
	}
}

func readVectors(t *testing.T, path string) vectors {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func tableOfVector(t *testing.T, table vectorTable) dataset.Result {
	t.Helper()
	m := &datasettest.Table{Meta: dataset.Meta{Rows: -1}}
	for _, c := range table.Columns {
		m.Meta.Columns = append(m.Meta.Columns, dataset.Column{Name: c.Name, Type: dataset.Type(c.Type[0])})
	}
	for _, cells := range table.Rows {
		var row []dataset.Value
		for _, c := range cells {
			row = append(row, vectorCell(t, c))
		}
		m.Rows = append(m.Rows, row)
	}
	return digest(t, m.Reader())
}

// fillFile computes what a file's vector says.
func fillFile(t *testing.T, f *vectorFile) {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(f.Base64)
	if err != nil {
		t.Fatal(err)
	}
	f.Rows, f.Digest, f.Error, f.Message = 0, "", "", ""
	r, err := dataset.Open(bytes.NewReader(b), dataset.Options{Encoding: f.Encoding})
	var result dataset.Result
	if err == nil {
		result, err = dataset.Digest(t.Context(), r)
	}
	if err != nil {
		f.Message = err.Error()
		f.Error = errors.Unwrap(err).Error()
		return
	}
	f.Rows, f.Digest = result.Rows, hex.EncodeToString(result.Digest[:])
}

// writeVectors makes the file anew. What it writes is checked against the
// reference of the description, which shares no code with this package.
func writeVectors(t *testing.T, path string) {
	t.Helper()
	v := vectors{Version: dataset.Version, About: aboutVectors, Tables: tablesOfVectors(), Files: filesOfVectors(t)}
	for i, line := range reference(t, v.Tables) {
		v.Tables[i].Encoded, v.Tables[i].Digest, _ = strings.Cut(line, " ")
	}
	for i := range v.Files {
		fillFile(t, &v.Files[i])
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

const pythonMain = `
import json, sys

def cell(c):
    if isinstance(c, dict):
        if "missing" in c:
            return c["missing"].encode()
        if "number" in c:
            return Fraction(float(c["number"]))
        return int(c["mantissa"]) * Fraction(2) ** c["exponent"]
    return c

for t in json.load(sys.stdin):
    columns = [(c["name"], c["type"]) for c in t["columns"]]
    rows = [[cell(c) for c in row] for row in t["rows"]]
    print(encode(columns, rows).hex(), digest(columns, rows))
`

// reference runs the description's own program over tables, and returns a line
// for each: the bytes that are hashed, and the digest.
func reference(t *testing.T, tables []vectorTable) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to run the program of the description")
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "content-digest.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(page), "```python\n")
	program, _, found := strings.Cut(program, "```")
	if !found {
		t.Fatal("no program in the description")
	}
	in, err := json.Marshal(tables)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", program+pythonMain)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(tables) {
		t.Fatalf("got %d lines, want %d", len(lines), len(tables))
	}
	return lines
}

// The program in the description gives the published bytes and digests.
func TestVectorsPython(t *testing.T) {
	tables := readVectors(t, filepath.Join("testdata", "vectors.json")).Tables
	for i, line := range reference(t, tables) {
		if want := tables[i].Encoded + " " + tables[i].Digest; line != want {
			t.Errorf("%s: got %s, want %s", tables[i].Name, line, want)
		}
	}
}

// The worked example of the description is the first vector.
func TestContentDigestPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "content-digest.md"))
	if err != nil {
		t.Fatal(err)
	}
	first := readVectors(t, filepath.Join("testdata", "vectors.json")).Tables[0]
	_, example, _ := strings.Cut(string(page), "### An example")
	_, block, _ := strings.Cut(example, "```\n")
	block, rest, _ := strings.Cut(block, "```")
	var encoded strings.Builder
	for line := range strings.Lines(block) {
		bytes, _, _ := strings.Cut(line, "   ")
		encoded.WriteString(strings.ReplaceAll(strings.TrimSpace(bytes), " ", ""))
	}
	if encoded.String() != first.Encoded {
		t.Errorf("the page has %s, the vector %s", encoded.String(), first.Encoded)
	}
	if !strings.Contains(rest, "`"+first.Digest+"`") {
		t.Errorf("the page does not give the digest %s", first.Digest)
	}
}

func filesOfVectors(t *testing.T) []vectorFile {
	t.Helper()
	table := datasettest.New("DM", datasettest.Columns("C8 USUBJID", "N8 AGE", "N3 SITE", "N8 BRTHDT"),
		[]any{"01-001", 63, 701, -8766}, []any{" x", dataset.Missing('A'), dataset.Missing('_'), nil}, []any{"01-003", 0.1, 704, 0})
	plain := table.Clone()
	plain.Rows[1][1], plain.Rows[1][2] = dataset.Missing('.'), dataset.Missing('.')
	x5, x8 := xptFile(t, datasettest.XPT{}, table), xptFile(t, datasettest.XPT{Version: 8}, table)
	const head = `{"datasetJSONCreationDateTime":"2024-01-01T00:00:00","datasetJSONVersion":"1.1.0","itemGroupOID":"IG.DM","records":3,"name":"DM","label":"Demographics","columns":[
{"itemOID":"IT.USUBJID","name":"USUBJID","label":"Subject","dataType":"string","length":8},
{"itemOID":"IT.AGE","name":"AGE","label":"Age","dataType":"double"},
{"itemOID":"IT.SITE","name":"SITE","label":"Site","dataType":"integer"},
{"itemOID":"IT.BRTHDT","name":"BRTHDT","label":"Birth","dataType":"date","targetDataType":"integer","displayFormat":"DATE9."}]`
	rows := []string{`["01-001",63,701,"1936-01-01"]`, `[" x",null,null,null]`, `["01-003",0.1,704,"1960-01-01"]`}
	ndjson := strings.ReplaceAll(head, "\n", "") + "}\n" + strings.Join(rows, "\n") + "\n"
	var dsjc bytes.Buffer
	z := gzip.NewWriter(&dsjc)
	_, _ = z.Write([]byte(ndjson))
	_ = z.Close()
	whole := head + `,"rows":[` + strings.Join(rows, ",\n") + "]}"
	file := func(name string, format dataset.Format, b []byte) vectorFile {
		return vectorFile{Name: name, Format: string(format), Base64: base64.StdEncoding.EncodeToString(b)}
	}
	latin := datasettest.New("T", datasettest.Columns("C8 A"), []any{"Z?rich"})
	latin1 := bytes.Replace(xptFile(t, datasettest.XPT{}, latin), []byte("Z?rich"), []byte("Z\xfcrich"), 1)
	blank := datasettest.New("T", datasettest.Columns("C20 A"), []any{"a"}, []any{nil}, []any{"c"}, []any{nil})
	counts := func(n int) []byte {
		b := bytes.Clone(x8)
		copy(b[bytes.Index(b, []byte("OBSV8"))+28:], fmt.Sprintf("%15d", n))
		return b
	}
	named := file("windows-1252", dataset.XPT5, latin1)
	named.Encoding = "windows-1252"
	return []vectorFile{
		file("missing codes and a short number", dataset.XPT5, x5),
		file("the same in version 8", dataset.XPT8, x8),
		file("no codes", dataset.XPT5, xptFile(t, datasettest.XPT{}, plain)),
		file("the same in Dataset-JSON", dataset.DatasetJSON, []byte(whole)),
		file("the same in NDJSON", dataset.NDJSON, []byte(ndjson)),
		file("the same in DSJC", dataset.DSJC, dsjc.Bytes()),
		file("a blank row in the padding is none", dataset.XPT5, xptFile(t, datasettest.XPT{}, blank)),
		file("a blank row that is counted is one", dataset.XPT8, xptFile(t, datasettest.XPT{Version: 8}, blank)),
		named,
		file("windows-1252 and nobody said so", dataset.XPT5, latin1),
		file("one row more in the header", dataset.XPT8, counts(4)),
		file("file cut in a record", dataset.XPT5, x5[:len(x5)-1]),
		file("several tables", dataset.XPT5, append(bytes.Clone(x5), x5[240:]...)),
		file("a partial date where a number is due", dataset.NDJSON, []byte(strings.Replace(ndjson, "1960-01-01", "1960-01", 1))),
		file("one row more than records", dataset.NDJSON, []byte(strings.Replace(ndjson, `"records":3`, `"records":2`, 1))),
		file("no table", dataset.FormatUnknown, []byte("hello")),
	}
}
