package dataset

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// rowEncoder is a reader that encodes its rows for the digest itself. It gives
// the same bytes as [digester.row] over what Next gives, and the same errors: it
// only spares the values between.
type rowEncoder interface {
	// encodesRows reports whether encodeRows can be used.
	encodesRows() bool
	// encodeRows encodes some rows, and returns io.EOF after the last.
	encodeRows(d *digester) error
}

// encodesRows is true for files in UTF-8: their text is hashed as it is.
func (r *xptReader) encodesRows() bool { return r.text.enc == nil }

// encodeRows encodes the rows of one chunk.
func (r *xptReader) encodeRows(d *digester) error {
	if r.err == nil {
		r.err = r.encode(d)
	}
	return r.err
}

func (r *xptReader) encode(d *digester) error {
	rows, err := r.load()
	if err != nil {
		return err
	}
	if d.room == 0 {
		d.prepare(r.fields)
	}
	for i := range rows {
		if len(d.buf)+d.room > cap(d.buf) {
			d.flush()
		}
		if err := r.encodeRow(d, r.buf[i*r.row:]); err != nil {
			return err
		}
		d.rows++
		r.next++
	}
	return nil
}

// cellField is where a cell of the digest lies in a row of the file.
type cellField struct {
	at, size  int
	mask      uint64 // of a word's bytes that belong to the cell
	character bool
	index     int
}

// prepare lays the cells out in the digest's order and makes room for a row of
// any content, so that encoding a row need not look at the room again.
func (d *digester) prepare(fields []field) {
	d.room = 1 + wordSize
	d.cells = make([]cellField, len(d.order))
	for i, c := range d.order {
		f := fields[c.index]
		d.cells[i] = cellField{at: f.at, size: f.size, mask: f.mask, character: f.character, index: c.index}
		if f.character {
			d.cells[i].mask = firstBytes(min(f.size, wordSize))
		}
		d.room += 1 + binary.MaxVarintLen32 + f.size + wordSize
	}
	d.flush()
	d.buf = make([]byte, 0, max(2*flushAt, d.room))
}

// encodeRow encodes the row that raw begins with. Words are read and written
// whole, beyond the end of a cell: raw goes on for at least a record, and the
// next cell overwrites what is too much.
func (r *xptReader) encodeRow(d *digester, raw []byte) error {
	n := len(d.buf)
	out := d.buf[:cap(d.buf)]
	out[n] = tagRow
	n++
	high := uint64(0) // the bits that ASCII does not have
	for i := range d.cells {
		c := &d.cells[i]
		if c.character && c.size <= wordSize {
			w := binary.LittleEndian.Uint64(raw[c.at:]) & c.mask
			size := (bits.Len64((w^wordBlank)&c.mask) + 7) >> 3
			out[n], out[n+1] = tagText, byte(size)
			binary.LittleEndian.PutUint64(out[n+2:], w)
			n += 2 + size
			high |= w
			continue
		}
		if c.character {
			var seen uint64
			n, seen = encodeText(out, n, raw, c.at, c.size)
			high |= seen
			continue
		}
		u := binary.BigEndian.Uint64(raw[c.at:]) & c.mask
		mant := u & ibmFraction
		if mant == 0 {
			first := byte(u >> 56)
			switch {
			case isMissing(first):
				out[n], out[n+1] = tagMissing, first
				n += 2
			case ibmZero(first):
				binary.BigEndian.PutUint32(out[n:], '+'<<24)
				n += 4
			default:
				return r.badNumber(c.index, raw[c.at:c.at+c.size])
			}
			continue
		}
		shift := bits.TrailingZeros64(mant) & 63
		mant >>= shift
		size := (bits.Len64(mant) + 7) >> 3
		word := out[n : n+4+wordSize]
		binary.BigEndian.PutUint32(word, ibmSign(u)<<24|uint32(uint16(ibmExponent(u)+shift))<<8|uint32(size))
		binary.BigEndian.PutUint64(word[4:], mant<<((64-8*size)&63))
		n += 4 + size
	}
	d.buf = out[:n]
	if high&highBits != 0 {
		return r.checkText(raw)
	}
	return nil
}

const (
	wordSize  = 8
	wordBlank = 0x2020202020202020
	highBits  = 0x8080808080808080
)

// encodeText encodes the text of more than eight bytes at raw[at] at out[n],
// without its trailing blanks. It returns where it ended, and all bits of it.
func encodeText(out []byte, n int, raw []byte, at, size int) (end int, seen uint64) {
	for size > wordSize {
		if w := binary.LittleEndian.Uint64(raw[at+size-wordSize:]) ^ wordBlank; w != 0 {
			size -= bits.LeadingZeros64(w) >> 3
			break
		}
		size -= wordSize
	}
	if size <= wordSize {
		mask := firstBytes(size)
		size = (bits.Len64((binary.LittleEndian.Uint64(raw[at:])^wordBlank)&mask) + 7) >> 3
	}
	out[n] = tagText
	n += 1 + binary.PutUvarint(out[n+1:], uint64(size))
	end = n + size
	for ; size > wordSize; size -= wordSize {
		w := binary.LittleEndian.Uint64(raw[at:])
		binary.LittleEndian.PutUint64(out[n:], w)
		seen |= w
		at, n = at+wordSize, n+wordSize
	}
	if size > 0 {
		w := binary.LittleEndian.Uint64(raw[at:]) & firstBytes(size)
		binary.LittleEndian.PutUint64(out[n:], w)
		seen |= w
	}
	return end, seen
}

// firstBytes masks the first 1 to 8 bytes of a word.
func firstBytes(n int) uint64 { return ^uint64(0) >> ((64 - 8*n) & 63) }

// checkText refuses a row with text that is not UTF-8, at the first such column.
func (r *xptReader) checkText(raw []byte) error {
	for i, f := range r.fields {
		if !f.character {
			continue
		}
		if text := raw[f.at : f.at+trimBlanks(raw[f.at:f.at+f.size])]; !utf8.Valid(text) {
			return r.badText(i, text)
		}
	}
	return nil
}
