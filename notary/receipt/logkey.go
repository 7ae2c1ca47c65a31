package receipt

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// Signature types of C2SP signed notes.
const (
	typeEd25519     = 0x01
	typeCosignature = 0x04 // timestamped Ed25519 cosignature
	typeMLDSA44     = 0x06 // timestamped ML-DSA-44 cosignature
)

const mldsa44KeySize = 1312

// maxOrigin is the longest host name, in bytes (RFC 1035).
const maxOrigin = 253

// LogKey is a key of a log, in the C2SP verifier key form. A log has one
// Ed25519 key or more, and may have an ML-DSA-44 key beside them under the same
// name.
type LogKey struct {
	key      vkey
	verifier note.Verifier
}

// vkey is a parsed C2SP verifier key: NAME+HASH+base64(TYPE ‖ KEY).
type vkey struct {
	text string
	name string
	typ  byte
	key  []byte
}

// NewLogKey makes the verifier key of an Ed25519 log. The origin must be a bare
// host name in lower case: stock verifiers compare it with the host of the
// trusted root's baseUrl.
func NewLogKey(origin string, key ed25519.PublicKey) (LogKey, error) {
	if len(key) != ed25519.PublicKeySize {
		return LogKey{}, fmt.Errorf("invalid Ed25519 key: got %d bytes, want %d", len(key), ed25519.PublicKeySize)
	}
	return newLogKey(newVKey(origin, typeEd25519, key))
}

// ParseLogKey reads a verifier key, NAME+HASH+KEY, without newline. Its type is
// Ed25519 or ML-DSA-44.
func ParseLogKey(text string) (LogKey, error) {
	k, err := parseVKey(text)
	if err != nil {
		return LogKey{}, fmt.Errorf("invalid log key: %w", err)
	}
	return newLogKey(k)
}

func newLogKey(k vkey) (LogKey, error) {
	if err := checkOrigin(k.name); err != nil {
		return LogKey{}, err
	}
	if k.typ == typeCosignature {
		return LogKey{}, fmt.Errorf("invalid log key: got the witness type %#02x, want %#02x", k.typ, typeEd25519)
	}
	v, err := k.verifier()
	if err != nil {
		return LogKey{}, fmt.Errorf("invalid log key: %w", err)
	}
	return LogKey{key: k, verifier: v}, nil
}

// Origin returns the log's name.
func (k LogKey) Origin() string { return k.key.name }

// VKey returns the C2SP form NAME+HASH+KEY.
func (k LogKey) VKey() string { return k.key.text }

// ID returns the full SHA-256(origin ‖ LF ‖ type ‖ key). Its first four bytes
// are the key hash of the log's signature lines.
func (k LogKey) ID() [32]byte { return k.key.id() }

// Verifier verifies the key's line of a checkpoint.
func (k LogKey) Verifier() note.Verifier { return k.verifier }

// IsEd25519 tells whether stock tools can use the key.
func (k LogKey) IsEd25519() bool { return k.key.typ == typeEd25519 }

// Ed25519 returns the key's 32 bytes, or nil for another type.
func (k LogKey) Ed25519() ed25519.PublicKey {
	if !k.IsEd25519() {
		return nil
	}
	return ed25519.PublicKey(k.key.key)
}

func newVKey(name string, typ byte, key []byte) vkey {
	k := vkey{name: name, typ: typ, key: key}
	id := k.id()
	k.text = name + "+" + hex.EncodeToString(id[:4]) + "+" + base64.StdEncoding.EncodeToString(append([]byte{typ}, key...))
	return k
}

// parseVKey accepts the one canonical spelling of the three types in use.
func parseVKey(text string) (vkey, error) {
	name, rest, _ := strings.Cut(text, "+")
	_, key64, ok := strings.Cut(rest, "+")
	if !ok {
		return vkey{}, errors.New("got no verifier key, want NAME+HASH+KEY")
	}
	if !validNoteName(name) {
		return vkey{}, fmt.Errorf("invalid key name %q", name)
	}
	raw, err := base64.StdEncoding.DecodeString(key64)
	if err != nil || len(raw) == 0 {
		return vkey{}, errors.New("invalid key: want padded standard base64")
	}
	want := ed25519.PublicKeySize
	switch raw[0] {
	case typeEd25519, typeCosignature:
	case typeMLDSA44:
		want = mldsa44KeySize
	default:
		return vkey{}, fmt.Errorf("unknown key type %#02x", raw[0])
	}
	if len(raw)-1 != want {
		return vkey{}, fmt.Errorf("invalid key: got %d bytes, want %d", len(raw)-1, want)
	}
	k := newVKey(name, raw[0], raw[1:])
	if k.text != text {
		return vkey{}, errors.New("key hash or spelling does not fit name and key")
	}
	return k, nil
}

func (k vkey) id() [32]byte {
	b := make([]byte, 0, len(k.name)+2+len(k.key))
	b = append(b, k.name...)
	b = append(b, '\n', k.typ)
	b = append(b, k.key...)
	return sha256.Sum256(b)
}

func (k vkey) hash() uint32 {
	id := k.id()
	return binary.BigEndian.Uint32(id[:])
}

func (k vkey) verifier() (note.Verifier, error) {
	if k.typ == typeEd25519 {
		return note.NewVerifier(k.text)
	}
	return fnote.NewVerifierForCosignatureV1(k.text)
}

// validNoteName follows C2SP signed-note: no space, no plus, valid UTF-8.
func validNoteName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.Contains(name, "+") &&
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r < 0x20 || r == 0x7f }) < 0
}

// checkOrigin demands a bare host name: no scheme, port, path or capitals.
func checkOrigin(origin string) error {
	if origin == "" || len(origin) > maxOrigin {
		return fmt.Errorf("invalid origin: got %d bytes, want a host name of 1 to %d", len(origin), maxOrigin)
	}
	for label := range strings.SplitSeq(origin, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("invalid origin %q: want a bare host name", origin)
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return fmt.Errorf("invalid origin %q: got character %q, want a bare host name in lower case", origin, c)
			}
		}
	}
	return nil
}
