package trial

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// ManifestType stands in every manifest file.
const ManifestType = "https://trialnotary.github.io/manifest/v1"

// MaxManifest bounds a manifest file, in bytes.
const MaxManifest = 512 << 20

// ManifestFile is one file of a manifest.
type ManifestFile struct {
	// Path is relative to the folder, with forward slashes.
	Path    string
	Size    uint64
	Digests Digests // DigestSHA256, and DigestTable where there is one
}

// Manifest lists the files of a folder that is notarized by one digest, the root
// of an RFC 6962 tree over them. It is kept by whoever keeps the files: it shows
// any one of them later without showing the others.
//
// Each file's leaf is salted with HMAC-SHA-256(secret, path). The secret stands
// only in the manifest file, because the hashes beside a proof could be guessed
// without it.
type Manifest struct {
	secret [32]byte
	files  []ManifestFile // sorted bytewise by path
	// levels holds the hashes of all complete subtrees, leaves first.
	levels [][][32]byte
	root   [32]byte
}

// NewManifest makes a manifest of files in any order. secret has 32 bytes; nil
// makes a random one.
func NewManifest(files []ManifestFile, secret []byte) (*Manifest, error) {
	m := &Manifest{files: slices.Clone(files)}
	switch len(secret) {
	case 0:
		if _, err := rand.Read(m.secret[:]); err != nil {
			return nil, fmt.Errorf("reading random bytes: %w", err)
		}
	case len(m.secret):
		copy(m.secret[:], secret)
	default:
		return nil, refuse(ReasonMalformedManifest, "secret", "got %d bytes, want %d", len(secret), len(m.secret))
	}
	slices.SortFunc(m.files, func(a, b ManifestFile) int { return cmp.Compare(a.Path, b.Path) })
	if bad := checkManifestFiles(m.files); bad != nil {
		return nil, bad
	}
	m.build()
	return m, nil
}

func checkManifestFiles(files []ManifestFile) *Refusal {
	if len(files) == 0 {
		return refuse(ReasonMissingField, "files", "want at least one file")
	}
	if len(files) > maxManifestFiles {
		return refuse(ReasonTooLarge, "files", "got more than %d files", maxManifestFiles)
	}
	for i, f := range files {
		path := "files[" + strconv.Itoa(i) + "]"
		if bad := checkManifestFile(path, f); bad != nil {
			return bad
		}
		if i > 0 && files[i-1].Path >= f.Path {
			return refuse(ReasonDuplicateValue, path+".path", "listed more than once, or not in bytewise order")
		}
	}
	return nil
}

func checkManifestFile(path string, f ManifestFile) *Refusal {
	if bad := badFileName(f.Path); bad != "" {
		return refuse(ReasonBadName, path+".path", "%s", bad)
	}
	if forbidden([]byte(f.Path), false) >= 0 {
		return refuse(ReasonForbiddenCharacter, path+".path", "a control or direction character, or bad UTF-8")
	}
	if f.Size > maxInt {
		return refuse(ReasonNumberTooLarge, path+".size", "want at most 2^53-1")
	}
	_, sha := f.Digests.Get(DigestSHA256)
	_, table := f.Digests.Get(DigestTable)
	switch n := len(f.Digests); {
	case !sha:
		return refuse(ReasonBadDigest, path+".digests", "sha256 is missing")
	case n > 2 || n == 2 && !table:
		return refuse(ReasonBadDigest, path+".digests", "want digests of the names sha256 and tn-table-v1 only")
	}
	return nil
}

// build hashes the tree and keeps every complete subtree's hash, so that a proof
// costs no hashing of leaves.
func (m *Manifest) build() {
	hasher := rfc6962.DefaultHasher
	tree := (&compact.RangeFactory{Hash: hasher.HashChildren}).NewEmptyRange(0)
	keep := func(id compact.NodeID, hash []byte) {
		for uint(len(m.levels)) <= id.Level {
			m.levels = append(m.levels, nil)
		}
		// Within a level, nodes come in order of their index.
		m.levels[id.Level] = append(m.levels[id.Level], [32]byte(hash))
	}
	mac := hmac.New(sha256.New, m.secret[:])
	var text []byte
	for _, f := range m.files {
		mac.Reset()
		mac.Write([]byte(f.Path))
		text = appendLeaf(text[:0], f, mac.Sum(nil))
		// Neither call fails on a range of leaves that are added one by one.
		_ = tree.Append(hasher.HashLeaf(text), keep)
	}
	root, _ := tree.GetRootHash(nil)
	m.root = [32]byte(root)
}

// appendLeaf appends the canonical JSON (RFC 8785) of a leaf:
//
//	{"digests":{"sha256":"HEX"},"path":"dm.xpt","salt":"HEX","size":1234}
func appendLeaf(b []byte, f ManifestFile, salt []byte) []byte {
	b = append(b, `{"digests":`...)
	b = appendDigests(b, f.Digests)
	b = append(b, `,"path":`...)
	b = appendString(b, f.Path)
	b = append(b, `,"salt":"`...)
	b = hex.AppendEncode(b, salt)
	b = append(b, `","size":`...)
	b = strconv.AppendUint(b, f.Size, 10)
	return append(b, '}')
}

func appendDigests(b []byte, digests Digests) []byte {
	b = append(b, `{"sha256":"`...)
	sum, _ := digests.Get(DigestSHA256)
	b = hex.AppendEncode(b, sum[:])
	if table, ok := digests.Get(DigestTable); ok {
		b = append(b, `","tn-table-v1":"`...)
		b = hex.AppendEncode(b, table[:])
	}
	return append(b, `"}`...)
}

// appendString appends a path that was checked: valid UTF-8 without controls.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// Root returns the root of the tree.
func (m *Manifest) Root() [32]byte { return m.root }

// Len returns the number of files.
func (m *Manifest) Len() uint64 { return uint64(len(m.files)) }

// Files returns the files, sorted bytewise by path. They are shared.
func (m *Manifest) Files() []ManifestFile { return m.files }

// Has tells whether the manifest lists a path.
func (m *Manifest) Has(path string) bool {
	_, ok := m.find(path)
	return ok
}

func (m *Manifest) find(path string) (int, bool) {
	return slices.BinarySearchFunc(m.files, path, func(f ManifestFile, p string) int { return strings.Compare(f.Path, p) })
}

// Subject returns the subject of the manifest's statement under a folder's name.
// The statement's predicate needs [Manifest.Info] beside.
func (m *Manifest) Subject(name string) Subject {
	return Subject{Name: name, Digests: Digests{{DigestManifest, m.root}}}
}

// Info returns what the statement's predicate says of the manifest.
func (m *Manifest) Info() *ManifestInfo { return &ManifestInfo{Files: m.Len()} }

// Marshal returns the manifest file in its one spelling: one line a file.
func (m *Manifest) Marshal() []byte {
	b := append([]byte(`{"type":"`), ManifestType...)
	b = append(b, `","secret":"`...)
	b = base64.StdEncoding.AppendEncode(b, m.secret[:])
	b = append(b, `","files":[`...)
	for i, f := range m.files {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, "\n"+`{"path":`...)
		b = appendString(b, f.Path)
		b = append(b, `,"size":`...)
		b = strconv.AppendUint(b, f.Size, 10)
		b = append(b, `,"digests":`...)
		b = appendDigests(b, f.Digests)
		b = append(b, '}')
	}
	return append(b, "\n]}\n"...)
}

// ParseManifest reads a manifest file. It accepts the one spelling of
// [Manifest.Marshal] only:
//
//	{"type":"https://trialnotary.github.io/manifest/v1","secret":"BASE64","files":[
//	{"path":"dm.xpt","size":1234,"digests":{"sha256":"HEX"}},
//	{"path":"lb/lb.xpt","size":5678,"digests":{"sha256":"HEX","tn-table-v1":"HEX"}}
//	]}
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > MaxManifest {
		return nil, refuse(ReasonTooLarge, "", "got a manifest of %d bytes, want at most %d", len(b), MaxManifest)
	}
	var m *Manifest
	refusal := readDocument(b, ReasonMalformedManifest, func(r *reader) {
		m = new(Manifest)
		m.read(r)
	})
	if refusal != nil {
		return nil, refusal
	}
	if bad := checkManifestFiles(m.files); bad != nil {
		return nil, bad
	}
	if !bytes.Equal(m.Marshal(), b) {
		return nil, refuse(ReasonMalformedManifest, "", "not in the one spelling of a manifest: was the file edited?")
	}
	m.build()
	return m, nil
}

func (m *Manifest) read(r *reader) {
	var secret bool
	var typ string
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "type":
			typ = r.line(maxName)
		case "secret":
			m.secret, secret = r.base64x32(), true
		case "files":
			m.files = r.manifestFiles()
		default:
			r.unknown()
		}
	}
	r.require("secret", secret)
	if typ != ManifestType {
		r.failAtf("type", ReasonMalformedManifest, "want %q", ManifestType)
	}
}

func (r *reader) manifestFiles() []ManifestFile {
	var out []ManifestFile
	r.begin('[')
	r.listFrom, _ = r.place()
	for r.more() {
		if len(out) == maxManifestFiles {
			r.failf(ReasonTooLarge, "got more than %d files", maxManifestFiles)
			return nil
		}
		out = append(out, r.manifestFile(nil))
	}
	return out
}

// manifestFile reads a file's entry, and a leaf where salt is not nil.
func (r *reader) manifestFile(salt *[]byte) ManifestFile {
	var f ManifestFile
	var size bool
	r.begin('{')
	for r.next() {
		switch name := string(r.name); {
		case name == "path":
			f.Path = r.line(maxFileName)
		case name == "size":
			f.Size, size = r.number(), true
		case name == "digests":
			f.Digests = r.digests()
		case name == "salt" && salt != nil:
			d := r.hash(ReasonMalformedManifest)
			*salt = d[:]
		default:
			r.unknown()
		}
	}
	r.require("path", f.Path != "")
	r.require("size", size)
	r.require("digests", len(f.Digests) > 0)
	r.require("salt", salt == nil || *salt != nil)
	return f
}

// salt returns the salt of a path's leaf.
func (m *Manifest) salt(path string) []byte {
	mac := hmac.New(sha256.New, m.secret[:])
	mac.Write([]byte(path))
	return mac.Sum(nil)
}
