package dataset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
)

// utf8Name is how Meta names the encoding that needs none.
const utf8Name = "utf-8"

// decoder turns bytes of a file into text.
type decoder struct {
	name  string
	enc   encoding.Encoding // nil for UTF-8
	bytes *charmap.Charmap  // the same, where a byte is a character; else nil
	// ascii is whether ASCII is always itself: not where bytes of it belong to
	// longer characters or switch the alphabet.
	ascii bool
}

// newDecoder returns the decoder for Options.Encoding.
func newDecoder(name string) (*decoder, error) {
	if name == "" || strings.EqualFold(name, "utf-8") || strings.EqualFold(name, "utf8") {
		return &decoder{name: utf8Name, ascii: true}, nil
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
	d := &decoder{name: strings.ToLower(canonical), enc: enc}
	if d.bytes, d.ascii = enc.(*charmap.Charmap); d.ascii {
		for b := range byte(utf8.RuneSelf) {
			d.ascii = d.ascii && d.bytes.DecodeByte(b) == rune(b)
		}
	}
	return d, nil
}

// EncodingName returns the one spelling of an encoding's name, to be recorded:
// the IANA name in lower case. It fails for an encoding that [Open] does not read.
func EncodingName(name string) (string, error) {
	d, err := newDecoder(name)
	if err != nil {
		return "", err
	}
	return d.name, nil
}

// printable is ASCII but for `\` and `~`, for which some encodings of East Asia
// have a sign of their own.
const printable = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}"

// decode returns the text of s, or false where s is no text in the encoding.
func (d *decoder) decode(s string) (string, bool) {
	if d.enc == nil {
		return s, utf8.ValidString(s)
	}
	if d.bytes != nil {
		return d.decodeBytes(s)
	}
	text, err := d.enc.NewDecoder().String(s)
	// The decoders replace what they cannot read and report nothing.
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return "", false
	}
	return text, true
}

// decodeBytes decodes where each byte is a character, and spares a decoder for
// each cell.
func (d *decoder) decodeBytes(s string) (string, bool) {
	text := make([]byte, 0, len(s)+len(s)/2)
	for i := range len(s) {
		r := d.bytes.DecodeByte(s[i])
		if r == utf8.RuneError {
			return "", false
		}
		text = utf8.AppendRune(text, r)
	}
	return string(text), true
}
