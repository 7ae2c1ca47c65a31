package dataset

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/ianaindex"
)

// What decodes byte by byte says the same as the decoder of the library.
func TestDecodeBytes(t *testing.T) {
	for name, wantASCII := range map[string]bool{
		"windows-1252": true, "windows-1250": true, "iso-8859-1": true, "iso-8859-15": true, "koi8-r": true, "ibm850": true,
		"shift_jis": false, "euc-jp": false, "gbk": false, "euc-kr": false, "iso-2022-jp": false,
	} {
		d, err := newDecoder(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d.ascii != wantASCII || (d.bytes != nil) != wantASCII {
			t.Errorf("%s: got ASCII %v, want %v", name, d.ascii, wantASCII)
		}
		enc, err := ianaindex.IANA.Encoding(name)
		if err != nil {
			t.Fatal(err)
		}
		for b := range 256 {
			s := "a" + string([]byte{byte(b)})
			want, err := enc.NewDecoder().String(s)
			wantOK := err == nil && !strings.ContainsRune(want, utf8.RuneError)
			if got, ok := d.decode(s); ok != wantOK || ok && got != want {
				t.Errorf("%s: %q: got %q, %v, want %q, %v", name, s, got, ok, want, wantOK)
			}
		}
	}
	for _, name := range []string{"utf-16", "utf-16le", "ibm037", "ibm1047", "klingon", "windows-1252\x00"} {
		if d, err := newDecoder(name); err == nil {
			t.Errorf("%s: got %+v, want an error", name, d)
		}
	}
	d, err := newDecoder("UTF-8")
	if err != nil || !d.ascii {
		t.Fatalf("got %+v, %v", d, err)
	}
	for s, want := range map[string]bool{"": true, "é": true, "\xe9": false, "\xed\xa0\x80": false, "\xc0\xa0": false} {
		if _, ok := d.decode(s); ok != want {
			t.Errorf("%q: got %v, want %v", s, ok, want)
		}
	}
}
