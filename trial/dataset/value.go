package dataset

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Kind is what a [Value] is.
type Kind byte

// The kinds of values. KindNone is a place that no reader has filled and a number
// that is none; neither has a digest.
const (
	KindNone Kind = iota
	KindNumber
	KindMissing
	KindText
	KindBool
)

// Value is a cell in its normal form: two values are the same content exactly
// when they are equal by ==.
type Value struct {
	text string
	// A number is ±mant × 2^exp, mant odd; zero has neither. For a truth value
	// mant is 0 or 1.
	mant uint64
	exp  int16
	kind Kind
	code byte // '-' or '+' of a number; code of a missing value
}

// Number returns a number. NaN and the infinities are no values of a table: they
// give the zero Value.
func Number(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	b := math.Float64bits(f)
	mant, exp := b&(1<<52-1), int(b>>52&0x7ff)
	if exp == 0 {
		exp = 1 // subnormal
	} else {
		mant |= 1 << 52
	}
	return ExactNumber(b>>63 == 1, mant, exp-1075)
}

// ExactNumber returns ±mant × 2^exp, which may be more than a float64 can hold.
// An exponent that no format can hold gives the zero Value.
func ExactNumber(negative bool, mant uint64, exp int) Value {
	if mant == 0 {
		return Value{kind: KindNumber, code: '+'}
	}
	if exp < -(1<<14) || exp > 1<<14 {
		return Value{}
	}
	shift := bits.TrailingZeros64(mant)
	v := Value{kind: KindNumber, code: '+', mant: mant >> shift, exp: int16(exp + shift)}
	if negative {
		v.code = '-'
	}
	return v
}

// Missing returns a missing number: code is '.', '_' or a letter A to Z, as in
// SAS. Another code gives the zero Value.
func Missing(code byte) Value {
	if !isMissing(code) {
		return Value{}
	}
	return Value{kind: KindMissing, code: code}
}

// isMissing reports whether a byte is the code of a missing number.
func isMissing(code byte) bool {
	return code == '.' || code == '_' || code >= 'A' && code <= 'Z'
}

// Text returns text without its trailing blanks (0x20 and nothing else). Missing
// text is empty text.
func Text(s string) Value { return Value{kind: KindText, text: strings.TrimRight(s, " ")} }

// Bool returns a truth value.
func Bool(b bool) Value {
	v := Value{kind: KindBool}
	if b {
		v.mant = 1
	}
	return v
}

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.kind }

// Text returns the text of a value of KindText.
func (v Value) Text() string { return v.text }

// Bool returns the truth of a value of KindBool.
func (v Value) Bool() bool { return v.kind == KindBool && v.mant == 1 }

// Code returns the code of a missing value: '.', '_' or 'A' to 'Z'.
func (v Value) Code() byte {
	if v.kind != KindMissing {
		return 0
	}
	return v.code
}

// Exact returns the parts of a number, ±mant × 2^exp with mant odd; zero has
// neither sign nor exponent.
func (v Value) Exact() (negative bool, mant uint64, exp int) {
	if v.kind != KindNumber {
		return false, 0, 0
	}
	return v.code == '-', v.mant, int(v.exp)
}

// Float64 returns the float64 nearest to a number and whether it is the number.
func (v Value) Float64() (f float64, exact bool) {
	if v.kind != KindNumber {
		return 0, false
	}
	// A mantissa beyond 2^53 is rounded here. Ldexp rounds again only below
	// 2^-1022, where no format has such a mantissa.
	f = math.Ldexp(float64(v.mant), int(v.exp))
	if v.code == '-' {
		f = -f
	}
	return f, Number(f) == v
}

// String returns the value as a person would write it: a number in the fewest
// digits that give it back, a missing number as `.` or `.A`.
func (v Value) String() string {
	switch v.kind {
	case KindNumber:
		f, exact := v.Float64()
		if !exact {
			return strconv.FormatFloat(f, 'e', 17, 64)
		}
		format := byte('f')
		if abs := math.Abs(f); abs != 0 && (abs < 1e-5 || abs >= 1e17) {
			format = 'e'
		}
		return strconv.FormatFloat(f, format, -1, 64)
	case KindMissing:
		if v.code == '.' {
			return "."
		}
		return "." + string(v.code)
	case KindText:
		return v.text
	case KindBool:
		return strconv.FormatBool(v.mant == 1)
	case KindNone:
	}
	return ""
}
