package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// readSecret reads a file that holds a secret, which what names in errors, and
// refuses one that everybody can read.
func readSecret(what, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s %s: mode %04o lets everybody read it; run chmod 600", what, path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return data, nil
}

// readPrivateKey reads a PKCS#8 private key in PEM.
func readPrivateKey(path string) (crypto.Signer, error) {
	data, err := readSecret("key", path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		return nil, fmt.Errorf("key %s: want one PEM block of type PRIVATE KEY (PKCS#8) and nothing else", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key %s: a %T cannot sign", path, key)
	}
	return signer, nil
}

func readLogKey(path string) (ed25519.PrivateKey, error) {
	signer, err := readPrivateKey(path)
	if err != nil {
		return nil, err
	}
	key, ok := signer.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key %s: got %T, want Ed25519 for the log", path, signer)
	}
	return key, nil
}

func readStatementKey(path string) (*ecdsa.PrivateKey, error) {
	signer, err := readPrivateKey(path)
	if err != nil {
		return nil, err
	}
	key, ok := signer.(*ecdsa.PrivateKey)
	if !ok || key.Curve.Params().BitSize != 256 {
		return nil, fmt.Errorf("key %s: got %T, want ECDSA P-256 for the notary's statements", path, signer)
	}
	return key, nil
}

// pageKeySize is the size of the secret of page tokens, in bytes.
const pageKeySize = 32

// readPageKey reads the secret of page tokens. A missing file is no error: what
// is lost without one is the place in a list.
func readPageKey(path string) ([]byte, error) {
	text, err := readSecret("page key", path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(string(text), "\n"))
	if err != nil || len(key) != pageKeySize {
		return nil, fmt.Errorf("page key %s: want %d bytes in base64 on one line; remove it to go on without", path, pageKeySize)
	}
	return key, nil
}

// writePageKey makes a new secret of page tokens.
func writePageKey(path string) error {
	key := make([]byte, pageKeySize)
	_, _ = rand.Read(key) // never fails
	return writeNew(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600)
}

// writePrivateKey writes a new key file of mode 0600 and never replaces one.
func writePrivateKey(path string, key crypto.Signer) error {
	text, err := encodePrivateKey(key)
	if err != nil {
		return err
	}
	return writeNew(path, text, 0o600)
}

// encodePrivateKey returns a key as PKCS#8 in PEM.
func encodePrivateKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// writeNew writes a file that must not exist yet, durably.
func writeNew(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

// noteKeys returns the log's key as a C2SP signed-note signer and verifier key
// (type 0x01, Ed25519).
func noteKeys(origin string, key ed25519.PrivateKey) (note.Signer, string, error) {
	public := ed25519.PublicKey(key[ed25519.SeedSize:]) // as crypto/ed25519 documents the private key
	vkey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, "", fmt.Errorf("log key: %w", err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, "", fmt.Errorf("log key: %w", err)
	}
	// The note package makes signers from its own text form only.
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...))
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, verifier.KeyHash(), secret))
	if err != nil {
		return nil, "", fmt.Errorf("log key: %w", err)
	}
	return signer, vkey, nil
}

func newLogKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}
