package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Version is the first line of what is hashed, and the name of the digest in a
// statement.
const Version = "tn-table-v1"

// The tags of what follows them in the hashed bytes. A number's tag is its sign.
const (
	tagMissing = '.'
	tagText    = 'T'
	tagBool    = 'B'
	tagRow     = 'R'
	tagEnd     = 'E'
)

// Result is a content digest and what it is over.
type Result struct {
	Digest  [sha256.Size]byte
	Rows    uint64
	Columns int
}

// Cells returns the number of values that were read.
func (r Result) Cells() uint64 { return r.Rows * uint64(r.Columns) }

// Digest reads all rows and returns the content digest tn-table-v1 of the table.
// There is no digest with an error. It does not close the reader.
func Digest(ctx context.Context, r Reader) (Result, error) {
	meta := r.Meta()
	order, err := sortColumns(meta.Columns)
	if err != nil {
		return Result{}, err
	}
	d := &digester{hash: sha256.New(), order: order, columns: meta.Columns}
	d.head()
	if err := d.all(ctx, r, len(meta.Columns)); err != nil {
		return Result{}, err
	}
	if meta.Rows >= 0 && uint64(meta.Rows) != d.rows {
		return Result{}, errorAt(ErrCount, "", "header says %d rows, file holds %d", meta.Rows, d.rows)
	}
	return d.end(), nil
}

// all encodes all rows.
func (d *digester) all(ctx context.Context, r Reader, columns int) error {
	row := make([]Value, columns)
	next := func() error {
		for range 256 {
			if err := r.Next(row); err != nil {
				return err
			}
			if err := d.row(row); err != nil {
				return err
			}
		}
		return nil
	}
	if e, ok := r.(rowEncoder); ok && e.encodesRows() {
		next = func() error { return e.encodeRows(d) }
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// column is a variable in the order of the digest.
type column struct {
	index int
	name  string
	typ   Type
}

// sortColumns brings the columns into the order of their names and refuses what
// the digest cannot be over.
func sortColumns(columns []Column) ([]column, error) {
	if len(columns) == 0 || len(columns) > MaxColumns {
		return nil, errorAt(ErrColumns, "", "table has %d columns, want 1 to %d", len(columns), MaxColumns)
	}
	order := make([]column, len(columns))
	for i, c := range columns {
		where := fmt.Sprintf("column %d", i+1)
		switch {
		case c.Name == "":
			return nil, errorAt(ErrColumns, where, "column has no name")
		case len(c.Name) > MaxNameLength:
			return nil, errorAt(ErrLimit, where, "name has %d bytes, at most %d are read", len(c.Name), MaxNameLength)
		case !utf8.ValidString(c.Name):
			return nil, errorAt(ErrText, where, "name is not UTF-8")
		case c.Type != Numeric && c.Type != Character && c.Type != Boolean:
			return nil, errorAt(ErrColumns, where, "column %s has no type", c.Name)
		}
		order[i] = column{index: i, name: UpperName(c.Name), typ: c.Type}
	}
	slices.SortFunc(order, func(a, b column) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(order); i++ {
		if order[i].name == order[i-1].name {
			return nil, errorAt(ErrColumns, fmt.Sprintf("column %d", order[i].index+1), "name %s is there twice", order[i].name)
		}
	}
	return order, nil
}

// UpperName returns the name under which the digest knows a column: the letters
// a to z in upper case, all else as it is.
func UpperName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, name)
}

// digester encodes a table and hashes what it encoded.
type digester struct {
	hash    hash.Hash
	buf     []byte
	order   []column
	columns []Column
	rows    uint64

	// For a rowEncoder: where its cells are, and the most bytes of a row.
	cells []cellField
	room  int
}

// flush hashes what is encoded.
func (d *digester) flush() {
	d.hash.Write(d.buf)
	d.buf = d.buf[:0]
}

// flushAt is when the encoded bytes go to the hash: large enough to be cheap,
// small enough to stay in the processor's cache.
const flushAt = 16 << 10

// head encodes the version, the number of variables and their types and names.
func (d *digester) head() {
	d.buf = append(make([]byte, 0, 2*flushAt), Version+"\n"...)
	d.buf = binary.AppendUvarint(d.buf, uint64(len(d.order)))
	for _, c := range d.order {
		d.buf = append(d.buf, byte(c.typ))
		d.buf = binary.AppendUvarint(d.buf, uint64(len(c.name)))
		d.buf = append(d.buf, c.name...)
	}
}

// row encodes a row.
func (d *digester) row(row []Value) error {
	d.rows++
	buf := d.buf
	buf = append(buf, tagRow)
	for i := range d.order {
		c := &d.order[i]
		v := &row[c.index]
		if !fits(v, c.typ) {
			return errorAt(ErrType, fmt.Sprintf("row %d column %s", d.rows, d.columns[c.index].Name), "value does not fit a %s column", c.typ)
		}
		buf = appendValue(buf, v)
		if len(buf) >= flushAt {
			d.hash.Write(buf)
			buf = buf[:0]
		}
	}
	d.buf = buf
	return nil
}

// fits reports whether a column can hold a value.
func fits(v *Value, t Type) bool {
	switch v.kind {
	case KindText:
		return t == Character
	case KindNumber:
		return t == Numeric
	case KindMissing:
		return t == Numeric || t == Boolean && v.code == '.'
	case KindBool:
		return t == Boolean
	case KindNone:
	}
	return false
}

// appendValue encodes a value.
func appendValue(buf []byte, v *Value) []byte {
	switch v.kind {
	case KindText:
		buf = append(buf, tagText)
		buf = binary.AppendUvarint(buf, uint64(len(v.text)))
		return append(buf, v.text...)
	case KindNumber:
		return appendNumber(buf, v)
	case KindMissing:
		return append(buf, tagMissing, v.code)
	case KindBool:
		return append(buf, tagBool, byte(v.mant))
	case KindNone:
	}
	return buf
}

// appendNumber encodes a number: sign, exponent, and the mantissa in as few bytes
// as hold it.
func appendNumber(buf []byte, v *Value) []byte {
	buf = append(buf, v.code, byte(uint16(v.exp)>>8), byte(v.exp), 0)
	n := len(buf) - 1
	started := false
	for shift := 56; shift >= 0; shift -= 8 {
		if b := byte(v.mant >> shift); started || b != 0 {
			buf, started = append(buf, b), true
		}
	}
	buf[n] = byte(len(buf) - n - 1)
	return buf
}

// end encodes the number of rows and returns the digest.
func (d *digester) end() Result {
	d.buf = append(d.buf, tagEnd)
	d.buf = binary.BigEndian.AppendUint64(d.buf, d.rows)
	d.hash.Write(d.buf)
	r := Result{Rows: d.rows, Columns: len(d.order)}
	d.hash.Sum(r.Digest[:0])
	return r
}
