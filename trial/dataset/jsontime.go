package dataset

import (
	"strconv"
	"strings"
	"time"
)

// dated makes a conversion for a column whose dates a receiver keeps as numbers.
func dated(number func(string) (Value, error)) conversion {
	return func(raw string) (Value, error) {
		switch raw[0] {
		case 'n':
			return missingNumber, nil
		case '"':
		default:
			return Value{}, wrongType(raw, "a date or time as a string")
		}
		text, err := unquote(raw)
		if err != nil {
			return Value{}, err
		}
		if text == "" {
			return missingNumber, nil
		}
		return number(text)
	}
}

// inexact refuses a date or time that is partial, has an offset or is none: the
// number of days or seconds would claim what the text does not say.
func inexact(text, want string) error {
	return errorAt(ErrDate, "", "%.40q cannot become a number exactly, want %s", text, want)
}

// sasEpoch is the day that SAS counts from.
var sasEpoch = time.Date(1960, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()

// dateNumber returns the days since 1960-01-01.
func dateNumber(text string) (Value, error) {
	seconds, ok := dateSeconds(text)
	if !ok {
		return Value{}, inexact(text, "YYYY-MM-DD")
	}
	return Number(float64(seconds / 86400)), nil
}

// datetimeNumber returns the seconds since 1960-01-01T00:00:00.
func datetimeNumber(text string) (Value, error) {
	const want = "YYYY-MM-DDThh:mm:ss without an offset"
	date, clock, found := strings.Cut(text, "T")
	day, ok := dateSeconds(date)
	if !found || !ok {
		return Value{}, inexact(text, want)
	}
	seconds, fraction, ok := clockSeconds(clock)
	if !ok {
		return Value{}, inexact(text, want)
	}
	return secondsNumber(day+seconds, fraction), nil
}

// timeNumber returns the seconds since midnight.
func timeNumber(text string) (Value, error) {
	seconds, fraction, ok := clockSeconds(text)
	if !ok {
		return Value{}, inexact(text, "hh:mm:ss without an offset")
	}
	return secondsNumber(seconds, fraction), nil
}

// The calendar of SAS is the Gregorian one from 1582 on, in which 4000 and 8000 are
// no leap years.
const (
	sasFirstYear = 1582
	sasLeapStep  = 4000
)

// dateSeconds reads YYYY-MM-DD as seconds since 1960-01-01 in the calendar of SAS.
func dateSeconds(text string) (int64, bool) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || len(text) != len(time.DateOnly) || t.Year() < sasFirstYear {
		return 0, false
	}
	seconds := t.Unix() - sasEpoch
	for year := sasLeapStep; year <= t.Year(); year += sasLeapStep {
		leap := time.Date(year, time.February, 29, 0, 0, 0, 0, time.UTC)
		switch t.Compare(leap) {
		case 0:
			return 0, false
		case 1:
			seconds -= 86400
		}
	}
	return seconds, true
}

// maxFraction bounds the digits after a second.
const maxFraction = 18

// clockSeconds reads hh:mm:ss with an optional fraction, and returns the digits of
// that. Leap seconds and 24:00:00 have no number.
func clockSeconds(text string) (seconds int64, fraction string, ok bool) {
	whole, fraction, dot := strings.Cut(text, ".")
	if dot && (!allDigits(fraction) || len(fraction) > maxFraction) {
		return 0, "", false
	}
	if len(whole) != len("hh:mm:ss") || whole[2] != ':' || whole[5] != ':' {
		return 0, "", false
	}
	hours, ok1 := wholeNumber(whole[:2])
	minutes, ok2 := wholeNumber(whole[3:5])
	secs, ok3 := wholeNumber(whole[6:])
	if !ok1 || !ok2 || !ok3 || hours > 23 || minutes > 59 || secs > 59 {
		return 0, "", false
	}
	return hours*3600 + minutes*60 + secs, strings.TrimRight(fraction, "0"), true
}

// secondsNumber returns the binary64 nearest to seconds + 0.fraction, rounded once.
func secondsNumber(seconds int64, fraction string) Value {
	if fraction == "" {
		return Number(float64(seconds))
	}
	sign := ""
	if seconds < 0 {
		// -5 + 0.25 is -(4 + 0.75).
		sign, seconds, fraction = "-", -seconds-1, complement(fraction)
	}
	f, err := strconv.ParseFloat(sign+strconv.FormatInt(seconds, 10)+"."+fraction, 64)
	if err != nil {
		return Value{} // cannot be: digits within the range
	}
	return Number(f)
}

// complement returns the digits of 1 - 0.fraction; the last digit is not 0.
func complement(fraction string) string {
	out := []byte(fraction)
	for i := range out {
		out[i] = '9' - out[i] + '0'
	}
	out[len(out)-1]++
	return string(out)
}
