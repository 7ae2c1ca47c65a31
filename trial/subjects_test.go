package trial

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestReadSubjects reads them wherever they stand, and refuses what has none.
func TestReadSubjects(t *testing.T) {
	one := `[{"name":"a.json","digest":{"sha256":"` + strings.Repeat("5e", 32) + `"}}]`
	want, err := ReadSubjects([]byte(`{"subject":` + one + `}`))
	if err != nil || len(want) != 1 || want[0].Name != "a.json" || len(want[0].Digests) != 1 {
		t.Fatalf("got %v, %v", want, err)
	}
	for _, payload := range []string{
		`{"_type":"x","predicate":{"subject":[1],"deep":[[{"a":null}]]},"subject":` + one + `}`,
		`{ "_type" : "with an \u0065scape", "su\u0062ject" : ` + one + ` , "more" : 1 }`,
		`{"subject":` + one, // whose end is nobody's business here
	} {
		if got, err := ReadSubjects([]byte(payload)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, %v, want %v", payload, got, err, want)
		}
	}
	for _, payload := range []string{
		``, `[]`, `{}`, `{"predicate":{"subject":` + one + `}}`, `{"subject":[]}`, `{"subject":{}}`, `{"subject":` + one[:len(one)-1],
		`{"_type":nonsense,"subject":` + one + `}`, `{"subject":[{"name":"a.json","digest":{"sha256":"5e"}}]}`,
	} {
		var refusal *Refusal
		if got, err := ReadSubjects([]byte(payload)); !errors.As(err, &refusal) || got != nil {
			t.Errorf("%s: got %v, %v, want a refusal", payload, got, err)
		}
	}
}

// TestReadSubjectsLikeParse: what the whole reader finds, the part finds.
func TestReadSubjectsLikeParse(t *testing.T) {
	for _, payload := range docPayloads(t) {
		st, err := ParseStatement(payload)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSubjects(payload); err != nil || !reflect.DeepEqual(got, st.Subjects) {
			t.Errorf("%s: got %v, %v, want %v", payload, got, err, st.Subjects)
		}
	}
}
