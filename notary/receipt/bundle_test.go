package receipt

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/trial"
)

// asProto builds the bundle with the library's types.
func asProto(r *Receipt) *bundle.Bundle {
	var hashes [][]byte
	for _, h := range r.Path {
		hashes = append(hashes, slices.Clone(h[:]))
	}
	return &bundle.Bundle{
		MediaType: MediaType,
		VerificationMaterial: &bundle.VerificationMaterial{
			Content: &bundle.VerificationMaterial_PublicKey{PublicKey: &common.PublicKeyIdentifier{Hint: r.KeyHint}},
			TlogEntries: []*rekor.TransparencyLogEntry{{
				LogIndex: int64(r.OuterIndex), LogId: &common.LogId{KeyId: r.LogID[:]},
				KindVersion: &rekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
				InclusionProof: &rekor.InclusionProof{
					LogIndex: int64(r.Index), RootHash: r.Root[:], TreeSize: int64(r.Size), Hashes: hashes,
					Checkpoint: &rekor.Checkpoint{Envelope: string(r.Checkpoint.Note)},
				},
				CanonicalizedBody: r.Entry,
			}},
		},
		Content: &bundle.Bundle_DsseEnvelope{DsseEnvelope: &dsse.Envelope{
			Payload: r.Envelope.Payload, PayloadType: r.Envelope.PayloadType,
			Signatures: []*dsse.Signature{{Sig: r.Envelope.Sig}},
		}},
	}
}

func TestBundleEqualsProtobuf(t *testing.T) {
	s := newStory(t)
	for _, index := range []uint64{0, 1, s.dataset} {
		text := s.receipt(index)
		var got bundle.Bundle
		if err := protojson.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		want := asProto(mustParse(t, text))
		if !proto.Equal(&got, want) {
			t.Errorf("index %d: got %v, want %v", index, &got, want)
		}
	}
}

// Whatever the fields, the text is what protobuf reads as the same bundle, and
// Parse reads it back.
func TestBundleEqualsProtobufProperty(t *testing.T) {
	k := newActor(t, "anyone", trial.RoleQA, "anywhere")
	rapid.Check(t, func(t *rapid.T) {
		hash := func() Hash { return Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash")) }
		index := rapid.Uint64Range(0, maxTreeSize-1).Draw(t, "index")
		size := rapid.Uint64Range(index+1, maxTreeSize).Draw(t, "size")
		root := hash()
		name := rapid.StringMatching(`[a-zäß"\\/<>&]{1,20}`).Draw(t, "name")
		text := checkpointText(testOrigin, size, root) + "\n— " + name + " " +
			base64.StdEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 5, 99).Draw(t, "sig")) + "\n"
		c, err := ParseCheckpoint([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		inc := Inclusion{Index: index, Checkpoint: c}
		for range rapid.IntRange(0, 5).Draw(t, "hashes") {
			inc.Path = append(inc.Path, hash())
		}
		env := &trial.Envelope{
			PayloadType: trial.PayloadType, Payload: rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "payload"),
			KeyID: k.key.ID.String(), Sig: rapid.SliceOfN(rapid.Byte(), 8, 72).Draw(t, "sig"),
		}
		got, err := Build(env, k.key, inc, Entry(env, k.key), LogKey{key: newVKey(testOrigin, typeEd25519, root[:])})
		if err != nil {
			t.Fatal(err)
		}
		var b bundle.Bundle
		if err := protojson.Unmarshal(got, &b); err != nil {
			t.Fatal(err)
		}
		r, err := Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&b, asProto(r)) || r.Index != index || r.Size != size || !bytes.Equal(r.Envelope.Payload, env.Payload) {
			t.Errorf("got %+v from %s", r, got)
		}
	})
}

func TestBuildRefused(t *testing.T) {
	s := newStory(t)
	l := s.logged[s.dataset]
	inc := s.inclusion(s.dataset, s.dataset+1)
	for name, change := range map[string]func(*Inclusion){
		"index beyond the tree": func(i *Inclusion) { i.Index = i.Checkpoint.Size },
		"size beyond 2^63":      func(i *Inclusion) { i.Checkpoint.Size = maxTreeSize + 1 },
		"too many hashes":       func(i *Inclusion) { i.Path = make([]Hash, maxPath+1) },
		"too large":             func(i *Inclusion) { i.Checkpoint.Note = make([]byte, MaxReceipt) },
	} {
		bad := inc
		change(&bad)
		if _, err := Build(l.env, l.key, bad, Entry(l.env, l.key), s.log); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestEntrySpelling(t *testing.T) {
	s := newStory(t)
	l := s.logged[s.dataset]
	entry := string(Entry(l.env, l.key))
	for _, want := range []string{entryHead, base64.StdEncoding.EncodeToString(l.key.DER), base64.StdEncoding.EncodeToString(l.env.Sig)} {
		if !strings.Contains(entry, want) {
			t.Errorf("%s lacks %s", entry, want)
		}
	}
	key, err := entryPublicKey([]byte(entry))
	if err != nil || key.ID != l.key.ID {
		t.Errorf("the entry's key is %v: %v", key, err)
	}
}

func FuzzBundle(f *testing.F) {
	s := newStory(f)
	f.Add(s.receipt(s.dataset))
	f.Add(s.receipt(0))
	f.Add([]byte(`{"mediaType":"` + MediaType + `"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(r.marshal(), b) {
			t.Errorf("accepted %q, writes %q", b, r.marshal())
		}
		var p bundle.Bundle
		if err := protojson.Unmarshal(b, &p); err != nil || !proto.Equal(&p, asProto(r)) {
			t.Errorf("protobuf reads %q otherwise: %v", b, err)
		}
	})
}
