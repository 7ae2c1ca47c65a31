package datasettest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// JSON says how a file of Dataset-JSON is written. The zero value writes one JSON
// document, with its rows at the end.
type JSON struct {
	Lines     bool // NDJSON: a line for each row
	Compress  bool // DSJC: NDJSON, compressed with gzip
	RowsFirst bool // the rows before the columns; without Lines
}

type jsonColumn struct {
	ItemOID        string `json:"itemOID"`
	Name           string `json:"name"`
	Label          string `json:"label"`
	DataType       string `json:"dataType"`
	TargetDataType string `json:"targetDataType,omitempty"`
	DisplayFormat  string `json:"displayFormat,omitempty"`
	KeySequence    int    `json:"keySequence,omitempty"`
}

// Bytes returns a file that holds the table. Columns without a DataType become
// string, double or boolean. A missing number with a code cannot be written.
func (x JSON) Bytes(t *Table) ([]byte, error) {
	columns := make([]jsonColumn, len(t.Meta.Columns))
	for i, c := range t.Meta.Columns {
		columns[i] = jsonColumn{"IT." + c.Name, c.Name, c.Label, c.DataType, c.TargetDataType, c.Format, c.KeySequence}
		if c.DataType == "" {
			columns[i].DataType = map[dataset.Type]string{dataset.Numeric: "double", dataset.Character: "string", dataset.Boolean: "boolean"}[c.Type]
		}
		if c.Label == "" {
			columns[i].Label = c.Name
		}
	}
	described, err := json.Marshal(columns)
	if err != nil {
		return nil, err
	}
	rows := make([]string, len(t.Rows))
	for i, row := range t.Rows {
		if rows[i], err = jsonRow(row, columns); err != nil {
			return nil, fmt.Errorf("row %d %w", i+1, err)
		}
	}
	head := fmt.Sprintf(`{"datasetJSONCreationDateTime":"2024-01-01T00:00:00","datasetJSONVersion":"1.1.0","itemGroupOID":"IG.%s","records":%d,"name":%q,"label":%q`,
		t.Meta.Name, len(rows), t.Meta.Name, t.Meta.Label)
	members := []string{`"columns":` + string(described), `"rows":[` + strings.Join(rows, ",\n") + `]`}
	switch {
	case x.Lines || x.Compress:
		text := strings.Join(append([]string{head + "," + members[0] + "}"}, rows...), "\n") + "\n"
		if x.Compress {
			return compress(text)
		}
		return []byte(text), nil
	case x.RowsFirst:
		members[0], members[1] = members[1], members[0]
	}
	return []byte(head + "," + strings.Join(members, ",") + "}"), nil
}

func compress(text string) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

func jsonRow(row []dataset.Value, columns []jsonColumn) (string, error) {
	cells := make([]string, len(row))
	for i, v := range row {
		cell, err := jsonCell(v, columns[i])
		if err != nil {
			return "", fmt.Errorf("column %s: %w", columns[i].Name, err)
		}
		cells[i] = cell
	}
	return "[" + strings.Join(cells, ",") + "]", nil
}

func jsonCell(v dataset.Value, c jsonColumn) (string, error) {
	switch v.Kind() {
	case dataset.KindText:
		b, err := json.Marshal(v.Text())
		return string(b), err
	case dataset.KindBool:
		return strconv.FormatBool(v.Bool()), nil
	case dataset.KindMissing:
		if v.Code() == '.' {
			return "null", nil
		}
	case dataset.KindNumber:
		f, exact := v.Float64()
		if exact {
			return jsonNumber(f, c), nil
		}
	case dataset.KindNone:
	}
	return "", fmt.Errorf("the format has no place for %v", v)
}

// jsonNumber spells a number; with the target type integer as the date or time
// that it counts.
func jsonNumber(f float64, c jsonColumn) string {
	epoch := time.Date(1960, time.January, 1, 0, 0, 0, 0, time.UTC)
	switch c.DataType + ">" + c.TargetDataType {
	case "date>integer":
		return epoch.AddDate(0, 0, int(f)).Format(`"2006-01-02"`)
	case "datetime>integer":
		return time.Unix(epoch.Unix()+int64(f), 0).UTC().Format(`"2006-01-02T15:04:05"`)
	case "time>integer":
		return epoch.Add(time.Duration(f) * time.Second).Format(`"15:04:05"`)
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if c.DataType == "decimal" {
		return strconv.Quote(text)
	}
	return text
}
