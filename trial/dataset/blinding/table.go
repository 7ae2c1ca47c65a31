package blinding

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// wordRows is in how many rows of a table telling words are looked for. What the
// names and labels point at is looked at in all rows.
const wordRows = 10_000

// column is a variable that is looked at.
type column struct {
	name string
	at   int // in the row
	rule *rule
	// first is the first value that says something; varies only.
	first string
}

// table is the state of a table that is looked at.
type table struct {
	report  *Report
	noun    string    // what a column is called
	columns []*column // of which nothing was found
	texts   []*column // further ones, where words are looked for
	// qnam and qval are the places of the names and values of supplemental
	// qualifiers; -1 without.
	qnam, qval int
	named      map[string]bool // qualifiers that were found
}

// newTable finds the columns to look at.
func newTable(r *Report, noun string, names, labels []string, isText func(int) bool) *table {
	t := &table{report: r, noun: noun, named: map[string]bool{}}
	t.qnam = slices.IndexFunc(names, func(n string) bool { return normal(n) == "QNAM" })
	t.qval = slices.IndexFunc(names, func(n string) bool { return normal(n) == "QVAL" })
	for i, name := range names {
		label := ""
		if labels != nil {
			label = labels[i]
		}
		switch rule := match(name, label); {
		case rule != nil:
			t.columns = append(t.columns, &column{name: name, at: i, rule: rule})
		case isText(i):
			t.texts = append(t.texts, &column{name: name, at: i})
		}
	}
	return t
}

// done tells whether further rows can tell nothing.
func (t *table) done(rows int64) bool {
	return len(t.columns) == 0 && (rows >= wordRows || len(t.texts) == 0) && t.qnam < 0
}

// row looks at a row.
func (t *table) row(rows int64, value func(int) string) {
	t.columns = slices.DeleteFunc(t.columns, func(c *column) bool {
		tells := c.tells(value(c.at))
		if tells {
			t.report.addf(t.noun+" "+c.name, "%s", c.rule.why)
		}
		return tells
	})
	t.qualifier(value)
	if rows >= wordRows {
		return
	}
	t.texts = slices.DeleteFunc(t.texts, func(c *column) bool {
		word := inText(value(c.at))
		if word != "" {
			t.report.addf(fmt.Sprintf("%s %s, row %d", t.noun, c.name, rows+1), "it says %q", word)
		}
		return word != ""
	})
}

// tells returns whether a value says something about a treatment.
func (c *column) tells(value string) bool {
	switch {
	case isFiller(value):
		return false
	case !c.rule.varies:
		return true
	case c.first == "":
		c.first = value
	}
	return c.first != value
}

// qualifier looks at a row of supplemental qualifiers, where the variable's name is
// a value.
func (t *table) qualifier(value func(int) string) {
	if t.qnam < 0 || t.qval < 0 {
		return
	}
	name := value(t.qnam)
	if rule := match(name, ""); rule != nil && !t.named[name] && !isFiller(value(t.qval)) {
		t.named[name] = true
		t.report.addf(t.noun+" "+name+" in QNAM", "%s", rule.why)
	}
}

// unread tells about the columns whose values could not be read to the end.
func (t *table) unread() {
	for _, c := range t.columns {
		t.report.addf(t.noun+" "+c.name, "by its name %s; its values cannot be read", c.rule.why)
	}
}

// table looks into a table of a format with types.
func (r *Report) table(ctx context.Context, src dataset.Source, o dataset.Options) error {
	in, err := dataset.Open(src, o)
	if err != nil {
		return r.broken(err)
	}
	defer in.Close()
	m := in.Meta()
	var names, labels []string
	for _, c := range m.Columns {
		names, labels = append(names, c.Name), append(labels, c.Label)
	}
	if describesTrial(m.Name, names) {
		return nil
	}
	t := newTable(r, "variable", names, labels, func(i int) bool { return m.Columns[i].Type == dataset.Character })
	row := make([]dataset.Value, len(m.Columns))
	value := func(i int) string {
		if row[i].Kind() == dataset.KindMissing {
			return ""
		}
		return row[i].String()
	}
	for rows := int64(0); !t.done(rows); rows++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := in.Next(row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			t.unread()
			return r.broken(err)
		}
		t.row(rows, value)
	}
	return nil
}

// describesTrial tells whether a table is about the trial and no participant.
func describesTrial(name string, columns []string) bool {
	return design[strings.ToUpper(strings.TrimSpace(name))] &&
		!slices.ContainsFunc(columns, func(c string) bool { return participant.MatchString(normal(c)) })
}

// broken turns what is wrong in a table into a part of the report.
func (r *Report) broken(err error) error {
	if _, ok := errors.AsType[*dataset.Error](err); ok {
		r.Unread = "its table cannot be read: " + err.Error()
		return nil
	}
	return err
}

// delimited looks into a text whose lines are rows, as spreadsheets write them. Words
// are looked for in its cells unless they are in the text as a whole.
func (r *Report) delimited(ctx context.Context, src io.Reader, head []byte, words bool) error {
	in := csv.NewReader(src)
	in.Comma, in.LazyQuotes, in.FieldsPerRecord, in.ReuseRecord = delimiter(head), true, -1, true
	if in.Comma == 0 {
		return nil
	}
	header, err := in.Read()
	if err != nil {
		return readError(err)
	}
	names := slices.Clone(header)
	names[0] = strings.TrimPrefix(names[0], "\ufeff")
	for i, n := range names {
		if names[i] = strings.TrimSpace(n); len(n) > 200 {
			return nil // a sentence
		}
	}
	t := newTable(r, "column", names, nil, func(int) bool { return words })
	for rows := int64(0); !t.done(rows); rows++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			t.unread()
			return readError(err)
		}
		t.row(rows, func(i int) string {
			if i >= len(row) {
				return ""
			}
			return row[i]
		})
	}
	return nil
}

// readError drops what is wrong in the text: it is no table to the end.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.As(err, new(*csv.ParseError)) {
		return nil
	}
	return err
}

// delimiter returns what separates the names in the first line, if the second has
// as many of it, or more inside quotes; 0 is none.
func delimiter(head []byte) rune {
	first, rest, _ := bytes.Cut(head, []byte("\n"))
	second, _, _ := bytes.Cut(rest, []byte("\n"))
	for _, d := range []byte("\t;|,") {
		if n := bytes.Count(first, []byte{d}); n > 0 && n <= bytes.Count(second, []byte{d}) {
			return rune(d)
		}
	}
	return 0
}
