package trial

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

// KeyID names a key: the SHA-256 of its SubjectPublicKeyInfo DER. Its text form
// is 64 lowercase hexadecimal characters.
type KeyID [32]byte

// String returns the KeyID as 64 lowercase hexadecimal characters.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells whether the KeyID is absent.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// MarshalText returns the text form.
func (id KeyID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads the text form.
func (id *KeyID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseKeyID(string(text))
	return err
}

// ParseKeyID reads 64 lowercase hexadecimal characters.
func ParseKeyID(s string) (KeyID, error) {
	d, err := parseHex32(s)
	if err != nil {
		return KeyID{}, fmt.Errorf("invalid key id: %w", err)
	}
	return KeyID(d), nil
}

// maxKeyDER bounds a SubjectPublicKeyInfo; one of P-256 has 91 bytes.
const maxKeyDER = 256

// PublicKey is a P-256 public key with its encodings. It is immutable.
type PublicKey struct {
	Key *ecdsa.PublicKey
	// DER is the SubjectPublicKeyInfo.
	DER []byte
	// ID is the SHA-256 of DER.
	ID KeyID
}

// NewPublicKey takes an *ecdsa.PublicKey on P-256 and refuses every other key
// with MALFORMED_KEY.
func NewPublicKey(pub crypto.PublicKey) (*PublicKey, error) {
	key, ok := pub.(*ecdsa.PublicKey)
	if !ok || key == nil || key.Curve != elliptic.P256() {
		return nil, refuse(ReasonMalformedKey, "", "want an ECDSA key on the curve P-256")
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, refuse(ReasonMalformedKey, "", "the point is not on the curve P-256")
	}
	return &PublicKey{Key: key, DER: der, ID: sha256.Sum256(der)}, nil
}

// ParsePublicKeyDER reads a SubjectPublicKeyInfo in its one form: a key in two
// encodings would have two ids.
func ParsePublicKeyDER(der []byte) (*PublicKey, error) {
	if len(der) > maxKeyDER {
		return nil, refuse(ReasonTooLarge, "", "got %d bytes, want at most %d", len(der), maxKeyDER)
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, refuse(ReasonMalformedKey, "", "not a SubjectPublicKeyInfo in DER")
	}
	key, err := NewPublicKey(pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(key.DER, der) {
		return nil, refuse(ReasonMalformedKey, "", "not in canonical DER: want an uncompressed point and a named curve")
	}
	return key, nil
}

const (
	pemPublic  = "PUBLIC KEY"
	pemPrivate = "PRIVATE KEY"
)

// ParsePublicKeyPEM reads one PEM block "PUBLIC KEY" and nothing else.
func ParsePublicKeyPEM(text []byte) (*PublicKey, error) {
	der, err := onePEM(text, pemPublic)
	if err != nil {
		return nil, err
	}
	return ParsePublicKeyDER(der)
}

// PEM returns the key as a PEM block "PUBLIC KEY".
func (k *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: k.DER})
}

// MarshalText returns the DER in base64, as it stands in a statement.
func (k *PublicKey) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, k.DER), nil
}

func onePEM(text []byte, want string) ([]byte, error) {
	if len(text) > 16<<10 {
		return nil, refuse(ReasonTooLarge, "", "got %d bytes, want at most %d", len(text), 16<<10)
	}
	text = bytes.TrimSpace(text)
	block, rest := pem.Decode(text)
	switch {
	case block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")):
		return nil, refuse(ReasonMalformedKey, "", "want one PEM block %q", want)
	case block.Type != want:
		return nil, refuse(ReasonMalformedKey, "", "got a PEM block %.40q, want %q", block.Type, want)
	case len(bytes.TrimSpace(rest)) > 0 || len(block.Headers) > 0:
		return nil, refuse(ReasonMalformedKey, "", "want one PEM block %q without headers and nothing else", want)
	}
	return block.Bytes, nil
}

// GenerateKey makes a P-256 key.
func GenerateKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// ParsePrivateKeyPEM reads one PEM block "PRIVATE KEY" (PKCS #8) with a P-256
// key. Errors tell nothing of its content.
func ParsePrivateKeyPEM(text []byte) (*ecdsa.PrivateKey, error) {
	der, err := onePEM(text, pemPrivate)
	if err != nil {
		return nil, err
	}
	priv, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, refuse(ReasonMalformedKey, "", "not a PKCS #8 private key")
	}
	key, ok := priv.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, refuse(ReasonMalformedKey, "", "want an ECDSA key on the curve P-256")
	}
	return key, nil
}

// MarshalPrivateKeyPEM returns a P-256 key as a PEM block "PRIVATE KEY" (PKCS
// #8). A key that stays in hardware cannot be written.
func MarshalPrivateKeyPEM(priv crypto.Signer) ([]byte, error) {
	key, ok := priv.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, refuse(ReasonMalformedKey, "", "want an ECDSA key on the curve P-256")
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, refuse(ReasonMalformedKey, "", "the key cannot be encoded")
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), nil
}
