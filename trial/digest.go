package trial

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Names of digests. In JSON each value is 64 lowercase hexadecimal characters.
const (
	// DigestSHA256 is of a file's bytes, or of what the statement concerns.
	DigestSHA256 = "sha256"
	// DigestManifest is the root of a manifest: see [Manifest].
	DigestManifest = "tn-manifest-v1"
	// DigestTable is the content digest of a table, and stands only beside
	// DigestSHA256.
	DigestTable = "tn-table-v1"
	// DigestCommitment is a salted commitment to a file or an identifier: see
	// [Commit]. It stands alone, or in a reveal beside DigestSHA256.
	DigestCommitment = "tn-commitment-v1"
	// DigestAudit is the root over the records of an audit trail. It stands
	// alone.
	DigestAudit = "tn-audit-v1"
)

// Digest is a digest under its name.
type Digest struct {
	Name string
	Sum  [32]byte
}

// Digests are the digests of one thing, in ascending order of their names, each
// name once. Equal ones are equal element by element.
//
// They are no map: a statement has thousands of them, nearly always of one
// element, which stand side by side in one piece of memory.
type Digests []Digest

// SHA256 returns the digests of what has a SHA-256 only.
func SHA256(sum [32]byte) Digests { return Digests{{Name: DigestSHA256, Sum: sum}} }

// ParseDigests reads digests by their names, each of 64 lowercase hexadecimal
// characters.
func ParseDigests(text map[string]string) (Digests, error) {
	out := make(Digests, 0, len(text))
	for _, name := range slices.Sorted(maps.Keys(text)) {
		sum, err := parseHex32(text[name])
		if err != nil {
			return nil, fmt.Errorf("invalid digest %q: %w", name, err)
		}
		out = append(out, Digest{name, sum})
	}
	return out, nil
}

// Get returns the digest of a name.
func (d Digests) Get(name string) (sum [32]byte, ok bool) {
	for i := range d {
		if d[i].Name == name {
			return d[i].Sum, true
		}
	}
	return sum, false
}

// Is tells whether the digest of a name is there and is sum.
func (d Digests) Is(name string, sum [32]byte) bool {
	got, ok := d.Get(name)
	return ok && got == sum
}

// Text returns the digests by their names as ParseDigests reads them.
func (d Digests) Text() map[string]string {
	out := make(map[string]string, len(d))
	for i := range d {
		out[d[i].Name] = hex.EncodeToString(d[i].Sum[:])
	}
	return out
}

// MarshalJSON writes an object with a member for each digest.
func (d Digests) MarshalJSON() ([]byte, error) { return d.appendJSON(nil) }

func (d Digests) appendJSON(b []byte) ([]byte, error) {
	b = append(b, '{')
	for i := range d {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = jsontext.AppendQuote(b, d[i].Name); err != nil {
			return nil, fmt.Errorf("writing a digest's name: %w", err)
		}
		b = append(b, ':', '"')
		b = hex.AppendEncode(b, d[i].Sum[:])
		b = append(b, '"')
	}
	return append(b, '}'), nil
}
