package dataset

import "math/bits"

// parseIBM decodes a number of SAS XPORT, left-aligned in u: IBM System/360
// hexadecimal floating point, cut to its first bytes. The first byte is the sign
// and the exponent of 16 in excess 64, the other seven a fraction. The value is
// exact: the fraction has 56 bits, more than a float64 holds.
//
// A missing value is its code with a fraction of zero. Such a byte with any other
// first byte but that of zero is nothing that a program writes, and no number.
func parseIBM(u uint64) (v Value, ok bool) {
	fraction, first := u&(1<<56-1), byte(u>>56)
	if fraction == 0 {
		switch {
		case first == 0 || first == 0x80:
			return Value{kind: KindNumber, code: '+'}, true
		case first == '.' || first == '_' || first >= 'A' && first <= 'Z':
			return Value{kind: KindMissing, code: first}, true
		}
		return Value{}, false
	}
	shift := bits.TrailingZeros64(fraction)
	exp := 4*(int(first&0x7f)-64) - 56
	// '+' and '-' differ by two in ASCII, which spares a branch that numbers of
	// both signs would mispredict.
	return Value{kind: KindNumber, code: '+' + first>>7<<1, mant: fraction >> shift, exp: int16(exp + shift)}, true
}
