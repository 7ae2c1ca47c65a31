package dataset

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// conversion makes the value of a cell from its JSON spelling, which is known to
// be well-formed and no array or object. The error has no place yet.
type conversion func(raw string) (Value, error)

// maxNumberLength bounds the spelling of a number. The longest binary64 has 767
// significant digits.
const maxNumberLength = 1100

// conversionOf returns how a column's cells are read. The second type says into
// what a receiver has to turn them.
func conversionOf(dataType, target string) (conversion, Type, bool) {
	switch dataType + ">" + target {
	case "string>", "URI>", "date>", "datetime>", "time>":
		return toText, Character, true
	case "integer>", "integer>integer":
		return toNumber(true), Numeric, true
	case "float>", "double>":
		return toNumber(false), Numeric, true
	case "decimal>", "decimal>decimal":
		return toDecimal, Numeric, true
	case "boolean>":
		return toBool, Boolean, true
	case "date>integer":
		return dated(dateNumber), Numeric, true
	case "datetime>integer":
		return dated(datetimeNumber), Numeric, true
	case "time>integer":
		return dated(timeNumber), Numeric, true
	}
	return nil, 0, false
}

var missingNumber = Missing('.')

func wrongType(raw, want string) error {
	return errorAt(ErrType, "", "got %s, want %s", kindName(kindOf(raw[0])), want)
}

// unquote returns the text of a JSON string: a piece of raw where nothing is
// escaped.
func unquote(raw string) (string, error) {
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], nil
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", errorAt(ErrText, "", "%v", err)
	}
	return string(text), nil
}

func toText(raw string) (Value, error) {
	switch raw[0] {
	case '"':
		text, err := unquote(raw)
		return Text(text), err
	case 'n':
		return Text(""), nil
	}
	return Value{}, wrongType(raw, "a string")
}

func toBool(raw string) (Value, error) {
	switch raw[0] {
	case 't', 'f':
		return Bool(raw[0] == 't'), nil
	case 'n':
		return missingNumber, nil
	}
	return Value{}, wrongType(raw, "true or false")
}

// isNumber tells whether a JSON value is a number.
func isNumber(raw string) bool { return raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' }

// small reads an integer that binary64 holds in any case.
func small(raw string) (Value, bool) {
	digits := strings.TrimPrefix(raw, "-")
	n, ok := wholeNumber(digits)
	if !ok {
		return Value{}, false
	}
	if len(digits) != len(raw) {
		n = -n
	}
	return Number(float64(n)), true
}

// toNumber reads JSON numbers; an integer must be exact.
func toNumber(integer bool) func(raw string) (Value, error) {
	return func(raw string) (Value, error) {
		switch {
		case raw[0] == 'n':
			return missingNumber, nil
		case !isNumber(raw):
			return Value{}, wrongType(raw, "a number")
		}
		if v, ok := small(raw); ok {
			return v, nil
		}
		return number(raw, integer)
	}
}

// toDecimal reads a decimal, which Dataset-JSON spells as a string; a number says
// the same.
func toDecimal(raw string) (Value, error) {
	if raw[0] != '"' {
		return toNumber(false)(raw)
	}
	text, err := unquote(raw)
	if err != nil {
		return Value{}, err
	}
	if text == "" {
		return missingNumber, nil
	}
	if !isDecimal(text) {
		return Value{}, errorAt(ErrNumber, "", "%.40q is no decimal number", text)
	}
	return number(text, false)
}

// isDecimal knows digits with an optional sign, point and exponent.
func isDecimal(text string) bool {
	mantissa := strings.TrimLeft(text, "+-")
	if len(text)-len(mantissa) > 1 {
		return false
	}
	mantissa, exponent, hasExponent := strings.Cut(strings.Replace(mantissa, "E", "e", 1), "e")
	if hasExponent {
		digits := strings.TrimLeft(exponent, "+-")
		if len(exponent)-len(digits) > 1 || !allDigits(digits) {
			return false
		}
	}
	whole, fraction, hasPoint := strings.Cut(mantissa, ".")
	if hasPoint && fraction == "" && whole == "" {
		return false
	}
	return (whole == "" && hasPoint || allDigits(whole)) && (fraction == "" || allDigits(fraction))
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// number reads a number as the nearest binary64. One that is spelled as an
// integer, or stands in a column of integers, must be held exactly above 2^53:
// identifiers have such numbers, and two of them must not become one.
func number(text string, integer bool) (Value, error) {
	if len(text) > maxNumberLength {
		return Value{}, errorAt(ErrLimit, "", "number has %d characters, at most %d are read", len(text), maxNumberLength)
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return Value{}, errorAt(ErrNumber, "", "%.40s is too large for a number of 64 bits", text)
	case err != nil:
		return Value{}, errorAt(ErrNumber, "", "%.40q is no number", text)
	}
	spelled := !strings.ContainsAny(text, ".eE")
	if !spelled && !integer {
		return Number(f), nil
	}
	if integer && (math.Trunc(f) != f || f == 0 && strings.ContainsAny(mantissaOf(text), "123456789")) {
		return Value{}, errorAt(ErrType, "", "%.40s is no integer", text)
	}
	if !exact(text, f) {
		return Value{}, errorAt(ErrNumber, "", "integer %.40s is beyond 2^53 and cannot be held exactly", text)
	}
	return Number(f), nil
}

func mantissaOf(text string) string {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		return text[:i]
	}
	return text
}

// exact tells whether text, the nearest binary64 of which is the integer f, is f.
func exact(text string, f float64) bool {
	if f == 0 {
		return true
	}
	// f is at least 1 and finite: the exponent is no longer than the digits.
	r, ok := new(big.Rat).SetString(text)
	return ok && r.Cmp(new(big.Rat).SetFloat64(f)) == 0
}
