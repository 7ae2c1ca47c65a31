package rpc

import (
	"net/http"
	"testing"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

const proofForm = notaryv1.ReceiptForm_RECEIPT_FORM_PROOF

// inForm submits an envelope over every transport and returns the receipts.
func (r *realStudy) inForm(env *trial.Envelope, form notaryv1.ReceiptForm) map[string]*notaryv1.Receipt {
	r.t.Helper()
	m := envelopeMessage(env)
	one, err := r.grpc().Submit(r.asCtx("site"), &notaryv1.SubmitRequest{Envelope: m, ReceiptForm: form})
	must(r.t, err)
	stream, err := r.grpc().SubmitStream(r.asCtx("site"))
	must(r.t, err)
	item := &notaryv1.SubmitStreamRequest{Id: "x", Envelope: m, ReceiptForm: form}
	must(r.t, stream.Send(item))
	two, err := stream.Recv()
	must(r.t, err)
	must(r.t, stream.CloseSend())

	three := new(notaryv1.SubmitResponse)
	a := r.do(r.web(), http.MethodPost, "/v1/statements?receiptForm="+form.String(), env.Marshal(), append(r.as("site"), "Content-Type", "application/json")...)
	if err := protojson.Unmarshal(a.body, three); err != nil {
		r.t.Fatalf("got %s: %v", a.body, err)
	}
	line, err := protojson.Marshal(item)
	must(r.t, err)
	a = r.do(r.web(), http.MethodPost, "/v1/statements:stream", append(line, '\n'), append(r.as("site"), "Content-Type", ndjson)...)
	return map[string]*notaryv1.Receipt{
		"Submit": one.GetReceipt(), "SubmitStream": two.GetReceipt(), "HTTP": three.GetReceipt(), "lines": readLines(r.t, a)["x"].GetReceipt(),
	}
}

// TestReceiptForm gives what was asked for over every transport: of one statement
// the proof and the envelope make the very bytes of the whole receipt.
func TestReceiptForm(t *testing.T) {
	r := newRealStudy(t)
	vkey := r.logKey()
	verifier, err := receipt.NewLogVerifier(vkey)
	must(t, err)
	env := r.dataset(r.inv1, "DE-01", "form.json")
	whole := r.inForm(env, notaryv1.ReceiptForm_RECEIPT_FORM_UNSPECIFIED)
	for how, got := range r.inForm(env, proofForm) {
		want := whole[how]
		if got.GetBundle() != "" || want.GetProof() != nil || want.GetBundle() == "" {
			t.Fatalf("%s: got %v, want the proof alone", how, got)
		}
		key, err := trial.ParsePublicKeyDER(got.GetProof().GetPublicKey())
		must(t, err)
		made, err := verifier.Assemble(env, key, receipt.Proof{
			Index: got.GetLogIndex(), Hashes: got.GetProof().GetHashes(), Checkpoint: got.GetProof().GetCheckpoint(),
		})
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		if string(made.Bytes()) != want.GetBundle() {
			t.Errorf("%s: got another receipt out of the proof:\n%s\n%s", how, made.Bytes(), want.GetBundle())
		}
		if got.GetStatementId() != want.GetStatementId() || got.GetEvidenceSha256() != want.GetEvidenceSha256() || got.GetEvidence() == "" {
			t.Errorf("%s: got %v beside the proof, want what is beside a receipt", how, got)
		}
	}
	// With another valid signature the statement's first receipt comes whole.
	other, err := trial.Sign(r.inv1.key, env.Payload)
	must(t, err)
	for how, got := range r.inForm(other, proofForm) {
		parsed, err := receipt.Parse([]byte(got.GetBundle()))
		if got.GetProof() != nil || err != nil || string(parsed.Envelope.Sig) != string(env.Sig) {
			t.Errorf("%s: got %v, %v, want the whole receipt of the first envelope", how, got, err)
		}
	}
	_, err = r.grpc().Submit(r.asCtx("site"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(env), ReceiptForm: 7})
	if got := reasonIn(status.Convert(err)); got != "BAD_REQUEST" {
		t.Errorf("a form that does not exist: got %v, want BAD_REQUEST", err)
	}
}

// logKey is the log's key as the trust material has it.
func (r *realStudy) logKey() receipt.LogKey {
	r.t.Helper()
	got, err := r.grpc().GetTrustMaterial(r.asCtx("site"), &notaryv1.GetTrustMaterialRequest{Trial: r.id.String()})
	must(r.t, err)
	for _, f := range got.GetFiles() {
		if f.GetPath() == "log.vkey" {
			key, err := receipt.ParseLogKey(string(f.GetContent()[:len(f.GetContent())-1]))
			must(r.t, err)
			return key
		}
	}
	r.t.Fatal("no log.vkey in the trust material")
	return receipt.LogKey{}
}
