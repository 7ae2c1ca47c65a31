package trial

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
)

func manifestFiles(n int) []ManifestFile {
	out := make([]ManifestFile, n)
	for i := range out {
		out[i] = ManifestFile{
			Path: fmt.Sprintf("d%d/file %d.xpt", i%3, i), Size: uint64(i),
			Digests: SHA256(hash32(fmt.Sprintf("%064x", i))),
		}
	}
	if n > 0 {
		out[n/2].Digests = append(out[n/2].Digests, Digest{DigestTable, hash32(anyHex)})
		out[n/2].Path = `ü "quoted" & <x>.json`
	}
	return out
}

func newManifest(tb testing.TB, n int) *Manifest {
	tb.Helper()
	m, err := NewManifest(manifestFiles(n), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// slowRoot is the definition of RFC 6962, section 2.1, word by word.
func slowRoot(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return rfc6962.DefaultHasher.HashLeaf(leaves[0])
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return rfc6962.DefaultHasher.HashChildren(slowRoot(leaves[:k]), slowRoot(leaves[k:]))
}

func TestManifestProvesEachFile(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 8, 9, 33} {
		m := newManifest(t, n)
		var leaves [][]byte
		for _, f := range m.Files() {
			leaves = append(leaves, appendLeaf(nil, f, m.salt(f.Path)))
		}
		root := [32]byte(slowRoot(leaves))
		if got := m.Subject("folder").Digests; m.Root() != root || len(got) != 1 || !got.Is(DigestManifest, root) {
			t.Fatalf("%d files: got root %x and digests %v, want %x", n, m.Root(), got, root)
		}
		back, err := ParseManifest(m.Marshal())
		if err != nil || back.Root() != m.Root() || back.Len() != uint64(n) {
			t.Fatalf("%d files: ParseManifest: %v", n, err)
		}
		for _, f := range back.Files() {
			text, err := back.ProveFile(f.Path)
			if err != nil {
				t.Fatal(err)
			}
			p, err := ParseManifestProof(text)
			if err != nil {
				t.Fatalf("ParseManifestProof(%s): %v", text, err)
			}
			if err := p.Verify(root, back.Info().Files); err != nil {
				t.Errorf("%d files, %s: %v", n, f.Path, err)
			}
			if p.Path() != f.Path || p.Size() != f.Size || p.SHA256() != hash32(f.Digests.Text()[DigestSHA256]) || len(p.Digests()) != len(f.Digests) {
				t.Errorf("got a proof of %q, want %q", p.Path(), f.Path)
			}
		}
	}
}

func TestManifestHidesTheOthers(t *testing.T) {
	files := manifestFiles(4)
	a, err := NewManifest(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewManifest(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Root() == b.Root() {
		t.Error("two manifests of the same files have the same root: they are not salted")
	}
	if !a.Has(files[0].Path) || a.Has("other") {
		t.Error("Has is wrong")
	}
	if !slices.IsSortedFunc(a.Files(), func(x, y ManifestFile) int { return strings.Compare(x.Path, y.Path) }) {
		t.Error("the files are not sorted bytewise")
	}
}

func TestManifestProofRefuses(t *testing.T) {
	m := newManifest(t, 7)
	root := m.Root()
	p, err := m.Prove(m.Files()[3].Path)
	if err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, p.Verify(root, 8), ReasonManifestMismatch, "files")
	wantRefusal(t, p.Verify(hash32(anyHex), 7), ReasonBadManifestProof, "")
	for name, change := range map[string]func(p *ManifestProof){
		"size":   func(p *ManifestProof) { p.file.Size++ },
		"path":   func(p *ManifestProof) { p.file.Path = "other" },
		"digest": func(p *ManifestProof) { p.file.Digests = SHA256(hash32(anyHex)) },
		"salt":   func(p *ManifestProof) { p.salt = bytes.Repeat([]byte{1}, 32) },
		"index":  func(p *ManifestProof) { p.index-- },
		"hash":   func(p *ManifestProof) { p.hashes = slices.Clone(p.hashes); p.hashes[0] = p.salt },
		"less":   func(p *ManifestProof) { p.hashes = p.hashes[1:] },
		"more":   func(p *ManifestProof) { p.hashes = append(slices.Clone(p.hashes), p.salt) },
	} {
		q := *p
		change(&q)
		if got := ReasonOf(q.Verify(root, 7)); got != ReasonBadManifestProof {
			t.Errorf("changed %s: got %q, want %s", name, got, ReasonBadManifestProof)
		}
	}
	_, err = m.ProveFile("other")
	wantRefusal(t, err, ReasonBadManifestProof, "")
}

func TestManifestRefuses(t *testing.T) {
	good := string(newManifest(t, 2).Marshal())
	file := `{"path":"z","size":1,"digests":{"sha256":"` + anyHex + `"}}`
	for name, c := range map[string]struct {
		old, new string
		reason   Reason
		path     string
	}{
		"blank":             {`{"type"`, `{ "type"`, ReasonMalformedManifest, ""},
		"no line feed":      {"]}\n", "]}", ReasonMalformedManifest, ""},
		"CRLF":              {"]}\n", "]}\r\n", ReasonMalformedManifest, ""},
		"another type":      {"manifest/v1", "manifest/v2", ReasonMalformedManifest, "type"},
		"no secret":         {`"secret":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",`, ``, ReasonMissingField, "secret"},
		"unknown field":     {`"secret"`, `"note":1,"secret"`, ReasonUnknownField, "note"},
		"no size":           {`"size":0,`, ``, ReasonMissingField, "files[0].size"},
		"size":              {`"size":0`, `"size":9007199254740992`, ReasonNumberTooLarge, "files[0].size"},
		"size with zero":    {`"size":0`, `"size":00`, ReasonMalformedManifest, "*"},
		"parent path":       {`d0/file 0.xpt`, `../x`, ReasonBadName, "files[0].path"},
		"order":             {`"files":[` + "\n", `"files":[` + "\n" + file + ",\n", ReasonDuplicateValue, "files[1].path"},
		"manifest digest":   {`"sha256"`, `"tn-manifest-v1"`, ReasonBadDigest, "files[0].digests"},
		"digest":            {fmt.Sprintf("%064x", 0), "00", ReasonBadDigest, "files[0].digests.sha256"},
		"needless escape":   {`d0/file 0`, `\u0064` + `0/file 0`, ReasonMalformedManifest, ""},
		"salt in a file":    {`"size":0`, `"salt":"` + anyHex + `","size":0`, ReasonUnknownField, "files[0].salt"},
		"something follows": {"]}\n", "]}\n{}", ReasonMalformedManifest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.old) {
				t.Fatalf("no %s in %s", c.old, good)
			}
			_, err := ParseManifest([]byte(strings.Replace(good, c.old, c.new, 1)))
			wantRefusal(t, err, c.reason, c.path)
		})
	}
	_, err := NewManifest(nil, nil)
	wantRefusal(t, err, ReasonMissingField, "files")
	_, err = NewManifest(manifestFiles(1), []byte("short"))
	wantRefusal(t, err, ReasonMalformedManifest, "secret")
	_, err = NewManifest([]ManifestFile{{Path: "a"}}, nil)
	wantRefusal(t, err, ReasonBadDigest, "files[0].digests")
	for _, path := range []string{"a\xff", "a\u202eb", "a\nb"} {
		_, err = NewManifest([]ManifestFile{{Path: path, Digests: SHA256(hash32(anyHex))}}, nil)
		wantRefusal(t, err, ReasonForbiddenCharacter, "files[0].path")
	}
}

func TestManifestProofFileRefuses(t *testing.T) {
	text, err := newManifest(t, 2).ProveFile("d0/file 0.xpt")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		reason   Reason
	}{
		"blank":         {`{"type"`, `{ "type"`, ReasonMalformedManifest},
		"another type":  {"proof/v1", "proof/v2", ReasonMalformedManifest},
		"index":         {`"index":0`, `"index":2`, ReasonMalformedManifest},
		"no leaf's key": {`"size":0`, `"siz":0`, ReasonUnknownField},
		"no hashes":     {`,"hashes"`, `,"hash"`, ReasonUnknownField},
		"too large":     {"]}", "]}" + strings.Repeat(" ", maxProof), ReasonTooLarge},
		"absolute path": {"d0/file", "/d0/file", ReasonBadName},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(string(text), c.old) {
				t.Fatalf("no %s in %s", c.old, text)
			}
			_, err := ParseManifestProof([]byte(strings.Replace(string(text), c.old, c.new, 1)))
			wantRefusal(t, err, c.reason, "*")
		})
	}
}
