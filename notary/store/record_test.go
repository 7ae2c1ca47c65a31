package store

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// FuzzSubjects reads what a damaged row may hold: what is read is written and
// read again as the same.
func FuzzSubjects(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[["a \"b\"\\c/<ä\u2028>",{"sha256":"` + strings.Repeat("5e", 32) + `"}]]`))
	f.Add([]byte(`[["x",{"sha256":"` + strings.Repeat("5e", 32) + `","tn-table-v1":"9f"}],["y",{}]]`))
	f.Add([]byte(`[["x"`))
	f.Add([]byte(`[[1,2,3]]`))
	f.Add([]byte(`{"sha256":"5e"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		subjects, err := readSubjects(text)
		if err != nil || !haveDigests(subjects) {
			return
		}
		written, err := appendSubjects(nil, subjects)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", subjects, err)
		}
		again, err := readSubjects(written)
		if err != nil || !reflect.DeepEqual(again, subjects) {
			t.Errorf("%s was written as %s and read again as %+v, %v", text, written, again, err)
		}
	})
}

// haveDigests tells whether subjects could be a statement's: each has a digest.
func haveDigests(subjects []trial.Subject) bool {
	return !slices.ContainsFunc(subjects, func(s trial.Subject) bool { return len(s.Digests) == 0 })
}

// hexDigest is one digest, given in hexadecimal.
func hexDigest(name, text string) trial.Digests {
	d, err := trial.ParseDigests(map[string]string{name: text})
	if err != nil {
		panic(err)
	}
	return d
}
