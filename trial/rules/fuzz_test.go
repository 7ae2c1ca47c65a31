package rules

import (
	"errors"
	"testing"
)

// Whatever the bytes, a pack is refused by an *Error or compiles or is refused by
// the compiler, and never hangs.
func FuzzParse(f *testing.F) {
	f.Add(DefaultText())
	f.Add([]byte(packText()))
	f.Add([]byte("rules: &a [*a]"))
	f.Add([]byte("pack: \"\\u0000\"\n---\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		var e *Error
		if err != nil {
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			return
		}
		if p.Digest != Digest(text) || len(p.Rules) == 0 {
			t.Fatalf("got %+v", p)
		}
		if _, err := Compile(p, nil, nil); err != nil && !errors.As(err, &e) {
			t.Fatalf("got %v, want an *Error", err)
		}
	})
}
