package trial

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestDigests(t *testing.T) {
	text := map[string]string{DigestTable: hexOf('b'), DigestSHA256: hexOf('a')}
	d, err := ParseDigests(text)
	if err != nil {
		t.Fatal(err)
	}
	want := Digests{{DigestSHA256, hash32(hexOf('a'))}, {DigestTable, hash32(hexOf('b'))}}
	if !slices.Equal(d, want) || !maps.Equal(d.Text(), text) {
		t.Errorf("got %v and %v, want %v", d, d.Text(), want)
	}
	if _, ok := d.Get(DigestManifest); ok || d.Is(DigestManifest, [32]byte{}) || d.Is(DigestSHA256, [32]byte{}) || !d.Is(DigestTable, want[1].Sum) {
		t.Error("a digest is there that is not, or the other way round")
	}
	written, err := json.Marshal(d)
	if err != nil || string(written) != `{"sha256":"`+hexOf('a')+`","tn-table-v1":"`+hexOf('b')+`"}` {
		t.Errorf("got %s, %v", written, err)
	}
	for _, bad := range []string{"", hexOf('a')[1:], hexOf('a') + "a", hexOf('A'), hexOf('g'), "\xff" + hexOf('a')[1:]} {
		if got, err := ParseDigests(map[string]string{DigestSHA256: bad}); err == nil {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
}

// TestSubjectsStandAlone reads digests in any order, and what is appended to
// those of one subject must not reach the next one's.
func TestSubjectsStandAlone(t *testing.T) {
	const names = 2000
	var doc strings.Builder
	for i := range names {
		doc.WriteString(`{"name":"` + itoa(i) + `","digest":{"tn-table-v1":"` + hexOf('b') + `","sha256":"` + hexOf('a') + `"}},`)
	}
	good := goodStatements(t)[KindDataset]
	at := strings.Index(good, `"subject":[`) + len(`"subject":[`)
	st, err := ParseStatement([]byte(good[:at] + doc.String() + good[at:]))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := ParseDigests(map[string]string{DigestTable: hexOf('b'), DigestSHA256: hexOf('a')})
	for i := range names {
		_ = append(st.Subjects[i].Digests, Digest{Name: "other"})
	}
	for i, s := range st.Subjects[:names] {
		if s.Name != itoa(i) || !slices.Equal(s.Digests, want) {
			t.Fatalf("subject %d: got %v, want %v", i, s, want)
		}
	}
}
