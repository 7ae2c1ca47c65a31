package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/rekor-tiles/v2/pkg/types/hashedrekord"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// TestEntryEqualsRekors proves that our hand-written log entry is the one that
// Rekor v2 builds from the same digest, signature and key.
func TestEntryEqualsRekors(t *testing.T) {
	registry, err := signature.NewAlgorithmRegistryConfig([]commonv1.PublicKeyDetails{
		commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		payload := bytes.Repeat([]byte(fmt.Sprintf("{\"n\":%d}\n", i)), i%7+1)
		env, key := sign(t, priv, payload)
		digest := sha256.Sum256(env.PAE())
		logged, err := hashedrekord.ToLogEntry(&rekorpb.HashedRekordRequestV002{
			Digest: digest[:],
			Signature: &rekorpb.Signature{
				Content: env.Sig,
				Verifier: &rekorpb.Verifier{
					Verifier:   &rekorpb.Verifier_PublicKey{PublicKey: &rekorpb.PublicKey{RawBytes: key.DER}},
					KeyDetails: commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
				},
			},
		}, registry)
		if err != nil {
			t.Fatalf("Rekor refuses the entry: %v", err)
		}
		plain, err := protojson.Marshal(logged)
		if err != nil {
			t.Fatal(err)
		}
		want, err := jsoncanonicalizer.Transform(plain)
		if err != nil {
			t.Fatal(err)
		}
		if got := receipt.Entry(env, key); !bytes.Equal(got, want) {
			t.Fatalf("entry differs from Rekor's:\n got %s\nwant %s", got, want)
		}
	}
}

func sign(t *testing.T, priv crypto.Signer, payload []byte) (*trial.Envelope, *trial.PublicKey) {
	t.Helper()
	env, err := trial.Sign(priv, payload)
	if err != nil {
		t.Fatal(err)
	}
	key, err := trial.NewPublicKey(priv.Public())
	if err != nil {
		t.Fatal(err)
	}
	return env, key
}
