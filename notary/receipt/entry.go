package receipt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/b64"
)

// MaxEntry is the size limit of a log entry in C2SP tiles, in bytes.
const MaxEntry = 65535

// The entry is Rekor's hashedrekord 0.0.2 in canonical JSON (RFC 8785), as
// rekor-tiles v2.3.0 hashes it. Only digest, signature and key vary:
//
//	{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{
//	"data":{"algorithm":"SHA2_256","digest":"…"},"signature":{"content":"…",
//	"verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"…"}}}}}}
const (
	entryHead      = `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"`
	entrySignature = `"},"signature":{"content":"`
	entryKey       = `","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"`
	entryTail      = `"}}}}}}`
)

// Entry returns the log entry of a statement: a Rekor hashedrekord 0.0.2 in
// canonical JSON over the SHA-256 of the envelope's PAE, its signature and the
// key. Nothing of the statement can be read from it.
func Entry(e *trial.Envelope, key *trial.PublicKey) []byte {
	// Written by hand: the digest is what admission hashed anyway, and the
	// protobuf and canonicalisation detour costs a hundred times as much.
	enc := base64.StdEncoding
	size := len(entryHead) + len(entrySignature) + len(entryKey) + len(entryTail) +
		enc.EncodedLen(32) + enc.EncodedLen(len(e.Sig)) + enc.EncodedLen(len(key.DER))
	return appendEntry(make([]byte, 0, size), e, key)
}

func appendEntry(b []byte, e *trial.Envelope, key *trial.PublicKey) []byte {
	digest := e.Digest()
	b = append(b, entryHead...)
	b = b64.Append(b, digest[:])
	b = append(b, entrySignature...)
	b = b64.Append(b, e.Sig)
	b = append(b, entryKey...)
	b = b64.Append(b, key.DER)
	return append(b, entryTail...)
}

// isEntry tells whether entry is Entry(e, key). It is written again on the stack,
// where it fits.
func isEntry(entry []byte, e *trial.Envelope, key *trial.PublicKey) bool {
	var buf [1024]byte
	return bytes.Equal(entry, appendEntry(buf[:0], e, key))
}

// LeafHash returns the RFC 6962 leaf hash of an entry.
func LeafHash(entry []byte) Hash {
	// On the stack where it fits: the library's hasher allocates twice.
	var buf [1024]byte
	b := append(buf[:0], rfc6962.RFC6962LeafHashPrefix)
	return sha256.Sum256(append(b, entry...))
}

// entryKeyText cuts the key's DER, in base64, out of an entry of the form that
// Entry writes. It looks at the pieces before it no closer than it needs: whoever
// uses the key rebuilds the entry with it and compares.
func entryKeyText(entry []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(entry, []byte(entryHead))
	for _, piece := range []string{entrySignature, entryKey} {
		var found bool
		_, rest, found = bytes.Cut(rest, []byte(piece))
		ok = ok && found
	}
	der64, ok2 := bytes.CutSuffix(rest, []byte(entryTail))
	if !ok || !ok2 {
		return nil, errors.New("invalid entry: not a hashedrekord 0.0.2 in canonical JSON")
	}
	return der64, nil
}

func entryPublicKey(entry []byte) (*trial.PublicKey, error) {
	der64, err := entryKeyText(entry)
	if err != nil {
		return nil, err
	}
	der, err := decodeBase64(der64)
	if err != nil {
		return nil, fmt.Errorf("invalid entry: reading its public key: %w", err)
	}
	key, err := trial.ParsePublicKeyDER(der)
	if err != nil {
		return nil, fmt.Errorf("invalid entry: reading its public key: %w", err)
	}
	return key, nil
}
