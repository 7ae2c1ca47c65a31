package rpc

import (
	"crypto/sha256"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestVerifyContentDigest gets each verdict that a content digest decides, over
// both transports, for whoever computed one.
func TestVerifyContentDigest(t *testing.T) {
	r := newRealStudy(t)
	st, err := trial.ParseStatement(r.dataset(r.inv1, "DE-01", "dm.xpt").Payload)
	must(t, err)
	st.Subjects[0].Digests = append(st.Subjects[0].Digests, trial.Digest{Name: trial.DigestTable, Sum: sha256.Sum256([]byte("table"))})
	payload, err := trial.MarshalStatement(st)
	must(t, err)
	env, err := trial.Sign(r.inv1.key, payload)
	must(t, err)
	logged := r.logged("site", env)
	client, web := r.grpc(), r.web()
	for _, tc := range []struct {
		bytes, table string
		want         receipt.FileOutcome
	}{
		{sha("dm.xpt"), "", receipt.Identical},
		{sha("dm.xpt"), sha("another table"), receipt.Identical},
		{sha("later export"), sha("table"), receipt.SameData},
		{sha("later export"), sha("another table"), receipt.DataDiffer},
		{sha("later export"), "", receipt.NotComparable},
	} {
		req := &notaryv1.VerifyRequest{
			Trial: r.id.String(), Receipt: logged.GetBundle(), Evidence: logged.GetEvidence(),
			Files: []*notaryv1.FileDigest{{Name: "dm.xpt", Sha256: tc.bytes, ContentDigest: tc.table}},
		}
		resp, err := client.Verify(r.asCtx("auditor"), req)
		must(t, err)
		body, err := protojson.Marshal(req)
		must(t, err)
		a := r.do(web, "POST", "/v1/verify", body, append(r.as("auditor"), "Content-Type", "application/json")...)
		compare(t, "auditor", resp, nil, a, new(notaryv1.VerifyResponse))
		if got := resp.GetFiles()[0].GetOutcome(); got != string(tc.want) || resp.GetVerified() != tc.want.Holds() {
			t.Errorf("got %q, verified %v, want %q", got, resp.GetVerified(), tc.want)
		}
	}
	for _, bad := range []string{"x", strings.ToUpper(sha("table")), sha("table") + "00"} {
		_, err := client.Verify(r.asCtx("auditor"), &notaryv1.VerifyRequest{
			Trial: r.id.String(), Receipt: logged.GetBundle(), Files: []*notaryv1.FileDigest{{Name: "dm.xpt", Sha256: sha("dm.xpt"), ContentDigest: bad}},
		})
		if s := status.Convert(err); s.Code() != codes.InvalidArgument || !strings.Contains(s.Message(), "files[0].contentDigest") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}
