package dataset

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrSyntax says that a file is not well-formed in its format.
var ErrSyntax = errors.New("not well-formed")

// maxDescription bounds what describes a table in Dataset-JSON, in bytes: 32,767
// columns of a thousand bytes each.
const maxDescription = 32 << 20

// jsonStream reads JSON values one after the other with bounded memory: no value
// that is read whole may be longer than limit.
type jsonStream struct {
	*jsontext.Decoder

	src   io.Reader
	given int64 // bytes handed to the decoder
	limit int64
	lines int64 // line ends handed to the decoder
	fault error // of src
}

func newJSONStream(src io.Reader) *jsonStream {
	s := &jsonStream{src: src, limit: maxDescription}
	s.Decoder = jsontext.NewDecoder(s)
	return s
}

// Read is for the decoder alone. It is called when the decoder holds the whole
// of what it has not passed yet: the distance is the length of a value.
func (s *jsonStream) Read(p []byte) (int, error) {
	if s.Decoder != nil && s.given-s.InputOffset() > s.limit {
		s.fault = errorAt(ErrLimit, "", "a value is longer than %d bytes", s.limit)
		return 0, s.fault
	}
	n, err := s.src.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.fault = err
	}
	s.given += int64(n)
	s.lines += int64(bytes.Count(p[:n], []byte{'\n'}))
	return n, err
}

// fail says what the decoder's error means.
func (s *jsonStream) fail(where string, err error) error {
	var known *Error
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(s.fault, &known):
		return &Error{Where: where, Detail: known.Detail, Err: known.Err}
	case s.fault != nil:
		return s.fault // reading failed: no fault of the file
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errorAt(ErrTruncated, where, "file ends inside a JSON value")
	case !errors.As(err, &syntax):
		return err
	case errors.Is(err, jsontext.ErrDuplicateName):
		return errorAt(ErrSyntax, where, "member %q is there twice", syntax.JSONPointer.LastToken())
	}
	kind := ErrSyntax
	if message := syntax.Err.Error(); strings.Contains(message, "UTF-8") || strings.Contains(message, "surrogate") {
		kind = ErrText
	}
	return errorAt(kind, where, "byte %d: %v", s.InputOffset()+1, syntax.Err)
}

// object reads an object and calls member after each name; member reads the value.
func (s *jsonStream) object(where string, member func(name string) error) error {
	if err := s.begin(where, '{', "an object"); err != nil {
		return err
	}
	for s.PeekKind() != '}' {
		name, err := s.ReadToken()
		if err != nil {
			return s.fail(where, err)
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	_, err := s.ReadToken()
	return s.failed(where, err)
}

// array reads an array and calls element before each of its values.
func (s *jsonStream) array(where string, element func(i int) error) error {
	if err := s.begin(where, '[', "an array"); err != nil {
		return err
	}
	for i := 0; s.PeekKind() != ']'; i++ {
		if err := element(i); err != nil {
			return err
		}
	}
	_, err := s.ReadToken()
	return s.failed(where, err)
}

// begin reads the token that opens an object or array.
func (s *jsonStream) begin(where string, kind jsontext.Kind, want string) error {
	token, err := s.ReadToken()
	if err != nil {
		return s.fail(where, err)
	}
	if token.Kind() != kind {
		return errorAt(ErrHeader, where, "got %s, want %s", kindName(token.Kind()), want)
	}
	return nil
}

func (s *jsonStream) failed(where string, err error) error {
	if err == nil {
		return nil
	}
	return s.fail(where, err)
}

// text reads a string.
func (s *jsonStream) text(where string) (string, error) {
	token, err := s.ReadToken()
	if err != nil {
		return "", s.fail(where, err)
	}
	if token.Kind() != '"' {
		return "", errorAt(ErrHeader, where, "got %s, want a string", kindName(token.Kind()))
	}
	return token.String(), nil
}

// count reads a whole number from least up, in digits alone.
func (s *jsonStream) count(where string, least int64) (int64, error) {
	value, err := s.ReadValue()
	if err != nil {
		return 0, s.fail(where, err)
	}
	n, ok := wholeNumber(value)
	if !ok || n < least {
		return 0, errorAt(ErrHeader, where, "want a whole number from %d up", least)
	}
	return n, nil
}

// wholeNumber reads up to fifteen digits.
func wholeNumber[T ~string | ~[]byte](digits T) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(digits[i]-'0')
	}
	return n, true
}

// end holds that nothing but white space follows.
func (s *jsonStream) end() error {
	_, err := s.ReadToken()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return errorAt(ErrTrailing, "", "file goes on after the table")
	}
	var syntax *jsontext.SyntacticError
	if s.fault == nil && errors.As(err, &syntax) {
		return errorAt(ErrTrailing, "", "file goes on after the table: %v", syntax.Err)
	}
	return s.fail("", err)
}

// kindName names a kind of JSON value in a message.
func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a truth value"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	default:
		return "something else"
	}
}

// kindOf returns the kind of the value that begins with b.
func kindOf(b byte) jsontext.Kind {
	if b == '-' || b >= '0' && b <= '9' {
		return '0'
	}
	return jsontext.Kind(b)
}
