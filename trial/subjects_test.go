package trial

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

// TestSubjectsInAnyOrder reads names that ascend, that do not from some place on,
// and that are there twice.
func TestSubjectsInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	digest := `","digest":{"sha256":"` + strings.Repeat("5e", 32) + `"}}`
	for _, n := range []int{1, 2, 7, 8, 9, 40, 1000, MaxSubjects} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("%05d", i))
		}
		payload := func() []byte {
			return []byte(`{"subject":[{"name":"` + strings.Join(names, digest+`,{"name":"`) + digest + `]}`)
		}
		for _, from := range []int{n, n / 2, 0} {
			random.Shuffle(n-from, func(i, j int) { names[from+i], names[from+j] = names[from+j], names[from+i] })
			got, err := ReadSubjects(payload())
			if err != nil || len(got) != n {
				t.Fatalf("%d names: got %d, %v", n, len(got), err)
			}
			for i, s := range got {
				if s.Name != names[i] || s.Digests[0].Sum[0] != 0x5e || len(s.Digests) != 1 || cap(s.Digests) != 1 {
					t.Fatalf("%d names: got %v, want the name %s", n, s, names[i])
				}
			}
		}
		if n == 1 {
			continue
		}
		for _, twice := range [][2]int{{0, 1}, {0, n - 1}, {n / 2, n - 1}, {n/2 - 1, n / 2}} {
			kept := names[twice[1]]
			names[twice[1]] = names[twice[0]]
			if _, err := ReadSubjects(payload()); twice[0] != twice[1] && ReasonOf(err) != ReasonDuplicateValue {
				t.Errorf("%d names, those at %v equal: got %v", n, twice, err)
			}
			names[twice[1]] = kept
		}
		names = append(names, "more")
		if _, err := ReadSubjects(payload()); (n == MaxSubjects) != (ReasonOf(err) == ReasonTooLarge) {
			t.Errorf("%d names: got %v", n+1, err)
		}
	}
}
