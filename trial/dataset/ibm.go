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
	fraction, first := u&ibmFraction, byte(u>>56)
	if fraction == 0 {
		switch {
		case ibmZero(first):
			return Value{kind: KindNumber, code: '+'}, true
		case isMissing(first):
			return Value{kind: KindMissing, code: first}, true
		}
		return Value{}, false
	}
	shift := bits.TrailingZeros64(fraction)
	return Value{kind: KindNumber, code: byte(ibmSign(u)), mant: fraction >> shift, exp: int16(ibmExponent(u) + shift)}, true
}

// ibmFraction are the bits of the fraction.
const ibmFraction = 1<<56 - 1

// ibmZero reports whether a fraction of zero behind this byte is the number 0.
func ibmZero(first byte) bool { return first&0x7f == 0 }

// ibmExponent returns the exponent of 2 of the fraction as a whole number.
func ibmExponent(u uint64) int { return 4*(int(u>>56&0x7f)-64) - 56 }

// ibmSign returns '+' or '-', which differ by two in ASCII: that spares a branch
// which numbers of both signs would mispredict.
func ibmSign(u uint64) uint32 { return '+' + uint32(u>>63)<<1 }
