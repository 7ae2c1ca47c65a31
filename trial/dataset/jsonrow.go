package dataset

import (
	"errors"
	"strconv"
	"strings"
)

// parseRow reads a row, a JSON array that is known to be well-formed.
func (t *jsonTable) parseRow(raw string, row []Value) error {
	n, rest := 0, raw[1:]
	for {
		at := 0
		for rest[at] == ',' || rest[at] <= ' ' {
			at++
		}
		if rest = rest[at:]; rest[0] == ']' {
			break
		}
		if n >= len(t.convert) {
			return errorAt(ErrColumns, "", "row has more values than the table has columns (%d)", len(t.convert))
		}
		end, err := cellEnd(rest)
		if err == nil {
			row[n], err = t.convert[n](rest[:end])
		}
		if err == nil && row[n].kind == KindNone {
			err = errorAt(ErrNumber, "", "%.40s cannot be held", rest[:end])
		}
		if err != nil {
			return cellError(err, t.meta.Columns[n].Name)
		}
		rest = rest[end:]
		n++
	}
	if n < len(t.convert) {
		return errorAt(ErrColumns, "", "row has %d values, table has %d columns", n, len(t.convert))
	}
	return nil
}

// cellEnd returns the length of the value that text begins with.
func cellEnd(text string) (int, error) {
	switch text[0] {
	case '{', '[':
		return 0, wrongType(text, "a single value")
	case '"':
		for i := 1; ; {
			j := i + strings.IndexByte(text[i:], '"')
			// A quote ends the string unless an odd number of backslashes precedes it.
			k := j
			for text[k-1] == '\\' {
				k--
			}
			if (j-k)%2 == 0 {
				return j + 1, nil
			}
			i = j + 1
		}
	}
	end := 1
	for c := text[end]; c != ',' && c != ']' && c > ' '; c = text[end] {
		end++
	}
	return end, nil
}

// cellError puts the column before the error of a cell.
func cellError(err error, column string) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	return &Error{Where: "column " + column, Detail: known.Detail, Err: known.Err}
}

// rowError puts the row's number before the error of a row.
func rowError(err error, row int64) error {
	var known *Error
	if !errors.As(err, &known) {
		return err
	}
	where := "row " + strconv.FormatInt(row, 10)
	if known.Where != "" {
		where += " " + known.Where
	}
	return &Error{Where: where, Detail: known.Detail, Err: known.Err}
}
