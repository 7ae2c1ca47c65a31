package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	trustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// trustedRootMediaType is the only one that sigstore-go v1.3.0 reads.
const trustedRootMediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"

const maxTrustedRoot = 1 << 20 // bytes

// marshalTrustedRoot writes the Sigstore trusted root of a log's Ed25519 keys.
// Stock verifiers find the key by logId.keyId, which is the full hash of which
// the checkpoint's signature line has the first four bytes, and take the
// checkpoint's origin from the host of baseUrl. validFor is required; a log
// gives no time that it could be compared with, so it starts with the epoch.
// checkpointKeyId is left out: where it stands, @sigstore/verify v4.1.3 compares
// it with the bundle's whole logId, so its four bytes never match.
func marshalTrustedRoot(keys []LogKey) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  \"mediaType\": %q,\n  \"tlogs\": [", trustedRootMediaType)
	for i, k := range ed25519Keys(keys) {
		if i > 0 {
			b.WriteByte(',')
		}
		id := k.ID()
		fmt.Fprintf(&b, `
    {
      "baseUrl": "https://%s",
      "hashAlgorithm": "SHA2_256",
      "publicKey": {
        "rawBytes": %q,
        "keyDetails": "PKIX_ED25519",
        "validFor": {"start": "1970-01-01T00:00:00Z"}
      },
      "logId": {"keyId": %q}
    }`, k.Origin(), base64.StdEncoding.EncodeToString(ed25519DER(k.Ed25519())), base64.StdEncoding.EncodeToString(id[:]))
	}
	b.WriteString("\n  ]\n}\n")
	return []byte(b.String())
}

func ed25519Keys(keys []LogKey) []LogKey {
	var out []LogKey
	for _, k := range keys {
		if k.IsEd25519() {
			out = append(out, k)
		}
	}
	return out
}

// ed25519DER returns the SubjectPublicKeyInfo: a fixed head (RFC 8410) and the
// key, so it cannot fail as the general encoder can.
func ed25519DER(key ed25519.PublicKey) []byte {
	head := []byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}
	return append(head, key...)
}

// checkTrustedRoot demands that the trusted root names exactly the log's Ed25519
// keys. What else it may hold for other tools (certificate and timestamp
// authorities) is read by its own parser and not used here.
func checkTrustedRoot(text []byte, keys []LogKey) error {
	if len(text) > maxTrustedRoot {
		return fmt.Errorf("got %d bytes, want at most %d", len(text), maxTrustedRoot)
	}
	var root trustroot.TrustedRoot
	if err := protojson.Unmarshal(text, &root); err != nil {
		// The library's text varies from build to build on purpose.
		return errors.New("not the JSON of a Sigstore trusted root")
	}
	if root.GetMediaType() != trustedRootMediaType {
		return fmt.Errorf("got media type %.80q, want %q", root.GetMediaType(), trustedRootMediaType)
	}
	want := ed25519Keys(keys)
	if len(root.GetTlogs()) != len(want) {
		return fmt.Errorf("got %d logs, want %d as in %s", len(root.GetTlogs()), len(want), fileLogKey)
	}
	for i, k := range want {
		if err := checkTlog(root.GetTlogs()[i], k); err != nil {
			return fmt.Errorf("tlogs[%d]: %w", i, err)
		}
	}
	return nil
}

func checkTlog(log *trustroot.TransparencyLogInstance, k LogKey) error {
	id := k.ID()
	if want := "https://" + k.Origin(); log.GetBaseUrl() != want {
		return fmt.Errorf("baseUrl: got %.280q, want %q", log.GetBaseUrl(), want)
	}
	if log.GetHashAlgorithm() != common.HashAlgorithm_SHA2_256 {
		return errors.New("hashAlgorithm: want SHA2_256")
	}
	if log.GetPublicKey().GetKeyDetails() != common.PublicKeyDetails_PKIX_ED25519 {
		return errors.New("publicKey.keyDetails: want PKIX_ED25519")
	}
	key, err := x509.ParsePKIXPublicKey(log.GetPublicKey().GetRawBytes())
	if err != nil || !k.Ed25519().Equal(key) {
		return fmt.Errorf("publicKey: not the key of %s", fileLogKey)
	}
	if log.GetPublicKey().GetValidFor().GetStart() == nil {
		return errors.New("publicKey.validFor.start: missing")
	}
	if !bytes.Equal(log.GetLogId().GetKeyId(), id[:]) {
		return fmt.Errorf("logId: not the id of the key in %s", fileLogKey)
	}
	if log.GetCheckpointKeyId() != nil {
		return errors.New("checkpointKeyId: want none, stock tools do not agree about it")
	}
	return nil
}
