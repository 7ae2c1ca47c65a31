package trial

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of what scanner reads; a document beyond them is left to jsontext.
const (
	scanDepth = 48
	scanNames = 64 // of one object: they are compared in pairs
)

// scanner reads JSON tokens from memory: the quick half of [reader], three times
// as fast as jsontext.Decoder.
//
// It may refuse what is right: that is then read again by jsontext, which has
// the last word. It must never accept what jsontext refuses, nor read it
// differently; FuzzScanner compares the two. So it leaves out what is rare (a
// name with an escape, an object of very many members, deep nesting) and finds
// no words for what is wrong.
type scanner struct {
	src   []byte
	at    int
	ready bool // what stands before the next token was stepped over
	bad   bool // sticks
	depth int
	stack [scanDepth]scanFrame
	names []span // of all objects around, innermost last
}

// scanFrame is an object or a list around the current place.
type scanFrame struct {
	object bool
	colon  bool // a name was read, its value comes next
	more   bool // not empty
	names  int  // where its names begin in scanner.names
}

// span is a part of scanner.src.
type span struct{ from, to int }

func (s *scanner) reset(src []byte) {
	s.src, s.at, s.ready, s.bad, s.depth, s.names = src, 0, false, false, 0, s.names[:0]
}

// fail makes every later call fail too.
func (s *scanner) fail() { s.bad, s.at, s.ready = true, len(s.src), false }

func (s *scanner) space() {
	for s.at < len(s.src) {
		switch s.src[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// byteHere returns the next byte, 0 at the end: no token begins with it.
func (s *scanner) byteHere() byte {
	if s.at < len(s.src) {
		return s.src[s.at]
	}
	return 0
}

// prepare steps over white space and the comma or colon before the next token.
func (s *scanner) prepare() byte {
	if s.ready || s.bad {
		return s.byteHere()
	}
	s.space()
	s.ready = true
	if s.depth == 0 {
		return s.byteHere()
	}
	f := &s.stack[s.depth-1]
	c := s.byteHere()
	switch {
	case f.colon:
		if c != ':' {
			s.fail()
			return 0
		}
	case !f.more || c == f.end():
		return c
	case c != ',':
		s.fail()
		return 0
	}
	s.at++
	s.space()
	if c = s.byteHere(); c == '}' || c == ']' {
		s.fail() // a comma or colon before the end
		return 0
	}
	return c
}

func (f *scanFrame) end() byte {
	if f.object {
		return '}'
	}
	return ']'
}

// peek returns the kind of the next token, 0 where there is none.
func (s *scanner) peek() jsontext.Kind {
	switch c := s.prepare(); c {
	case '{', '}', '[', ']', '"', 't', 'f', 'n':
		return jsontext.Kind(c)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return '0'
	}
	return 0
}

// value notes that a value was read.
func (s *scanner) value() {
	s.ready = false
	if s.depth > 0 {
		f := &s.stack[s.depth-1]
		f.colon, f.more = false, true
	}
}

// nameNext tells whether the next token must be the name of a member.
func (s *scanner) nameNext() bool {
	return s.depth > 0 && s.stack[s.depth-1].object && !s.stack[s.depth-1].colon
}

// token reads a bracket, true, false or null.
func (s *scanner) token() jsontext.Kind {
	k := s.peek()
	switch k {
	case '{', '[':
		if s.depth == scanDepth || s.nameNext() {
			break
		}
		s.at++
		s.ready = false
		s.stack[s.depth] = scanFrame{object: k == '{', names: len(s.names)}
		s.depth++
		return k
	case '}', ']':
		if s.depth == 0 || s.stack[s.depth-1].end() != byte(k) || s.stack[s.depth-1].colon {
			break
		}
		s.at++
		s.depth--
		s.names = s.names[:s.stack[s.depth].names]
		s.value()
		return k
	case 't':
		return s.literal(k, "true")
	case 'f':
		return s.literal(k, "false")
	case 'n':
		return s.literal(k, "null")
	default:
	}
	s.fail()
	return 0
}

func (s *scanner) literal(k jsontext.Kind, text string) jsontext.Kind {
	if s.nameNext() || !bytes.HasPrefix(s.src[s.at:], []byte(text)) {
		s.fail()
		return 0
	}
	s.at += len(text)
	s.value()
	return k
}

// name reads the name of a member.
func (s *scanner) name() []byte {
	if s.prepare() != '"' || !s.nameNext() {
		s.fail()
		return nil
	}
	from := s.at + 1
	to, plain := s.quoted(from)
	f := &s.stack[s.depth-1]
	if s.bad || !plain || len(s.names)-f.names == scanNames {
		s.fail()
		return nil
	}
	name := s.src[from:to]
	for _, other := range s.names[f.names:] {
		if other.to-other.from == len(name) && bytes.Equal(s.src[other.from:other.to], name) {
			s.fail()
			return nil
		}
	}
	s.names = append(s.names, span{from, to})
	s.at, s.ready, f.colon = to+1, false, true
	return name
}

// text reads a string value with its quotation marks. It is plain if it is
// printable ASCII without an escape; otherwise it must be unquoted, which finds
// bad escapes.
func (s *scanner) text() (quoted []byte, plain bool) {
	if s.prepare() != '"' || s.nameNext() {
		s.fail()
		return nil, false
	}
	from := s.at + 1
	to, plain := s.quoted(from)
	if s.bad {
		return nil, false
	}
	s.at = to + 1
	s.value()
	return s.src[from-1 : s.at], plain
}

// raw reads a string value up to the next quotation mark, returns what stands
// before it and checks nothing in it. The caller must refuse every byte that could need an escape.
func (s *scanner) raw() []byte {
	if s.prepare() != '"' || s.nameNext() {
		s.fail()
		return nil
	}
	from := s.at + 1
	n := bytes.IndexByte(s.src[from:], '"')
	if n < 0 {
		s.fail()
		return nil
	}
	s.at = from + n + 1
	s.value()
	return s.src[from : from+n]
}

// The usual spelling of a subject, in pieces between its name and its digest.
const (
	subjectHead   = `{"name":"`
	subjectMiddle = `","digest":{"` + DigestSHA256 + `":"`
	subjectTail   = `"}}`
)

// usualSubject returns the name and the digest of the next value if that is a
// subject in the usual spelling, and where it ends; nothing where something else
// follows. It reads on only at passed: a statement has thousands of subjects, and
// token by token each takes four times as long.
func (s *scanner) usualSubject() (name []byte, digest *[64]byte, end int) {
	if s.prepare() != '{' || s.nameNext() || s.depth+2 > scanDepth {
		return nil, nil, 0
	}
	return s.subjectAt(s.at)
}

// subjectAt is usualSubject for the value that begins at a place. The name is
// plain, the digest may be any 64 bytes.
func (s *scanner) subjectAt(at int) (name []byte, digest *[64]byte, end int) {
	rest := s.src[at:]
	if len(rest) < len(subjectHead) || string(rest[:len(subjectHead)]) != subjectHead {
		return nil, nil, 0
	}
	rest = rest[len(subjectHead):]
	n := plainLen(rest)
	name, rest = rest[:n], rest[n:]
	const size = len(subjectMiddle) + 64 + len(subjectTail)
	if len(rest) < size || string(rest[:len(subjectMiddle)]) != subjectMiddle || string(rest[size-len(subjectTail):size]) != subjectTail {
		return nil, nil, 0
	}
	return name, (*[64]byte)(rest[len(subjectMiddle):]), at + len(subjectHead) + n + size
}

// passed steps over a value that ends at end.
func (s *scanner) passed(end int) {
	s.at = end
	s.value()
}

// nextObject returns where the next value of a list begins if that is an object
// right behind a comma, else -1.
func (s *scanner) nextObject() int {
	if s.at+1 < len(s.src) && s.src[s.at] == ',' && s.src[s.at+1] == '{' {
		return s.at + 1
	}
	return -1
}

// quoted returns where the string ends whose inside begins at from.
func (s *scanner) quoted(from int) (to int, plain bool) {
	plain = true
	for i := from; ; {
		i += plainLen(s.src[min(i, len(s.src)):])
		if i >= len(s.src) || s.src[i] < ' ' {
			break
		}
		switch s.src[i] {
		case '"':
			if !plain && !utf8.Valid(s.src[from:i]) {
				s.fail()
			}
			return i, plain
		case '\\':
			i++ // what follows is judged when it is unquoted, a quotation mark included
		}
		plain = false
		i++
	}
	s.fail()
	return 0, false
}

// plainLen returns how many bytes of b are printable ASCII and neither a
// quotation mark nor a backslash.
func plainLen(b []byte) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		// Eight bytes at once. A byte's high bit is set where it is below a space,
		// a quotation mark, a backslash, DEL or not ASCII; above the first such
		// byte bits may be wrong, which is why only the lowest one counts.
		x := binary.LittleEndian.Uint64(b[n:])
		quote, slash, del := x^(ones*'"'), x^(ones*'\\'), x^(ones*0x7f)
		stop := (x-ones*' ')&^x | (quote-ones)&^quote | (slash-ones)&^slash | (del-ones)&^del | x
		if stop &= highs; stop != 0 {
			return n + bits.TrailingZeros64(stop)/8
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] < 0x7f && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// number reads a number and returns its text.
func (s *scanner) number() []byte {
	if s.peek() != '0' || s.nameNext() {
		s.fail()
		return nil
	}
	from := s.at
	if s.byteHere() == '-' {
		s.at++
	}
	ok := true
	if s.byteHere() == '0' {
		s.at++
	} else {
		ok = s.digits()
	}
	if ok && s.byteHere() == '.' {
		s.at++
		ok = s.digits()
	}
	if c := s.byteHere(); ok && (c == 'e' || c == 'E') {
		s.at++
		if c := s.byteHere(); c == '+' || c == '-' {
			s.at++
		}
		ok = s.digits()
	}
	if !ok {
		s.fail()
		return nil
	}
	s.value()
	return s.src[from:s.at]
}

// digits steps over digits and tells whether there were any.
func (s *scanner) digits() bool {
	from := s.at
	for digit(s.byteHere()) {
		s.at++
	}
	return s.at > from
}

// end tells whether nothing but white space is left.
func (s *scanner) end() bool {
	s.space()
	return !s.bad && s.depth == 0 && s.at == len(s.src)
}
