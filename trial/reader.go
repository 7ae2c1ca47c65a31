package trial

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxInt is the largest integer of I-JSON (RFC 7493, section 2.2): every
// language reads it as what was written.
const maxInt = 1<<53 - 1

// maxDepth bounds the nesting of a body that is not understood.
const maxDepth = 32

// reader reads one JSON document strictly, member by member. The first refusal
// sticks: every later call does nothing and returns a zero value, so that a
// parser reads like the document and asks once, at the end.
//
// It stands on jsontext.Decoder, which refuses duplicate names and bad UTF-8.
// Decoding into structs by reflection was rejected: it cannot say in one pass
// which rule was broken and where.
type reader struct {
	dec       jsontext.Decoder
	buf       bytes.Buffer
	src       []byte
	malformed Reason // of a document that is not what it should be
	prefix    string // of paths, for a document inside another
	name      []byte // of the current member, valid until its value is read
	scratch   []byte
	refusal   *Refusal
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// newReader returns a reader of src; release gives it back.
func newReader(src []byte, malformed Reason, prefix string) *reader {
	r := readers.Get().(*reader)
	r.src, r.malformed, r.prefix, r.refusal = src, malformed, prefix, nil
	r.buf = *bytes.NewBuffer(src)
	r.dec.Reset(&r.buf)
	return r
}

func (r *reader) release() {
	r.buf = bytes.Buffer{}
	r.dec.Reset(&r.buf) // drops src
	r.src, r.name = nil, nil
	readers.Put(r)
}

// err returns the refusal, or nil as an untyped nil.
func (r *reader) err() error {
	if r.refusal == nil {
		return nil
	}
	return r.refusal
}

// fail refuses the value that was read last.
func (r *reader) fail(reason Reason, format string, args ...any) {
	if r.refusal == nil {
		r.refusal = refuse(reason, r.path(string(r.dec.StackPointer())), format, args...)
	}
}

// failAt refuses something below the value that was read last.
func (r *reader) failAt(child string, reason Reason, format string, args ...any) {
	if r.refusal == nil {
		r.refusal = refuse(reason, joinPath(r.path(string(r.dec.StackPointer())), child), format, args...)
	}
}

// path turns a JSON pointer into the form of [Refusal.Path].
func (r *reader) path(pointer string) string {
	path := r.prefix
	for token := range jsontext.Pointer(pointer).Tokens() {
		path = joinPath(path, token)
	}
	return path
}

func joinPath(path, token string) string {
	plain := len(token) <= 64
	digits := plain && token != ""
	for _, c := range []byte(token) {
		digit := c >= '0' && c <= '9'
		digits = digits && digit
		plain = plain && (digit || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-')
	}
	switch {
	case digits:
		return path + "[" + token + "]"
	case !plain:
		// A name that somebody made up is told apart and kept short.
		return path + "[" + strconv.QuoteToASCII(token[:min(len(token), 32)]) + "]"
	case path == "":
		return token
	}
	return path + "." + token
}

// syntax refuses what the decoder refused.
func (r *reader) syntax(err error) {
	if r.refusal != nil {
		return
	}
	var syn *jsontext.SyntacticError
	path, at := r.prefix, len(r.src)
	if errors.As(err, &syn) {
		path, at = r.path(string(syn.JSONPointer)), int(syn.ByteOffset)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		r.refusal = refuse(ReasonDuplicateField, path, "the field is given more than once")
	case !utf8.Valid(r.src):
		r.refusal = refuse(ReasonBadUTF8, path, "not valid UTF-8")
	case loneSurrogate(r.src[min(at, len(r.src)):]):
		r.refusal = refuse(ReasonBadUTF8, path, "an escaped surrogate without its other half")
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		r.refusal = refuse(r.malformed, path, "the document ends too early")
	default:
		r.refusal = refuse(r.malformed, path, "not valid JSON at byte %d", at)
	}
}

// loneSurrogate tells whether b begins with the escape of a UTF-16 surrogate.
// The decoder stopped there, so it has no other half.
func loneSurrogate(b []byte) bool {
	return len(b) >= 6 && b[0] == '\\' && b[1] == 'u' && (b[2] == 'd' || b[2] == 'D') && b[3] >= '8'
}

// token reads one structural or literal token and returns its kind.
func (r *reader) token() jsontext.Kind {
	if r.refusal != nil {
		return 0
	}
	t, err := r.dec.ReadToken()
	if err != nil {
		r.syntax(err)
		return 0
	}
	return t.Kind()
}

// begin enters an object '{' or an array '['.
func (r *reader) begin(kind jsontext.Kind) {
	if r.refusal != nil {
		return
	}
	if got := r.dec.PeekKind(); got != kind && got != 0 {
		r.wrongType(got, kind)
		return
	}
	r.token()
}

func (r *reader) wrongType(got, want jsontext.Kind) {
	// The token must be read to be pointed at.
	if err := r.dec.SkipValue(); err != nil {
		r.syntax(err)
		return
	}
	r.fail(r.malformed, "got %s, want %s", kindName(got), kindName(want))
}

func kindName(k jsontext.Kind) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "something else"
}

// next reads the name of the next member into r.name, or leaves the object.
func (r *reader) next() bool {
	if r.refusal != nil {
		return false
	}
	if r.dec.PeekKind() == '}' {
		r.token()
		return false
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return false
	}
	r.name = r.unquote(raw)
	return true
}

// more tells whether the array has another element, or leaves it.
func (r *reader) more() bool {
	if r.refusal != nil {
		return false
	}
	if r.dec.PeekKind() == ']' {
		r.token()
		return false
	}
	return true
}

// unknown refuses the current member.
func (r *reader) unknown() {
	r.fail(ReasonUnknownField, "no such field")
}

// end refuses anything after the document.
func (r *reader) end() {
	if r.refusal != nil {
		return
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		r.refusal = refuse(r.malformed, r.prefix, "something follows the document")
	}
}

// unquote returns the content of a valid JSON string. It may alias raw or
// r.scratch.
func (r *reader) unquote(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	r.scratch, _ = jsontext.AppendUnquote(r.scratch[:0], raw)
	return r.scratch
}

// bytes reads a string of at most limit bytes and returns its content, valid
// until the next call. An empty string is refused: an absent value has no field.
func (r *reader) bytes(limit int) []byte {
	if r.refusal != nil {
		return nil
	}
	if got := r.dec.PeekKind(); got != '"' && got != 0 {
		r.wrongType(got, '"')
		return nil
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return nil
	}
	b := r.unquote(raw)
	switch {
	case len(b) == 0:
		r.fail(ReasonBadValue, "empty: leave the field out where there is no value")
		return nil
	case len(b) > limit:
		r.fail(ReasonTooLarge, "got %d bytes, want at most %d", len(b), limit)
		return nil
	}
	return b
}

// line reads a name or an identifier: one line without characters that a reader
// cannot see.
func (r *reader) line(limit int) string {
	b := r.bytes(limit)
	if i := forbidden(b, false); i >= 0 {
		r.fail(ReasonForbiddenCharacter, "a control or direction character at byte %d", i)
		return ""
	}
	return string(b)
}

// text reads free text, which may have several lines.
func (r *reader) text(limit int) string {
	b := r.bytes(limit)
	if i := forbidden(b, true); i >= 0 {
		r.fail(ReasonForbiddenCharacter, "a control or direction character at byte %d", i)
		return ""
	}
	return string(b)
}

// forbidden returns the place of the first character that could hide or reorder
// others: controls (NUL first), directional marks, embeddings, overrides and
// isolates, and the separators that some programs take for a line's end. It
// returns -1 where there is none. lines allows tabulator and line feed.
func forbidden(b []byte, lines bool) int {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if (c < ' ' && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f {
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
func (r *reader) identifier(limit int, ok func(string) bool, want string) string {
	s := r.line(limit)
	if r.refusal == nil && !ok(s) {
		r.fail(ReasonBadIdentifier, "want %s", want)
	}
	return s
}

// hash reads 64 lowercase hexadecimal characters.
func (r *reader) hash(reason Reason) (d [32]byte) {
	b := r.bytes(64 << 10)
	if r.refusal != nil {
		return d
	}
	if len(b) != 64 {
		r.fail(reason, "got %d characters, want 64 lowercase hexadecimal characters", len(b))
		return d
	}
	if !lowerHex(b) {
		r.fail(reason, "want 64 lowercase hexadecimal characters")
		return d
	}
	_, _ = hex.Decode(d[:], b) // checked above
	return d
}

func lowerHex[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// base64 reads padded standard base64 of at most limit bytes.
func (r *reader) base64(limit int) []byte {
	b := r.bytes(base64.StdEncoding.EncodedLen(limit))
	if r.refusal != nil {
		return nil
	}
	out, ok := decodeBase64(b)
	if !ok {
		r.fail(r.malformed, "want standard base64 with padding, without line breaks")
		return nil
	}
	return out
}

var strictBase64 = base64.StdEncoding.Strict()

// decodeBase64 refuses what Go's decoder forgives: line breaks inside.
func decodeBase64(b []byte) ([]byte, bool) {
	if bytes.IndexByte(b, '\n') >= 0 || bytes.IndexByte(b, '\r') >= 0 {
		return nil, false
	}
	out := make([]byte, strictBase64.DecodedLen(len(b)))
	n, err := strictBase64.Decode(out, b)
	return out[:n], err == nil
}

// base64x32 reads the base64 of exactly 32 bytes.
func (r *reader) base64x32() (d [32]byte) {
	b := r.bytes(64 << 10)
	if r.refusal != nil {
		return d
	}
	var out [33]byte
	if len(b) != 44 || bytes.IndexByte(b, '\n') >= 0 || bytes.IndexByte(b, '\r') >= 0 {
		r.fail(ReasonBadValue, "want the base64 of 32 bytes, 44 characters")
		return d
	}
	if n, err := strictBase64.Decode(out[:], b); err != nil || n != 32 {
		r.fail(ReasonBadValue, "want the base64 of 32 bytes, 44 characters")
		return d
	}
	copy(d[:], out[:])
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
		r.fail(ReasonBadNumber, "want a whole number without sign, fraction or exponent")
		return 0
	}
	return n
}

// numeral reads any number that every reader takes for the same.
func (r *reader) numeral() []byte {
	if r.refusal != nil {
		return nil
	}
	if got := r.dec.PeekKind(); got != '0' && got != 0 {
		r.wrongType(got, '0')
		return nil
	}
	raw, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return nil
	}
	if !safeNumeral(string(raw)) {
		r.fail(ReasonNumberTooLarge, "want a number between -(2^53-1) and 2^53-1")
		return nil
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
	if got := r.dec.PeekKind(); got != 't' && got != 'f' && got != 0 {
		r.wrongType(got, 't')
		return false
	}
	return r.token() == 't'
}
