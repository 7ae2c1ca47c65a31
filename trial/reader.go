package trial

import (
	"bytes"
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
//
// A quick reader stands on [scanner] instead, and gives up where it sees
// anything wrong or rare: see readDocument.
type reader struct {
	quick     bool
	scan      scanner
	dec       jsontext.Decoder
	buf       bytes.Buffer
	src       []byte
	malformed Reason // of a document that is not what it should be
	prefix    string // of paths, for a document inside another
	name      []byte // of the current member, valid until its value is read
	scratch   []byte
	strings   strings.Builder // of what is kept: see keep
	refusal   *Refusal

	digestsKept []Digest // see keepDigests
	digestCount int
	listFrom    int64 // where the list of what has digests begins
	names       nameSet
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// newReader returns a reader of src; release gives it back.
func newReader(src []byte, malformed Reason, prefix string, quick bool) *reader {
	r, _ := readers.Get().(*reader) // the pool holds nothing else
	r.src, r.malformed, r.prefix, r.refusal, r.quick = src, malformed, prefix, nil, quick
	if quick {
		r.scan.reset(src)
		return r
	}
	r.buf = *bytes.NewBuffer(src)
	r.dec.Reset(&r.buf)
	return r
}

func (r *reader) release() {
	if r.quick {
		r.scan.reset(nil)
	} else {
		r.buf = bytes.Buffer{}
		r.dec.Reset(&r.buf) // drops src
	}
	r.src, r.name = nil, nil
	r.strings, r.digestsKept = strings.Builder{}, nil
	r.digestCount, r.listFrom = 0, 0
	readers.Put(r)
}

// failf refuses the value that was read last.
func (r *reader) failf(reason Reason, format string, args ...any) {
	switch {
	case r.refusal != nil:
	case r.quick:
		r.refusal = gaveUp
	default:
		r.refusal = refuse(reason, r.path(string(r.dec.StackPointer())), format, args...)
	}
}

// failAtf refuses something below the value that was read last.
func (r *reader) failAtf(child string, reason Reason, format string, args ...any) {
	switch {
	case r.refusal != nil:
	case r.quick:
		r.refusal = gaveUp
	default:
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
	path, at := r.prefix, len(r.src)
	if syn, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		path, at = r.path(string(syn.JSONPointer)), int(syn.ByteOffset)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		r.refusal = refuse(ReasonDuplicateField, path, "the field is given more than once")
	case !utf8.Valid(r.src):
		r.refusal = refuse(ReasonBadUTF8, path, "not valid UTF-8")
	case loneSurrogate(r.src[min(at, len(r.src)):]):
		r.refusal = refuse(ReasonBadUTF8, path, "an escaped surrogate without its other half")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
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
	if r.quick {
		k := r.scan.token()
		r.quickly()
		return k
	}
	t, err := r.dec.ReadToken()
	if err != nil {
		r.syntax(err)
		return 0
	}
	return t.Kind()
}

// peek returns the kind of the next token, 0 where there is none.
func (r *reader) peek() jsontext.Kind {
	if r.quick {
		return r.scan.peek()
	}
	return r.dec.PeekKind()
}

// begin enters an object '{' or an array '['.
func (r *reader) begin(kind jsontext.Kind) {
	if r.refusal != nil {
		return
	}
	if got := r.peek(); got != kind && got != 0 {
		r.wrongType(got, kind)
		return
	}
	r.token()
}

func (r *reader) wrongType(got, want jsontext.Kind) {
	if r.quick {
		r.refusal = gaveUp
		return
	}
	// The token must be read to be pointed at. What is nested below it is not.
	if _, err := r.dec.ReadToken(); err != nil {
		r.syntax(err)
		return
	}
	r.failf(r.malformed, "got %s, want %s", kindName(got), kindName(want))
}

func kindName(k jsontext.Kind) string {
	switch k {
	case jsontext.KindBeginObject:
		return "an object"
	case jsontext.KindBeginArray:
		return "a list"
	case jsontext.KindString:
		return "a string"
	case jsontext.KindNumber:
		return "a number"
	case jsontext.KindTrue, jsontext.KindFalse:
		return "true or false"
	case jsontext.KindNull:
		return "null"
	default:
		return "something else"
	}
}

// next reads the name of the next member into r.name, or leaves the object.
func (r *reader) next() bool {
	if r.refusal != nil {
		return false
	}
	if r.peek() == '}' {
		r.token()
		return false
	}
	if r.quick {
		r.name = r.scan.name()
		return r.quickly()
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
	if r.peek() == ']' {
		r.token()
		return false
	}
	return true
}

// unknown refuses the current member.
func (r *reader) unknown() {
	r.failf(ReasonUnknownField, "no such field")
}

// end refuses anything after the document.
func (r *reader) end() {
	if r.refusal != nil {
		return
	}
	if r.quick {
		if !r.scan.end() {
			r.refusal = gaveUp
		}
		return
	}
	if _, err := r.dec.ReadToken(); !errors.Is(err, io.EOF) {
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

// skip reads a value of any form and returns its text inside the document. It
// checks what holds everywhere: depth, numbers, and characters of names and
// strings.
func (r *reader) skip() []byte {
	start, base := r.place()
	for r.refusal == nil {
		switch kind := r.peek(); kind {
		case '{', '[':
			r.token()
			if _, depth := r.place(); depth-base > maxDepth {
				r.failf(ReasonTooDeep, "nested more than %d deep", maxDepth)
			}
		case '"':
			r.anyString()
		case '0':
			r.numeral()
		default:
			r.token()
		}
		if _, depth := r.place(); depth == base {
			break
		}
	}
	if r.refusal != nil {
		return nil
	}
	return r.textSince(start)
}

// place returns the offset in src and the depth of nesting.
func (r *reader) place() (offset int64, depth int) {
	if r.quick {
		return int64(r.scan.at), r.scan.depth
	}
	return r.dec.InputOffset(), r.dec.StackDepth()
}

// anyString reads a string, which may be a member's name.
func (r *reader) anyString() {
	var b []byte
	if r.quick && r.scan.nameNext() {
		b = r.scan.name()
		r.quickly()
	} else {
		b, _ = r.readString()
	}
	if i := forbidden(b, true); r.refusal == nil && i >= 0 {
		r.failf(ReasonForbiddenCharacter, "a control or direction character at byte %d", i)
	}
}

// readString reads a string, in a careful reader also a name, and returns its
// content, valid until the next call. It is plain if it surely has no control
// character and nothing that is not ASCII.
func (r *reader) readString() (content []byte, plain bool) {
	if !r.quick {
		raw, err := r.dec.ReadValue()
		if err != nil {
			r.syntax(err)
			return nil, false
		}
		return r.unquote(raw), false
	}
	raw, plain := r.scan.text()
	if !r.quickly() {
		return nil, false
	}
	if plain || bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], plain
	}
	var err error
	if r.scratch, err = jsontext.AppendUnquote(r.scratch[:0], raw); err != nil {
		r.refusal = gaveUp
	}
	return r.scratch, false
}

// textSince returns the one value that was read since an offset.
func (r *reader) textSince(start int64) []byte {
	end, _ := r.place()
	return bytes.TrimLeft(r.src[start:end], " \t\r\n:,")
}
