package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// openXPT reads the head of a SAS XPORT file of version 5, 8 or 9 and returns a
// reader of its table. A file with several tables is refused when its second is
// found, at the latest at the end.
func openXPT(src Source, o Options) (Reader, error) {
	text, err := newDecoder(o.Encoding)
	if err != nil {
		return nil, err
	}
	h, err := parseXPTHeader(src, text)
	if err != nil {
		return nil, err
	}
	if size := src.Size(); size%recordSize != 0 {
		return nil, errorAt(ErrTruncated, where(size), "file has %d bytes, its last record is cut after %d of %d", size, size%recordSize, recordSize)
	}
	r := &xptReader{xptHeader: *h, src: src, text: text}
	if err := r.countRows(); err != nil {
		return nil, err
	}
	return r, nil
}

// xptReader reads the rows of a transport file, some at a time.
type xptReader struct {
	xptHeader
	src  Source
	text *decoder

	held int64 // rows of the table
	next int64 // number of the next row, from 0

	buf   []byte // some rows, and some bytes that follow them
	chunk string // the same rows; texts are parts of it
	pos   int    // of the next row in chunk
	err   error  // what every further call returns
}

// chunkSize is how much of a file is read at a time, longer rows apart.
const chunkSize = 64 << 10

// Meta describes the table.
func (r *xptReader) Meta() *Meta { return r.meta }

// Close has nothing to release.
func (r *xptReader) Close() error { return nil }

// countRows finds how many rows there are: as many as the padding leaves, which
// is the blank tail of less than a record, and in which blank rows are none. Where
// the header says how many, that must fit; it also tells blank rows of text from
// padding. No writer leaves blanks for a number.
func (r *xptReader) countRows() error {
	left, size := r.src.Size()-r.data, int64(r.row)
	blank, err := r.blankTail(left)
	if err != nil {
		return err
	}
	r.held = (left - blank + size - 1) / size
	if r.rows < 0 && r.held*size <= left {
		return nil
	}
	text := !slices.ContainsFunc(r.fields, func(f field) bool { return !f.character })
	if r.rows == r.held && r.held*size <= left || text && r.rows > r.held && r.rows <= left/size {
		r.held = r.rows
		return nil
	}
	// Cut, or followed by something else. Another table is told apart, because
	// nothing is wrong with such a file.
	if err := r.findMember(); err != nil {
		return err
	}
	if r.rows >= 0 {
		return errorAt(ErrCount, where(r.rowsAt), "header says %d rows, file holds %d", r.rows, min(r.held, left/size))
	}
	return errorAt(ErrTruncated, where(r.src.Size()-1), "last row is cut after %d of %d bytes", left%size, size)
}

// blankTail returns how many of the last left bytes are blank, and 79 at most.
func (r *xptReader) blankTail(left int64) (int64, error) {
	tail := make([]byte, min(left, recordSize-1))
	if err := r.readAt(tail, r.src.Size()-int64(len(tail))); err != nil {
		return 0, err
	}
	return int64(len(tail) - trimBlanks(tail)), nil
}

// readAt fills b.
func (r *xptReader) readAt(b []byte, off int64) error {
	n, err := r.src.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return errorAt(ErrTruncated, where(off+int64(n)), "file ends after %d bytes; it became shorter while it was read", off+int64(n))
	}
	return err
}

// findMember looks for another table in what follows the header.
func (r *xptReader) findMember() error {
	buf := make([]byte, chunkSize/recordSize*recordSize)
	for off := r.data; off < r.src.Size(); off += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), r.src.Size()-off)]
		if err := r.readAt(buf, off); err != nil {
			return err
		}
		if err := r.checkMember(buf, off, len(buf)); err != nil {
			return err
		}
	}
	return nil
}

// checkMember reports a header of another table in a record that begins in the
// first n bytes of buf, which lies at off in the file.
func (r *xptReader) checkMember(buf []byte, off int64, n int) error {
	const begin = 'H'<<56 | 'E'<<48 | 'A'<<40 | 'D'<<32 | 'E'<<24 | 'R'<<16 | ' '<<8 | 'R'
	for i := int((recordSize - off%recordSize) % recordSize); i < n && i+headerSize <= len(buf); i += recordSize {
		if binary.BigEndian.Uint64(buf[i:]) != begin {
			continue
		}
		switch section(string(buf[i : i+headerSize])) {
		case sections5.member, sections8.member, sections5.library, sections8.library:
			return errorAt(ErrMembers, where(off+int64(i)), "file holds several tables, and a content digest is over one")
		}
	}
	return nil
}

// Next reads the next row.
func (r *xptReader) Next(row []Value) error {
	if r.err == nil {
		r.err = r.read(row)
	}
	return r.err
}

func (r *xptReader) read(row []Value) error {
	if r.pos == len(r.chunk) {
		rows, err := r.load()
		if err != nil {
			return err
		}
		r.chunk, r.pos = string(r.buf[:rows*r.row]), 0
	}
	for i := range r.fields {
		f, at := &r.fields[i], r.pos+r.fields[i].at
		if !f.character {
			v, ok := parseIBM(binary.BigEndian.Uint64(r.buf[at:]) & f.mask)
			if !ok {
				return r.badNumber(i, r.buf[at:at+f.size])
			}
			row[i] = v
			continue
		}
		n := trimBlanks(r.buf[at : at+f.size])
		row[i] = Value{kind: KindText, text: r.chunk[at : at+n]}
		if !r.text.ascii || !isASCII(r.buf[at:at+n]) {
			text, ok := r.text.decode(row[i].text)
			if !ok {
				return r.badText(i, r.buf[at:at+n])
			}
			row[i] = Text(text)
		}
	}
	r.next++
	r.pos += r.row
	return nil
}

func (r *xptReader) badNumber(i int, b []byte) error {
	return errorAt(ErrNumber, r.cell(i), "bytes %x are neither a number nor a missing value", b)
}

func (r *xptReader) badText(i int, b []byte) error {
	return errorAt(ErrText, r.cell(i), "bytes %.32x are not %s: if the file is in another encoding, name it", b, r.text.name)
}

// cell names a value of the row that is being read.
func (r *xptReader) cell(i int) string {
	return fmt.Sprintf("row %d column %s", r.next+1, r.meta.Columns[i].Name)
}

// load reads the next rows into buf and returns how many there are.
func (r *xptReader) load() (rows int, err error) {
	if r.next == r.held {
		return 0, io.EOF
	}
	rows = int(min(max(1, chunkSize/int64(r.row)), r.held-r.next))
	n, off := rows*r.row, r.data+r.next*int64(r.row)
	if r.buf == nil {
		// The record behind the last row may begin in it, and what is short is
		// read as a word of eight bytes.
		r.buf = make([]byte, n+recordSize)
	}
	ahead := r.buf[:min(int64(n+recordSize), r.src.Size()-off)]
	if err := r.readAt(ahead, off); err != nil {
		return 0, err
	}
	if r.rows < 0 {
		err = r.checkMember(ahead, off, n)
	}
	return rows, err
}

// trimBlanks returns the length of b without trailing blanks.
func trimBlanks(b []byte) int {
	n := len(b)
	for n >= 8 && binary.LittleEndian.Uint64(b[n-8:]) == wordBlank {
		n -= 8
	}
	for n > 0 && b[n-1] == ' ' {
		n--
	}
	return n
}

// isASCII reports whether b is ASCII only.
func isASCII(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&highBits != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
