package store

import (
	"reflect"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

// FuzzSubjects reads what a damaged row may hold: what is read is written and
// read again as the same.
func FuzzSubjects(f *testing.F) {
	f.Add([]byte(`[]`))
	f.Add([]byte(`[["a \"b\"\\c/<ä\u2028>",{"sha256":"` + strings.Repeat("5e", 32) + `"}]]`))
	f.Add([]byte(`[["x",{"sha256":"5e","tn-table-v1":"9f"}],["y",{}]]`))
	f.Add([]byte(`[["x"`))
	f.Add([]byte(`[[1,2,3]]`))
	f.Add([]byte(`{"sha256":"5e"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		subjects, err := readSubjects(text)
		if err != nil || !hexDigests(subjects) {
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

// hexDigests tells whether subjects could be a statement's: whose digests were
// parsed, have at least one, and are written without escapes.
func hexDigests(subjects []trial.Subject) bool {
	for _, s := range subjects {
		if len(s.Digests) == 0 {
			return false
		}
		for _, d := range s.Digests {
			if strings.Trim(d, "0123456789abcdef") != "" {
				return false
			}
		}
	}
	return true
}
