package main

import (
	"errors"
	"iter"
	"strings"
	"testing"
)

// What the notary lists is compared line by line, and what is missing or too much
// counts.
func TestAgainst(t *testing.T) {
	list := func(fail error, lines ...string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for _, l := range lines {
				if !yield(l, nil) {
					return
				}
			}
			if fail != nil {
				yield("", fail)
			}
		}
	}
	same := func(s string) string { return s }
	for name, c := range map[string]struct {
		theirs, mine []string
		says         string
	}{
		"the same":  {[]string{"a", "b"}, []string{"a", "b"}, ""},
		"nothing":   {nil, nil, ""},
		"one other": {[]string{"a", "x"}, []string{"a", "b"}, `1 finding not the same, the first: finding 2: got "x", computed "b"`},
		"one less":  {[]string{"a"}, []string{"a", "b"}, `finding 2: got none, computed "b"`},
		"one more":  {[]string{"a", "b", "c"}, []string{"a", "b"}, `finding 3: got "c", computed "none"`},
		"all other": {[]string{"x"}, []string{"a", "b", "c"}, `3 findings not the same, the first: finding 1: got "x", computed "a"`},
	} {
		n := &notarysAnswer{}
		listed, err := against(n, "finding", list(nil, c.theirs...), c.mine, same)
		if err != nil || listed != len(c.theirs) {
			t.Errorf("%s: got %d, %v", name, listed, err)
		}
		if got := strings.Join(n.Differs, "; "); (c.says == "") != (got == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: got %q, want %q", name, got, c.says)
		}
	}
	broken := errors.New("broken")
	if _, err := against(&notarysAnswer{}, "finding", list(broken, "a"), []string{"a"}, same); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
