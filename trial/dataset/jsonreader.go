package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonReader reads the rows of Dataset-JSON and NDJSON.
type jsonReader struct {
	table  *jsonTable
	stream *jsonStream
	rows   int64 // read so far
	err    error // what every further call returns

	// The rows stand inside the object, follow it, or were found before their
	// description and are read a second time.
	place rowPlace
	close func() error
}

type rowPlace byte

const (
	rowsInside rowPlace = iota // Dataset-JSON: members may follow
	rowsFollow                 // NDJSON
	rowsAgain                  // Dataset-JSON, second pass
	rowsNone                   // a description alone
)

// openJSON reads the description of a table. Where the rows stand before all of
// it, they are passed over, and read later from their place.
func openJSON(src Source) (Reader, error) {
	whole := func(from, to int64) io.Reader { return io.NewSectionReader(src, from, to-from) }
	mark, err := byteOrderMark(whole(0, src.Size()))
	if err != nil {
		return nil, err
	}
	r := &jsonReader{table: newJSONTable(), stream: newJSONStream(whole(mark, src.Size()))}
	from, to, err := r.open()
	if err != nil {
		return nil, err
	}
	if to > 0 {
		rows := bufio.NewReader(whole(mark+from, mark+to))
		if err := skipColon(rows); err != nil {
			return nil, err
		}
		r.stream, r.place = newJSONStream(rows), rowsAgain
		if err := r.stream.begin("rows", '[', "an array"); err != nil {
			return nil, err
		}
	}
	r.stream.limit = MaxRowLength
	return r, nil
}

// byteOrderMark returns the length of a mark of UTF-8, which says nothing new, and
// refuses those of other encodings: data files are UTF-8.
func byteOrderMark(src io.Reader) (int64, error) {
	head := make([]byte, len(utf8BOM))
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if string(head[:n]) == utf8BOM {
		return int64(n), nil
	}
	return 0, nil
}

// skipColon passes what stands between the name of a member and its value.
func skipColon(r *bufio.Reader) error {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if !strings.ContainsRune(": \t\r\n", rune(b)) {
			return r.UnreadByte()
		}
	}
}

// open reads up to the rows, or all when they come too early: then they stand
// between the offsets.
func (r *jsonReader) open() (from, to int64, err error) {
	s := r.stream
	if err := s.begin("", '{', "an object"); err != nil {
		return 0, 0, err
	}
	for s.PeekKind() != '}' {
		token, err := s.ReadToken()
		if err != nil {
			return 0, 0, s.fail("", err)
		}
		name := token.String()
		if name != "rows" {
			if err := r.table.member(s, name); err != nil {
				return 0, 0, err
			}
			continue
		}
		r.table.seen[name], r.table.meta.Format = true, DatasetJSON
		if r.table.missing() == "" {
			return 0, 0, s.begin(name, '[', "an array")
		}
		from = s.InputOffset()
		if err := s.SkipValue(); err != nil {
			return 0, 0, s.fail(name, err)
		}
		to = s.InputOffset()
	}
	if _, err := s.ReadToken(); err != nil {
		return 0, 0, s.fail("", err)
	}
	if err := r.table.complete(); err != nil {
		return 0, 0, err
	}
	if to > 0 {
		return from, to, s.end()
	}
	r.table.meta.Format, r.place = NDJSON, rowsFollow
	return 0, 0, nil
}

// Meta implements [Reader].
func (r *jsonReader) Meta() *Meta { return &r.table.meta }

// Close implements [Reader].
func (r *jsonReader) Close() error {
	if r.err == nil {
		r.err = errors.New("the reader is closed")
	}
	if r.close == nil {
		return nil
	}
	err := r.close()
	r.close = nil
	return err
}

// Next implements [Reader].
func (r *jsonReader) Next(row []Value) error {
	if r.err == nil {
		r.err = r.next(row)
	}
	return r.err
}

func (r *jsonReader) next(row []Value) error {
	raw, err := r.rawRow()
	if err != nil {
		return err
	}
	if r.rows++; r.rows > r.table.meta.Rows {
		return errorAt(ErrCount, "", "header says %d rows, file holds more", r.table.meta.Rows)
	}
	if raw.Kind() != '[' {
		return rowError(errorAt(ErrType, "", "got %s, want an array", kindName(raw.Kind())), r.rows)
	}
	if r.place == rowsFollow && bytes.IndexByte(raw, '\n') >= 0 {
		return rowError(errorAt(ErrSyntax, "", "row goes over several lines"), r.rows)
	}
	if err := r.table.parseRow(string(raw), row); err != nil {
		return rowError(err, r.rows)
	}
	return nil
}

// rawRow returns the JSON of the next row, or io.EOF once all has been checked that
// follows the rows.
func (r *jsonReader) rawRow() (jsontext.Value, error) {
	s := r.stream
	if r.place != rowsFollow && s.PeekKind() == ']' {
		if _, err := s.ReadToken(); err != nil {
			return nil, s.fail("rows", err)
		}
		return nil, r.finish()
	}
	raw, err := s.ReadValue()
	switch {
	case err == nil:
		return raw, nil
	case r.place == rowsFollow && errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, r.finish()
	}
	return nil, rowError(s.fail("", err), r.rows+1)
}

// finish checks what follows the rows and their number.
func (r *jsonReader) finish() error {
	s := r.stream
	if r.place == rowsInside {
		s.limit = maxDescription
		for s.PeekKind() != '}' {
			token, err := s.ReadToken()
			if err != nil {
				return s.fail("", err)
			}
			// The description is in use: what follows is held to the format, and dropped.
			if err := newJSONTable().member(s, token.String()); err != nil {
				return err
			}
		}
		if _, err := s.ReadToken(); err != nil {
			return s.fail("", err)
		}
	}
	if r.place != rowsFollow {
		if err := s.end(); err != nil {
			return err
		}
	} else if values := r.rows + 1; s.lines != values && s.lines != values-1 {
		return errorAt(ErrSyntax, "", "file has %d values on %d lines, want one on each", values, s.lines)
	}
	if r.rows != r.table.meta.Rows {
		return errorAt(ErrCount, "", "header says %d rows, file holds %d", r.table.meta.Rows, r.rows)
	}
	return io.EOF
}
