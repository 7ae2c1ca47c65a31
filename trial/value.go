package trial

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/trialnotary/trialnotary/trial/b64"
)

// bytes reads a string of at most limit bytes and returns its content, valid
// until the next call. An empty string is refused: an absent value has no field.
func (r *reader) bytes(limit int) []byte {
	b, _ := r.content(limit)
	return b
}

// content is bytes and tells whether the string is plain: see readString.
func (r *reader) content(limit int) (b []byte, plain bool) {
	if r.refusal != nil {
		return nil, false
	}
	if got := r.peek(); got != '"' && got != 0 {
		r.wrongType(got, '"')
		return nil, false
	}
	b, plain = r.readString()
	switch {
	case r.refusal != nil:
		return nil, false
	case len(b) == 0:
		r.failf(ReasonBadValue, "empty: leave the field out where there is no value")
		return nil, false
	case len(b) > limit:
		r.failf(ReasonTooLarge, "got %d bytes, want at most %d", len(b), limit)
		return nil, false
	}
	return b, plain
}

// coded reads a string of digits, letters and the few other characters of hex
// and base64. The caller must refuse every other one: a quick reader looks at
// none of them.
func (r *reader) coded(limit int) []byte {
	if !r.quick || r.refusal != nil {
		return r.bytes(limit)
	}
	b := r.scan.raw()
	if !r.quickly() {
		return nil
	}
	if len(b) == 0 || len(b) > limit {
		r.refusal = gaveUp
		return nil
	}
	return b
}

// line reads a name or an identifier: one line without characters that a reader
// cannot see.
func (r *reader) line(limit int) string { return r.readable(limit, false) }

// text reads free text, which may have several lines.
func (r *reader) text() string { return r.readable(maxText, true) }

func (r *reader) readable(limit int, lines bool) string {
	b, plain := r.content(limit)
	if plain {
		return r.keep(b)
	}
	if i := forbidden(b, lines); i >= 0 {
		r.failf(ReasonForbiddenCharacter, "a control or direction character at byte %d", i)
		return ""
	}
	return r.keep(b)
}

// forbidden returns the place of the first character that could hide or reorder
// others: controls (NUL first), directional marks, embeddings, overrides and
// isolates, and the separators that some programs take for a line's end. It
// returns -1 where there is none. lines allows tabulator and line feed.
func forbidden(b []byte, lines bool) int {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < ' ' && (!lines || c != '\n' && c != '\t') || c == 0x7f {
				return i
			}
			i++
			continue
		}
		u, n := utf8.DecodeRune(b[i:])
		switch {
		case u < 0xa0, // C1 controls
			u == 0x061c, u == 0x200e, u == 0x200f,
			u >= 0x202a && u <= 0x202e,
			u >= 0x2066 && u <= 0x2069,
			u == 0x2028, u == 0x2029,
			u == utf8.RuneError && n == 1:
			return i
		}
		i += n
	}
	return -1
}

// identifier reads a line that ok accepts; want describes it.
func (r *reader) identifier(ok func(string) bool, want string) string {
	s := r.line(maxName)
	if r.refusal == nil && !ok(s) {
		r.failf(ReasonBadIdentifier, "want %s", want)
	}
	return s
}

// hash reads 64 lowercase hexadecimal characters.
func (r *reader) hash(reason Reason) (d [32]byte) {
	b := r.coded(64 << 10)
	if r.refusal != nil {
		return d
	}
	if len(b) != 64 {
		r.failf(reason, "got %d characters, want 64 lowercase hexadecimal characters", len(b))
		return d
	}
	d, ok := decodeHex32(b)
	if !ok {
		r.failf(reason, "want 64 lowercase hexadecimal characters")
	}
	return d
}

// base64 reads padded standard base64 of at most limit bytes.
func (r *reader) base64(limit int) []byte {
	b := r.coded(base64.StdEncoding.EncodedLen(limit))
	if r.refusal != nil {
		return nil
	}
	out, ok := b64.Decode(b)
	if !ok {
		r.failf(r.malformed, "want standard base64 with padding, without line breaks")
		return nil
	}
	return out
}

// base64x32 reads the base64 of exactly 32 bytes.
func (r *reader) base64x32() (d [32]byte) {
	b := r.coded(64 << 10)
	if r.refusal != nil {
		return d
	}
	d, ok := b64.Decode32(b)
	if !ok {
		r.failf(ReasonBadValue, "want the base64 of 32 bytes, 44 characters")
	}
	return d
}

// number reads a whole number from 0 to 2^53-1.
func (r *reader) number() uint64 {
	raw := r.numeral()
	if r.refusal != nil {
		return 0
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil || n > maxInt {
		// The numeral was checked to be in range: it has a sign, a fraction or
		// an exponent.
		r.failf(ReasonBadNumber, "want a whole number without sign, fraction or exponent")
		return 0
	}
	return n
}

// integer reads a whole number from -(2^53-1) to 2^53-1.
func (r *reader) integer() int64 {
	raw := r.numeral()
	if r.refusal != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || string(raw) == "-0" {
		r.failf(ReasonBadNumber, "want a whole number without fraction or exponent")
		return 0
	}
	return n
}

// numeral reads any number that every reader takes for the same.
func (r *reader) numeral() []byte {
	if r.refusal != nil {
		return nil
	}
	if got := r.peek(); got != '0' && got != 0 {
		r.wrongType(got, '0')
		return nil
	}
	raw := r.readNumber()
	if r.refusal != nil {
		return nil
	}
	if !safeNumeral(string(raw)) {
		r.failf(ReasonNumberTooLarge, "want a number between -(2^53-1) and 2^53-1")
		return nil
	}
	return raw
}

func (r *reader) readNumber() []byte {
	if r.quick {
		raw := r.scan.number()
		r.quickly()
		return raw
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
	}
	return raw
}

func safeNumeral(s string) bool {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		return err == nil && f <= maxInt && f >= -maxInt
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n <= maxInt && n >= -maxInt
}

// boolean reads true or false.
func (r *reader) boolean() bool {
	if r.refusal != nil {
		return false
	}
	if got := r.peek(); got != 't' && got != 'f' && got != 0 {
		r.wrongType(got, 't')
		return false
	}
	return r.token() == 't'
}
