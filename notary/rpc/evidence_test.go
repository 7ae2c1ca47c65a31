package rpc

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestHeldEvidence leaves out the evidence that the caller holds, and no other,
// over every transport.
func TestHeldEvidence(t *testing.T) {
	w := newWorld(t)
	client, web := w.grpc(), w.web()
	sum := sha256.Sum256([]byte("{}"))
	evidence := hex.EncodeToString(sum[:])
	stream, err := client.SubmitStream(w.asCtx("site"))
	must(t, err)
	for held, want := range map[string]string{"": "{}", evidence: "", w.trialA.String(): "{}"} {
		env := envelopeMessage(fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: held}.envelope())
		check := func(how string, r *notaryv1.Receipt) {
			t.Helper()
			if r.GetEvidence() != want || r.GetEvidenceSha256() != evidence || r.GetBundle() == "" {
				t.Errorf("%s, holding %q: got evidence %q of SHA-256 %s, want %q", how, held, r.GetEvidence(), r.GetEvidenceSha256(), want)
			}
		}
		one, err := client.Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: env, HeldEvidence: held})
		must(t, err)
		check("Submit", one.GetReceipt())
		must(t, stream.Send(&notaryv1.SubmitStreamRequest{Id: "x", Envelope: env, HeldEvidence: held}))
		answer, err := stream.Recv()
		must(t, err)
		check("SubmitStream", answer.GetReceipt())
		body, err := protojson.Marshal(env)
		must(t, err)
		got := new(notaryv1.SubmitResponse)
		a := w.do(web, http.MethodPost, "/v1/statements?heldEvidence="+held, body, append(w.as("site"), "Content-Type", "application/json")...)
		if err := protojson.Unmarshal(a.body, got); err != nil {
			t.Fatalf("got %s: %v", a.body, err)
		}
		check("HTTP", got.GetReceipt())
	}
	must(t, stream.CloseSend())
	for _, held := range []string{"0a", evidence[:63] + "G", evidence + " "} {
		env := envelopeMessage(fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: "bad"}.envelope())
		_, err := client.Submit(w.asCtx("site"), &notaryv1.SubmitRequest{Envelope: env, HeldEvidence: held})
		if got := reasonIn(status.Convert(err)); got != "BAD_REQUEST" {
			t.Errorf("holding %q: got %v, want BAD_REQUEST", held, err)
		}
	}
}
