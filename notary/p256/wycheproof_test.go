package p256

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// vectors is what is read of a file of Wycheproof's.
type vectors struct {
	NumberOfTests int `json:"numberOfTests"`
	TestGroups    []struct {
		PublicKey struct {
			Uncompressed hexBytes `json:"uncompressed"`
		} `json:"publicKey"`
		SHA   string `json:"sha"`
		Tests []struct {
			TcID    int      `json:"tcId"`
			Comment string   `json:"comment"`
			Msg     hexBytes `json:"msg"`
			Sig     hexBytes `json:"sig"`
			Result  string   `json:"result"`
		} `json:"tests"`
	} `json:"testGroups"`
}

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// TestWycheproof holds table and library against Wycheproof's vectors: signatures
// whose verification has a special intermediate result, numbers out of range, and
// encodings that were changed.
func TestWycheproof(t *testing.T) {
	for _, name := range []string{"ecdsa_secp256r1_sha256_test.json.gz", "ecdsa_secp256r1_sha512_test.json.gz"} {
		t.Run(name, func(t *testing.T) {
			file := readVectors(t, name)
			run := 0
			for _, group := range file.TestGroups {
				pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), group.PublicKey.Uncompressed)
				if err != nil {
					t.Fatal(err)
				}
				key := newTableKey(t, pub)
				for _, c := range group.Tests {
					if got, want := key.verify(t, hashOf(t, group.SHA, c.Msg), c.Sig), c.Result == "valid"; got != want {
						t.Errorf("case %d (%s): got %t, want %t", c.TcID, c.Comment, got, want)
					}
					run++
				}
			}
			if run != file.NumberOfTests || run == 0 {
				t.Errorf("ran %d cases, want %d", run, file.NumberOfTests)
			}
		})
	}
}

func readVectors(t *testing.T, name string) (v vectors) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "wycheproof", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func hashOf(t *testing.T, name string, msg []byte) []byte {
	t.Helper()
	switch name {
	case "SHA-256":
		h := sha256.Sum256(msg)
		return h[:]
	case "SHA-512":
		h := sha512.Sum512(msg)
		return h[:]
	}
	t.Fatalf("unknown hash %q", name)
	return nil
}
