package trial

import (
	"encoding/base64"
	"encoding/binary"
)

// A statement's payload passes through base64 in its envelope and in its
// receipt, and a payload may have half a megabyte: encoding/base64, at 0.7 to
// 1 GB/s, would take longer than hashing it. What follows is the padded standard
// alphabet only, in its one spelling, two to three times as fast.

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

var strictBase64 = base64.StdEncoding.Strict()

// base64Pairs holds the two characters of every twelve bits, the first one low.
var base64Pairs = func() (pairs [1 << 12]uint16) {
	for i := range pairs {
		pairs[i] = uint16(base64Alphabet[i>>6]) | uint16(base64Alphabet[i&63])<<8
	}
	return pairs
}()

// badBase64 marks what no character stands for.
const badBase64 = 1 << 24

// base64Values holds the bits of a character at each of the four places.
var base64Values = func() (values [4][256]uint64) {
	for place := range values {
		for c := range values[place] {
			values[place][c] = badBase64
		}
		for v := range base64Alphabet {
			values[place][base64Alphabet[v]] = uint64(v) << (18 - 6*place)
		}
	}
	return values
}()

// eight returns the eight characters of the six bytes at src, the first one low.
// It reads two bytes more.
func eight(src []byte) uint64 {
	v := binary.BigEndian.Uint64(src) >> 16
	return uint64(base64Pairs[v>>36]) | uint64(base64Pairs[v>>24&0xfff])<<16 |
		uint64(base64Pairs[v>>12&0xfff])<<32 | uint64(base64Pairs[v&0xfff])<<48
}

// appendBase64 appends the base64 of src to b.
func appendBase64(b, src []byte) []byte {
	n := len(b)
	size := base64.StdEncoding.EncodedLen(len(src))
	if cap(b)-n < size {
		b = append(make([]byte, 0, n+size), b...)
	}
	b = b[:n+size]
	out := b[n:]
	for len(src) >= 8 && len(out) >= 8 {
		binary.LittleEndian.PutUint64(out, eight(src))
		src, out = src[6:], out[8:]
	}
	base64.StdEncoding.Encode(out, src)
	return b
}

// isBase64 tells whether text is the base64 of src, without writing it.
func isBase64(text, src []byte) bool {
	if len(text) != base64.StdEncoding.EncodedLen(len(src)) {
		return false
	}
	for len(src) >= 8 && len(text) >= 8 {
		if binary.LittleEndian.Uint64(text) != eight(src) {
			return false
		}
		src, text = src[6:], text[8:]
	}
	var rest [12]byte
	return string(text) == string(base64.StdEncoding.AppendEncode(rest[:0], src))
}

// decodeBase64 refuses what Go's decoder forgives: line breaks, and bits of the
// last character that stand for nothing.
func decodeBase64(b []byte) ([]byte, bool) {
	if len(b)%4 != 0 {
		return nil, false
	}
	out := make([]byte, len(b)/4*3)
	rest, bad := out, uint64(0)
	// The last characters, which may have padding, are left to the library.
	for len(b) > 8 && len(rest) >= 8 {
		high := base64Values[0][b[0]] | base64Values[1][b[1]] | base64Values[2][b[2]] | base64Values[3][b[3]]
		low := base64Values[0][b[4]] | base64Values[1][b[5]] | base64Values[2][b[6]] | base64Values[3][b[7]]
		bad |= high | low
		binary.BigEndian.PutUint64(rest, high<<40|low<<16)
		b, rest = b[8:], rest[6:]
	}
	if bad&badBase64 != 0 {
		return nil, false
	}
	for _, c := range b {
		if c == '\n' || c == '\r' {
			return nil, false
		}
	}
	n, err := strictBase64.Decode(rest, b)
	return out[:len(out)-len(rest)+n], err == nil
}
