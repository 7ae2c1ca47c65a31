package rpc

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// asItems puts statements into one message.
func asItems(requests []*notaryv1.SubmitStreamRequest) *notaryv1.SubmitStreamRequest {
	m := new(notaryv1.SubmitStreamRequest)
	for _, r := range requests {
		m.Items = append(m.Items, &notaryv1.SubmitStreamItem{Id: r.GetId(), Envelope: r.GetEnvelope(), HeldEvidence: r.GetHeldEvidence()})
	}
	return m
}

// results receives so many results, in however many messages.
func results(t *testing.T, stream notaryv1.NotaryService_SubmitStreamClient, want int) map[string]*notaryv1.SubmitStreamResult {
	t.Helper()
	got := make(map[string]*notaryv1.SubmitStreamResult)
	for len(got) < want {
		resp, err := stream.Recv()
		must(t, err)
		if resp.GetId() != "" || len(resp.GetResults().GetResults()) == 0 {
			t.Fatalf("got %v, want results", resp)
		}
		for _, r := range resp.GetResults().GetResults() {
			if got[r.GetId()] != nil {
				t.Errorf("%s was answered twice", r.GetId())
			}
			got[r.GetId()] = r
		}
	}
	return got
}

// TestItemsParity answers each of several statements in a message as Submit does.
func TestItemsParity(t *testing.T) {
	w := newWorld(t)
	client := w.grpc()
	items := w.items()
	for _, user := range []string{"site", "sponsor", "stranger"} {
		stream, err := client.SubmitStream(w.asCtx(user))
		must(t, err)
		must(t, stream.Send(asItems(items)))
		must(t, stream.CloseSend())
		got := results(t, stream, len(items))
		for _, item := range items {
			one := got[item.GetId()]
			resp, err := client.Submit(w.asCtx(user), &notaryv1.SubmitRequest{Envelope: item.GetEnvelope()})
			if want := status.Convert(err).Proto(); err != nil && !proto.Equal(one.GetError(), want) || err == nil && !proto.Equal(one.GetReceipt(), resp.GetReceipt()) {
				t.Errorf("%s, %s: got %v, want what Submit says: %v, %v", user, item.GetId(), one, resp, want)
			}
		}
	}
}

// TestItemsProof leaves out what the caller knows, and the rest makes the very
// receipt that the caller would have got alone.
func TestItemsProof(t *testing.T) {
	r := newRealStudy(t)
	verifier, err := receipt.NewLogVerifier(r.logKey())
	must(t, err)
	var envs []*trial.Envelope
	var requests []*notaryv1.SubmitStreamRequest
	for i := range 40 {
		envs = append(envs, r.dataset(r.inv1, "DE-01", fmt.Sprintf("items-%d.json", i)))
	}
	first, err := r.grpc().Submit(r.asCtx("site"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(envs[0])})
	must(t, err)
	held := first.GetReceipt().GetEvidenceSha256()
	for i, env := range envs {
		requests = append(requests, &notaryv1.SubmitStreamRequest{Id: fmt.Sprint(i), Envelope: envelopeMessage(env), HeldEvidence: held})
	}
	requests[1].HeldEvidence = strings.Repeat("0", 64) // another one
	requests[2].Envelope.Signatures = nil
	stream, err := r.grpc().SubmitStream(r.asCtx("site"))
	must(t, err)
	m := asItems(requests)
	m.ReceiptForm = proofForm
	must(t, stream.Send(m))
	must(t, stream.CloseSend())
	messages, proofs := 0, 0
	for left := len(envs); left > 0; messages++ {
		resp, err := stream.Recv()
		must(t, err)
		left -= len(resp.GetResults().GetResults())
		for _, one := range resp.GetResults().GetResults() {
			p := one.GetProof()
			switch one.GetId() {
			case "1":
				if one.GetReceipt().GetProof() == nil || one.GetReceipt().GetEvidence() == "" {
					t.Errorf("got %v for evidence that is not held, want a receipt with it", one)
				}
				continue
			case "2":
				if reasonIn(status.FromProto(one.GetError())) != string(trial.ReasonMalformedEnvelope) {
					t.Errorf("got %v, want a refusal", one)
				}
				continue
			}
			var n int
			_, err := fmt.Sscan(one.GetId(), &n)
			must(t, err)
			proofs++
			key, err := trial.ParsePublicKeyDER(p.GetPublicKey())
			must(t, err)
			made, err := verifier.Assemble(envs[n], key, receipt.Proof{
				Index: p.GetLogIndex(), Hashes: slices.Collect(slices.Chunk(p.GetHashes(), 32)), Checkpoint: resp.GetResults().GetCheckpoint(),
			})
			if err != nil {
				t.Fatalf("item %d: %v", n, err)
			}
			if _, err := receipt.Parse(made.Bytes()); err != nil {
				t.Errorf("item %d: %v", n, err)
			}
		}
	}
	if proofs != len(envs)-2 || messages >= len(envs) {
		t.Errorf("got %d proofs in %d messages, want %d in fewer", proofs, messages, len(envs)-2)
	}
}

// TestItemsEnd names what ends a stream of several statements in a message.
func TestItemsEnd(t *testing.T) {
	w := newWorld(t)
	items := func(n int) *notaryv1.SubmitStreamRequest {
		m := new(notaryv1.SubmitStreamRequest)
		for i := range n {
			m.Items = append(m.Items, &notaryv1.SubmitStreamItem{Id: fmt.Sprint(i), Envelope: w.items()[0].GetEnvelope()})
		}
		return m
	}
	with := func(m *notaryv1.SubmitStreamRequest, change func(*notaryv1.SubmitStreamRequest)) *notaryv1.SubmitStreamRequest {
		change(m)
		return m
	}
	for what, tt := range map[string]struct {
		send *notaryv1.SubmitStreamRequest
		want string
	}{
		"an item too many":   {items(maxItems + 1), "TOO_LARGE"},
		"10,000 empty items": {&notaryv1.SubmitStreamRequest{Items: slices.Repeat([]*notaryv1.SubmitStreamItem{{}}, 10_000)}, "TOO_LARGE"},
		"empty items":        {&notaryv1.SubmitStreamRequest{Items: []*notaryv1.SubmitStreamItem{{}, {}}}, "BAD_REQUEST"},
		"an id twice":        {with(items(2), func(m *notaryv1.SubmitStreamRequest) { m.Items[1].Id = "0" }), "BAD_REQUEST"},
		"an empty id":        {with(items(3), func(m *notaryv1.SubmitStreamRequest) { m.Items[2].Id = "" }), "BAD_REQUEST"},
		"a long id":          {with(items(3), func(m *notaryv1.SubmitStreamRequest) { m.Items[0].Id = strings.Repeat("x", 129) }), "BAD_REQUEST"},
		"an id beside":       {with(items(1), func(m *notaryv1.SubmitStreamRequest) { m.Id = "x" }), "BAD_REQUEST"},
		"an envelope beside": {with(items(1), func(m *notaryv1.SubmitStreamRequest) { m.Envelope = m.GetItems()[0].GetEnvelope() }), "BAD_REQUEST"},
		"evidence beside":    {with(items(1), func(m *notaryv1.SubmitStreamRequest) { m.HeldEvidence = "x" }), "BAD_REQUEST"},
		"an unknown field": {with(items(1), func(m *notaryv1.SubmitStreamRequest) {
			m.GetItems()[0].ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 1))
		}), "UNKNOWN_FIELD"},
		"too many bytes": {with(items(12), func(m *notaryv1.SubmitStreamRequest) {
			for _, one := range m.GetItems() {
				one.Envelope.Payload = make([]byte, 512<<10)
			}
		}), "MESSAGE_TOO_LARGE"},
	} {
		stream, err := w.grpc().SubmitStream(w.asCtx("site"))
		must(t, err)
		must(t, stream.Send(tt.send))
		for err == nil { // what was taken before an id came again is answered
			_, err = stream.Recv()
		}
		if got := reasonIn(status.Convert(err)); got != tt.want {
			t.Errorf("%s: got %v, want %s", what, err, tt.want)
		}
	}
}

// TestItemsLimits counts statements, not messages, against a caller's limits, and
// lets no message past the window.
func TestItemsLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits.UserRate = 30; c.Limits.StreamWindow = 3 })
	stream, err := w.grpc().SubmitStream(w.asCtx("site"))
	must(t, err)
	m := new(notaryv1.SubmitStreamRequest)
	for i := range 100 {
		p := fakePayload{Charter: w.trialA.String(), Kind: "dataset", Site: "DE-01", Nonce: fmt.Sprint(i)}
		m.Items = append(m.Items, &notaryv1.SubmitStreamItem{Id: fmt.Sprint(i), Envelope: envelopeMessage(p.envelope())})
	}
	must(t, stream.Send(m))
	must(t, stream.CloseSend())
	limited := 0
	for _, r := range results(t, stream, 100) {
		if reasonIn(status.FromProto(r.GetError())) == string(reasonRateLimited) {
			limited++
		}
	}
	if limited == 0 || limited > 75 {
		t.Errorf("got %d of 100 above a rate of 30 with as many at once, want some 70 at most", limited)
	}
}

// TestLineHasNoItems: over HTTP a line is one statement.
func TestLineHasNoItems(t *testing.T) {
	w := newWorld(t)
	line, err := protojson.Marshal(asItems(w.items()[:2]))
	must(t, err)
	a := w.do(w.web(), http.MethodPost, "/v1/statements:stream", append(line, '\n'), append(w.as("site"), "Content-Type", ndjson)...)
	if a.status != http.StatusBadRequest || !bytes.Contains(a.body, []byte("line 1.items")) {
		t.Errorf("got %d %s, want that the line is refused", a.status, a.body)
	}
}

// sameItems demands that what unmarshalItems reads the library reads alike, with no
// field that is not known.
func sameItems(t *testing.T, data []byte) (understood bool) {
	t.Helper()
	n := countItems(data)
	want := new(notaryv1.SubmitStreamRequest)
	err := proto.Unmarshal(data, want)
	if err == nil && min(len(want.GetItems()), maxItems+1) != n {
		// A field of items that is no message is an unknown one.
		if n < len(want.GetItems()) || !hasUnknown(want.ProtoReflect()) {
			t.Fatalf("%x: counted %d items, want %d", data, n, len(want.GetItems()))
		}
	}
	got := new(notaryv1.SubmitStreamRequest)
	if n == 0 || n > maxItems || !unmarshalItems(data, got, n) {
		return false
	}
	switch {
	case err != nil:
		t.Fatalf("read %x as %v, which the library refuses: %v", data, got, err)
	case !proto.Equal(got, want):
		t.Fatalf("read %x as %v, want %v", data, got, want)
	case hasUnknown(want.ProtoReflect()):
		t.Fatalf("read %x, which has unknown fields", data)
	}
	return true
}

func itemSeeds(tb testing.TB) map[string][]byte {
	tb.Helper()
	env := &notaryv1.Envelope{Payload: []byte("{}"), PayloadType: trial.PayloadType, Signatures: []*notaryv1.Signature{{Sig: []byte{1}, Keyid: "k"}}}
	message := func(m *notaryv1.SubmitStreamRequest) []byte {
		data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
		must(tb, err)
		return data
	}
	one := &notaryv1.SubmitStreamItem{Id: "1", Envelope: env, HeldEvidence: "h"}
	two := message(&notaryv1.SubmitStreamRequest{ReceiptForm: proofForm, Items: []*notaryv1.SubmitStreamItem{one, one}})
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 7)
	item := func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), b)
	}
	return map[string][]byte{
		"two":            two,
		"another type":   message(&notaryv1.SubmitStreamRequest{Items: []*notaryv1.SubmitStreamItem{{Id: "ä", Envelope: &notaryv1.Envelope{PayloadType: "p"}}}}),
		"no envelope":    message(&notaryv1.SubmitStreamRequest{Items: []*notaryv1.SubmitStreamItem{{Id: "1"}}}),
		"unknown":        append(bytes.Clone(two), unknown...),
		"unknown inside": item(unknown),
		"empty":          message(&notaryv1.SubmitStreamRequest{Items: []*notaryv1.SubmitStreamItem{{}, {}}}),
		"two signatures": message(&notaryv1.SubmitStreamRequest{Items: []*notaryv1.SubmitStreamItem{{Envelope: &notaryv1.Envelope{Signatures: make([]*notaryv1.Signature, 2)}}}}),
		"id beside":      message(&notaryv1.SubmitStreamRequest{Id: "1", Items: []*notaryv1.SubmitStreamItem{one}}),
		"cut short":      two[:len(two)-3],
		"no UTF-8":       item([]byte{tag(1), 1, 0xff}),
		"id twice":       item([]byte{tag(1), 1, 'a', tag(1), 1, 'b'}),
		"no message":     protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.VarintType), 7),
		"high form":      append([]byte{formTag, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, two[2:]...),
	}
}

// TestUnmarshalItems tells which messages it reads without the library.
func TestUnmarshalItems(t *testing.T) {
	read := map[string]bool{"two": true, "another type": true, "no envelope": true}
	for what, data := range itemSeeds(t) {
		if sameItems(t, data) != read[what] {
			t.Errorf("%s: understood %v", what, !read[what])
		}
	}
}

func FuzzUnmarshalItems(f *testing.F) {
	for _, data := range itemSeeds(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameItems(t, data) })
}

// TestItemsAreKept: items outlive the buffer that their message came in, and the
// count is bounded wherever in a message they stand.
func TestItemsAreKept(t *testing.T) {
	c := newCodec(4<<20, new(buffers))
	sent := new(notaryv1.SubmitStreamRequest)
	for i := range 100 {
		sent.Items = append(sent.Items, &notaryv1.SubmitStreamItem{
			Id: fmt.Sprint(i), HeldEvidence: strings.Repeat("a", 64),
			Envelope: &notaryv1.Envelope{
				Payload: bytes.Repeat([]byte("payload "), 100), PayloadType: trial.PayloadType,
				Signatures: []*notaryv1.Signature{{Sig: []byte{byte(i), 1}, Keyid: fmt.Sprint(i)}},
			},
		})
	}
	data, err := proto.Marshal(sent)
	must(t, err)
	in := &incoming{Message: new(notaryv1.SubmitStreamRequest)}
	must(t, c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, in))
	clear(data)
	if !proto.Equal(in.Message, sent) || !in.known {
		t.Errorf("got another message, known %v", in.known)
	}
	for _, before := range [][]byte{nil, {tag(1), 1, 'x'}, append(protowire.AppendTag(nil, 2, protowire.BytesType), 0)} {
		many := append(bytes.Clone(before), bytes.Repeat([]byte{itemsTag, 0}, 1<<20)...)
		got := new(notaryv1.SubmitStreamRequest)
		must(t, c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(many)}, got))
		if !hasMark(got, tooMany) || len(got.GetItems()) != 0 {
			t.Errorf("after %x: a million items were read", before)
		}
	}
}
