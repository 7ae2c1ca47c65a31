package dataset

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// Limits of a comparison where [CompareOptions] give none.
const (
	DefaultMaxListed = 1000
	DefaultMaxHeld   = 256 << 20
)

// CompareOptions bound a comparison. The zero value is good.
type CompareOptions struct {
	// MaxListed is how many cells, rows and differences of metadata are listed,
	// each; 0 is DefaultMaxListed.
	MaxListed int
	// MaxHeld is about how many bytes of rows may wait for their partner; 0 is
	// DefaultMaxHeld. Tables in the same order need next to nothing.
	MaxHeld int
}

// Compare reads two tables side by side and tells what differs. Rows are paired
// by the keys of the metadata where both tables have these columns, else by
// USUBJID and the column of the sequence number (AESEQ, ASEQ), else by position;
// rows of one key are paired in their order. Rows wait in memory for their
// partner: where more of them wait than [CompareOptions] allow, because the
// tables are large and in different orders, the error wraps [ErrLimit].
//
// An error of a reader names no table: the second result tells which it was, "a"
// or "b". It does not close the readers.
func Compare(ctx context.Context, a, b Reader, o CompareOptions) (*Diff, string, error) {
	if o.MaxListed == 0 {
		o.MaxListed = DefaultMaxListed
	}
	if o.MaxHeld == 0 {
		o.MaxHeld = DefaultMaxHeld
	}
	c := &comparison{o: o, d: new(Diff), a: newSide("a", a, o.MaxListed), b: newSide("b", b, o.MaxListed)}
	c.columns()
	c.metadata()
	c.pairBy()
	which, err := c.rows(ctx)
	if err != nil {
		return nil, which, err
	}
	c.finish()
	return c.d, "", nil
}

// comparison is one run of Compare.
type comparison struct {
	o    CompareOptions
	d    *Diff
	a, b *side
	both []pairedColumn
	held int // bytes of waiting rows

	// lastA and lastB are the newest rows that found a partner, from 1.
	lastA, lastB uint64
}

// pairedColumn is a column that both tables have, in one type.
type pairedColumn struct {
	a, b   int
	change VariableChange
}

// side is one table as it is read.
type side struct {
	name  string
	r     Reader
	names map[string]int
	row   []Value
	n     uint64 // rows read
	done  bool
	keys  []int  // columns to pair by; none is by position
	key   []byte // of the row
	// waiting holds rows by their key, first come first. Of one key only one
	// side has any.
	waiting map[string][]waitingRow
	// late are rows that came when the other table had ended: no partner can come.
	late  []LoneRow
	lone  uint64
	limit int
}

type waitingRow struct {
	n   uint64
	row []Value
}

func newSide(name string, r Reader, limit int) *side {
	s := &side{
		name: name, r: r, limit: limit, names: map[string]int{},
		row: make([]Value, len(r.Meta().Columns)), waiting: map[string][]waitingRow{},
	}
	for i, c := range r.Meta().Columns {
		s.names[UpperName(c.Name)] = i
	}
	return s
}

// next reads a row and its key.
func (s *side) next() (ok bool, err error) {
	if s.done {
		return false, nil
	}
	switch err := s.r.Next(s.row); {
	case errors.Is(err, io.EOF):
		s.done = true
		return false, nil
	case err != nil:
		return false, err
	}
	s.n++
	s.key = s.key[:0]
	for _, i := range s.keys {
		s.key = appendKey(s.key, s.row[i])
	}
	return true, nil
}

// appendKey writes a value so that different ones of a column give different
// bytes, also one after the other.
func appendKey(key []byte, v Value) []byte {
	switch v.Kind() {
	case KindNumber:
		negative, mant, exp := v.Exact()
		key = strconv.AppendBool(append(key, 'N'), negative)
		key = binary.AppendVarint(binary.AppendUvarint(key, mant), int64(exp))
	case KindMissing:
		key = append(key, 'M', v.Code())
	case KindBool:
		key = strconv.AppendBool(append(key, 'B'), v.Bool())
	default:
		key = append(binary.AppendUvarint(append(key, 'C'), uint64(len(v.Text()))), v.Text()...)
	}
	return key
}

// values returns what a row is told by.
func (s *side) values(row []Value) []string {
	var out []string
	for _, i := range s.keys {
		out = append(out, shown(row[i]))
	}
	return out
}

// columns finds what both tables have.
func (c *comparison) columns() {
	for i, col := range c.a.r.Meta().Columns {
		j, ok := c.b.names[UpperName(col.Name)]
		if !ok {
			c.d.OnlyA = append(c.d.OnlyA, col.Name)
			continue
		}
		other := c.b.r.Meta().Columns[j]
		if other.Type != col.Type {
			c.d.Types = append(c.d.Types, TypeChange{col.Name, col.Type.String(), other.Type.String()})
			continue
		}
		c.both = append(c.both, pairedColumn{a: i, b: j, change: VariableChange{Variable: col.Name}})
	}
	for _, col := range c.b.r.Meta().Columns {
		if _, ok := c.a.names[UpperName(col.Name)]; !ok {
			c.d.OnlyB = append(c.d.OnlyB, col.Name)
		}
	}
}

// rows reads both tables in step, so that rows in the same order meet at once.
// The first result names the table that an error is about.
func (c *comparison) rows(ctx context.Context) (string, error) {
	for {
		if c.a.n%1024 == 0 && ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		inA, err := c.a.next()
		if err != nil {
			return c.a.name, err
		}
		inB, err := c.b.next()
		if err != nil {
			return c.b.name, err
		}
		if !inA && !inB {
			c.d.RowsA, c.d.RowsB = c.a.n, c.b.n
			return "", nil
		}
		if inA && inB && bytes.Equal(c.a.key, c.b.key) && c.free(c.a.key) {
			c.pair(waitingRow{c.a.n, c.a.row}, waitingRow{c.b.n, c.b.row})
			continue
		}
		if inA {
			c.place(c.a, c.b)
		}
		if inB {
			c.place(c.b, c.a)
		}
		if c.held > c.o.MaxHeld {
			return "", errorAt(ErrLimit, "", "rows that belong together lie too far apart in the two tables: more than %d MiB of rows wait for their partner; sort both tables by the same variables", c.o.MaxHeld>>20)
		}
	}
}

// free tells whether no earlier row has the key.
func (c *comparison) free(key []byte) bool {
	return len(c.a.waiting[string(key)]) == 0 && len(c.b.waiting[string(key)]) == 0
}

// place finds the partner of a row among those that wait, or lets it wait.
func (c *comparison) place(s, other *side) {
	rows := other.waiting[string(s.key)]
	switch {
	case len(rows) > 0:
		if len(rows) == 1 {
			delete(other.waiting, string(s.key))
		} else {
			other.waiting[string(s.key)] = rows[1:]
		}
		c.held -= size(rows[0].row, s.key)
		if s == c.a {
			c.pair(waitingRow{s.n, s.row}, rows[0])
		} else {
			c.pair(rows[0], waitingRow{s.n, s.row})
		}
	case other.done:
		s.lone++
		if len(s.late) < s.limit {
			s.late = append(s.late, LoneRow{s.name, s.n, s.values(s.row)})
		}
	default:
		row := slices.Clone(s.row)
		for i, v := range row {
			if v.Kind() == KindText {
				row[i] = Text(strings.Clone(v.Text()))
			}
		}
		s.waiting[string(s.key)] = append(s.waiting[string(s.key)], waitingRow{s.n, row})
		c.held += size(row, s.key)
	}
}

// size is about what a waiting row takes, in bytes.
func size(row []Value, key []byte) int {
	n := 128 + len(key) + len(row)*int(unsafe.Sizeof(Value{}))
	for _, v := range row {
		if v.Kind() == KindText {
			n += len(v.Text())
		}
	}
	return n
}

// pair compares two rows.
func (c *comparison) pair(a, b waitingRow) {
	// One of them is the newest of its table, so that an order that is not kept
	// shows in the other.
	if a.n < c.lastA || b.n < c.lastB {
		c.d.Reordered = true
	}
	c.lastA, c.lastB = max(c.lastA, a.n), max(c.lastB, b.n)
	changed := false
	for i := range c.both {
		p := &c.both[i]
		if va, vb := a.row[p.a], b.row[p.b]; va != vb {
			changed = true
			c.cell(p, a, b, va, vb)
		}
	}
	if changed {
		c.d.RowsChanged++
	}
}

func (c *comparison) cell(p *pairedColumn, a, b waitingRow, va, vb Value) {
	c.d.Cells++
	p.change.Cells++
	note := ""
	switch {
	case to15(va, vb):
		c.d.Precision++
		p.change.Precision++
		note = NotePrecision
	case inexpressible(va) || inexpressible(vb):
		c.d.Missing++
		note = NoteMissing
	}
	if len(c.d.Changed) < c.o.MaxListed {
		c.d.Changed = append(c.d.Changed, CellChange{p.change.Variable, a.n, b.n, c.a.values(a.row), shown(va), shown(vb), note})
	}
}

// to15 tells whether two numbers are equal in 15 decimal digits.
func to15(a, b Value) bool {
	if a.Kind() != KindNumber || b.Kind() != KindNumber {
		return false
	}
	x, _ := a.Float64()
	y, _ := b.Float64()
	return strconv.FormatFloat(x, 'e', 14, 64) == strconv.FormatFloat(y, 'e', 14, 64)
}

// inexpressible tells whether Dataset-JSON has no such value: its null is the
// missing number without a letter.
func inexpressible(v Value) bool { return v.Kind() == KindMissing && v.Code() != '.' }

// maxShown is how much of a cell is shown, in bytes.
const maxShown = 200

// shown is a value as it is listed.
func shown(v Value) string {
	if v.Kind() == KindText {
		return clip(v.Text())
	}
	return clip(v.String())
}

// clip copies a text for a list, without the rest of a long one.
func clip(text string) string {
	if len(text) <= maxShown {
		return strings.Clone(text)
	}
	return strings.ToValidUTF8(text[:maxShown], "") + "… (" + strconv.Itoa(len(text)) + " bytes)"
}

// finish lists the rows that found no partner, the first of each table first,
// and the columns with changes.
func (c *comparison) finish() {
	for _, s := range [...]*side{c.a, c.b} {
		var rows []waitingRow
		for _, same := range s.waiting {
			rows = append(rows, same...)
		}
		slices.SortFunc(rows, func(x, y waitingRow) int { return cmp.Compare(x.n, y.n) })
		s.lone += uint64(len(rows))
		lone := make([]LoneRow, 0, min(len(rows), c.o.MaxListed))
		for _, w := range rows[:min(len(rows), c.o.MaxListed)] {
			lone = append(lone, LoneRow{s.name, w.n, s.values(w.row)})
		}
		lone = append(lone, s.late...)
		c.d.Rows = append(c.d.Rows, lone[:min(len(lone), c.o.MaxListed)]...)
	}
	c.d.RowsOnlyA, c.d.RowsOnlyB = c.a.lone, c.b.lone
	for i := range c.both {
		if n := c.both[i].change; n.Cells > 0 {
			c.d.Variables = append(c.d.Variables, n)
		}
	}
}
