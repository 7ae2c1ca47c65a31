package dataset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

// utf8Name is how Meta names the encoding that needs none.
const utf8Name = "utf-8"

// decoder turns bytes of a file into text.
type decoder struct {
	name string
	enc  encoding.Encoding // nil for UTF-8
}

// newDecoder returns the decoder for Options.Encoding.
func newDecoder(name string) (*decoder, error) {
	if name == "" || strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") {
		return &decoder{name: utf8Name}, nil
	}
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil || enc == nil {
		return nil, errorAt(ErrEncoding, "", "encoding %q is not known: name it as IANA does, for example windows-1252", name)
	}
	// Header records and padding are ASCII: an encoding that spells ASCII
	// otherwise cannot be that of a transport file.
	if s, err := enc.NewDecoder().String(printable); err != nil || s != printable {
		return nil, errorAt(ErrEncoding, "", "encoding %q does not hold ASCII as it is, so no transport file is in it", name)
	}
	canonical, err := ianaindex.IANA.Name(enc)
	if err != nil {
		canonical = name
	}
	return &decoder{name: strings.ToLower(canonical), enc: enc}, nil
}

// printable is ASCII but for `\` and `~`, for which some encodings of East Asia
// have a sign of their own.
const printable = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}"

// decode returns the text of s, or false where s is no text in the encoding.
func (d *decoder) decode(s string) (string, bool) {
	if d.enc == nil {
		return s, utf8.ValidString(s)
	}
	text, err := d.enc.NewDecoder().String(s)
	// The decoders replace what they cannot read and report nothing.
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", false
	}
	return text, true
}
