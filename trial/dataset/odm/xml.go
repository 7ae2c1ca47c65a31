package odm

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Why a file is refused. Every error about a file wraps one of them, and says the
// line.
var (
	ErrSyntax    = errors.New("not well-formed XML")
	ErrEncoding  = errors.New("not UTF-8")
	ErrDTD       = errors.New("document type declaration or entity")
	ErrLimit     = errors.New("beyond a limit")
	ErrNotODM    = errors.New("no ODM-XML")
	ErrNotDefine = errors.New("no define.xml")
	ErrRecord    = errors.New("audit record that is not read")
)

// Limits on what a file may ask for.
const (
	maxToken      = 4 << 20 // bytes of a tag or of text between two
	maxDepth      = 64
	maxAttributes = 256
)

// scanner gives the elements and text of a file. It drops comments and processing
// instructions, and refuses declarations.
type scanner struct {
	dec   *xml.Decoder
	src   io.Reader
	given int64 // bytes handed to the decoder
	start int64 // where the token began that is being read
	depth int
	roots int
	fault error // of src
	// names are full names that were spelled already: a file has few, many times.
	names map[xml.Name]string
}

// maxNames bounds the names that are remembered.
const maxNames = 4096

func newScanner(src io.Reader) *scanner {
	s := &scanner{src: src, names: map[xml.Name]string{}}
	s.dec = xml.NewDecoder(s)
	return s
}

// Read is for the decoder alone, which keeps a token whole.
func (s *scanner) Read(p []byte) (int, error) {
	if s.given-s.start > maxToken {
		s.fault = s.errorf(ErrLimit, "a tag or text is longer than %d bytes", maxToken)
		return 0, s.fault
	}
	n, err := s.src.Read(p)
	s.given += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.fault = err
	}
	return n, err
}

func (s *scanner) errorf(kind error, format string, args ...any) error {
	line, _ := s.dec.InputPos()
	return fmt.Errorf("line %d: %w: %s", line, kind, fmt.Sprintf(format, args...))
}

// next returns the next start, end or text. The error is io.EOF after the root's
// end. Text is good until the next call.
func (s *scanner) next() (xml.Token, error) {
	for {
		s.start = s.dec.InputOffset()
		token, err := s.dec.Token()
		if err != nil {
			return nil, s.fail(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if s.depth == 0 {
				s.roots++
			}
			if s.depth++; s.roots > 1 {
				return nil, s.errorf(ErrSyntax, "a second root element")
			}
			if s.depth > maxDepth {
				return nil, s.errorf(ErrLimit, "elements are nested deeper than %d", maxDepth)
			}
			return t, s.attributes(t)
		case xml.EndElement:
			s.depth--
			return t, nil
		case xml.CharData:
			if s.depth > 0 {
				return t, nil
			}
			if strings.TrimSpace(string(t)) != "" {
				return nil, s.errorf(ErrSyntax, "text outside the root element")
			}
		case xml.Directive:
			return nil, s.errorf(ErrDTD, "the file declares a document type, which is not read")
		}
	}
}

// attributes brings an element's attributes into the order of their names and
// refuses what encoding/xml lets pass.
func (s *scanner) attributes(t xml.StartElement) error {
	if len(t.Attr) > maxAttributes {
		return s.errorf(ErrLimit, "element %s has more than %d attributes", t.Name.Local, maxAttributes)
	}
	if len(t.Attr) > 1 {
		slices.SortFunc(t.Attr, func(a, b xml.Attr) int { return strings.Compare(s.fullName(a.Name), s.fullName(b.Name)) })
	}
	for i := 1; i < len(t.Attr); i++ {
		if t.Attr[i].Name == t.Attr[i-1].Name {
			return s.errorf(ErrSyntax, "element %s has the attribute %s twice", t.Name.Local, t.Attr[i].Name.Local)
		}
	}
	return nil
}

// fullName spells a name with its namespace, as James Clark does.
func (s *scanner) fullName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	name, ok := s.names[n]
	if !ok {
		name = "{" + n.Space + "}" + n.Local
		if len(s.names) < maxNames {
			s.names[n] = name
		}
	}
	return name
}

// fail says what the decoder's error means.
func (s *scanner) fail(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case s.fault != nil:
		return s.fault
	case errors.Is(err, io.EOF) && s.depth == 0 && s.given > 0:
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return s.errorf(ErrSyntax, "the file ends early")
	case errors.As(err, &syntax) && strings.Contains(syntax.Msg, "entity"):
		return s.errorf(ErrDTD, "%s", syntax.Msg)
	case errors.As(err, &syntax) && strings.Contains(syntax.Msg, "UTF-8"),
		!errors.As(err, &syntax) && strings.Contains(err.Error(), "encoding"):
		return s.errorf(ErrEncoding, "want UTF-8")
	case errors.As(err, &syntax):
		return s.errorf(ErrSyntax, "%s", syntax.Msg)
	}
	return s.errorf(ErrSyntax, "%v", err)
}

// root reads up to the root element.
func (s *scanner) root() (xml.StartElement, error) {
	token, err := s.next()
	if errors.Is(err, io.EOF) {
		return xml.StartElement{}, s.errorf(ErrSyntax, "the file holds no element")
	}
	if err != nil {
		return xml.StartElement{}, err
	}
	start, ok := token.(xml.StartElement)
	if !ok {
		return xml.StartElement{}, s.errorf(ErrSyntax, "the file does not begin with an element")
	}
	return start, nil
}

// attribute returns an attribute that has no namespace.
func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// odmNamespace begins the namespaces of ODM 1.2, 1.3 and 2.0.
const odmNamespace = "http://www.cdisc.org/ns/odm/v"

func isODM(t xml.StartElement) bool {
	return t.Name.Local == "ODM" && strings.HasPrefix(t.Name.Space, odmNamespace)
}
