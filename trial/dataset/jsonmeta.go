package dataset

import (
	"fmt"
	"regexp"
)

// jsonTable is what a Dataset-JSON or NDJSON file says about its table.
type jsonTable struct {
	meta    Meta
	convert []conversion // one a column

	seen map[string]bool // members of the top level
}

// required are the members that Dataset-JSON 1.1 demands, but for the rows.
var required = []string{"datasetJSONCreationDateTime", "datasetJSONVersion", "itemGroupOID", "records", "name", "label", "columns"}

// The patterns of Dataset-JSON 1.1's schema.
var (
	jsonVersion = regexp.MustCompile(`^1\.1(\.(0|[1-9][0-9]*))?$`)
	jsonTime    = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])(\.[0-9]+)?([+-]([01][0-9]|2[0-3]):[0-5][0-9]|Z)?$`)
)

func newJSONTable() *jsonTable {
	return &jsonTable{
		meta: Meta{Encoding: "utf-8", Rows: -1, Source: map[string]string{}},
		seen: map[string]bool{},
	}
}

// missing returns the first member that the table cannot do without.
func (t *jsonTable) missing() string {
	for _, name := range required {
		if !t.seen[name] {
			return name
		}
	}
	return ""
}

// complete holds that everything is there that must be.
func (t *jsonTable) complete() error {
	if name := t.missing(); name != "" {
		return errorAt(ErrHeader, "", "member %s is missing", name)
	}
	return nil
}

// member reads the value of a member of the top level, other than rows. The
// reader of JSON has refused a name that is there twice.
func (t *jsonTable) member(s *jsonStream, name string) (err error) {
	t.seen[name] = true
	switch name {
	case "datasetJSONVersion":
		return t.source(s, name, jsonVersion, "1.1")
	case "datasetJSONCreationDateTime", "dbLastModifiedDateTime":
		return t.source(s, name, jsonTime, "a time such as 2024-11-11T15:09:15")
	case "fileOID", "originator", "studyOID", "metaDataVersionOID", "metaDataRef", "itemGroupOID":
		return t.source(s, name, nil, "")
	case "sourceSystem":
		return t.sourceSystem(s)
	case "records":
		t.meta.Rows, err = s.count(name, 0)
	case "name":
		t.meta.Name, err = s.text(name)
	case "label":
		t.meta.Label, err = s.text(name)
	case "columns":
		return s.array(name, func(i int) error { return t.column(s, i) })
	default:
		return errorAt(ErrHeader, "", "member %.40q is not in Dataset-JSON 1.1", name)
	}
	return err
}

// source reads a string that says something about the file's making.
func (t *jsonTable) source(s *jsonStream, name string, form *regexp.Regexp, want string) error {
	value, err := s.text(name)
	if err != nil {
		return err
	}
	if form != nil && !form.MatchString(value) {
		return errorAt(ErrHeader, name, "got %.40q, want %s", value, want)
	}
	t.meta.Source[name] = value
	return nil
}

func (t *jsonTable) sourceSystem(s *jsonStream) error {
	const where = "sourceSystem"
	err := s.object(where, func(name string) error {
		switch name {
		case "name", "version":
			return t.source(s, where+"."+name, nil, "")
		}
		return errorAt(ErrHeader, where, "member %.40q is not in Dataset-JSON 1.1", name)
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"name", "version"} {
		if _, ok := t.meta.Source[where+"."+name]; !ok {
			return errorAt(ErrHeader, where, "member %s is missing", name)
		}
	}
	return nil
}

// column reads the description of a column.
func (t *jsonTable) column(s *jsonStream, i int) error {
	where := fmt.Sprintf("column %d", i+1)
	switch {
	case i >= MaxColumns:
		return errorAt(ErrColumns, where, "at most %d columns are read", MaxColumns)
	case s.InputOffset() > maxDescription && !t.seen["rows"]:
		return errorAt(ErrLimit, where, "the description of the table is longer than %d bytes", maxDescription)
	}
	var c Column
	seen := map[string]bool{}
	err := s.object(where, func(name string) error {
		seen[name] = true
		return columnMember(s, where, name, &c)
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"itemOID", "name", "label", "dataType"} {
		if !seen[name] {
			return errorAt(ErrHeader, where, "member %s is missing", name)
		}
	}
	if c.Name == "" || len(c.Name) > MaxNameLength {
		return errorAt(ErrColumns, where, "name has %d bytes, want 1 to %d", len(c.Name), MaxNameLength)
	}
	convert, typ, ok := conversionOf(c.DataType, c.TargetDataType)
	if !ok {
		return errorAt(ErrHeader, where+" ("+c.Name+")", "dataType %.20q with targetDataType %.20q is not in Dataset-JSON 1.1", c.DataType, c.TargetDataType)
	}
	c.Type = typ
	t.meta.Columns = append(t.meta.Columns, c)
	t.convert = append(t.convert, convert)
	return nil
}

func columnMember(s *jsonStream, where, name string, c *Column) (err error) {
	at := where + " " + name
	var n int64
	switch name {
	case "itemOID":
		_, err = s.text(at)
	case "name":
		c.Name, err = s.text(at)
	case "label":
		c.Label, err = s.text(at)
	case "dataType":
		c.DataType, err = s.text(at)
	case "targetDataType":
		if c.TargetDataType, err = s.text(at); err == nil && c.TargetDataType == "" {
			return errorAt(ErrHeader, at, "got an empty string")
		}
	case "displayFormat":
		c.Format, err = s.text(at)
	case "length":
		n, err = s.count(at, 1)
		c.Length = int(n)
	case "keySequence":
		n, err = s.count(at, 1)
		c.KeySequence = int(n)
	default:
		return errorAt(ErrHeader, where, "member %.40q is not in Dataset-JSON 1.1", name)
	}
	return err
}
