package rpc

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// TestUnknownKindFilter refuses a kind that does not exist: an empty list would
// read as "nothing was notarized".
func TestUnknownKindFilter(t *testing.T) {
	r := newRealStudy(t)
	ask := func(kind string) error {
		_, err := r.grpc().ListStatements(r.asCtx("sponsor"), &notaryv1.ListStatementsRequest{Trial: r.id.String(), Kind: kind})
		return err
	}
	if err := ask("datasets"); status.Code(err) != codes.InvalidArgument || reasonIn(status.Convert(err)) != "BAD_VALUE" {
		t.Errorf("got %v, want INVALID_ARGUMENT with BAD_VALUE", err)
	}
	if err := ask("icf"); err != nil {
		t.Errorf("a kind of which there is nothing: %v", err)
	}
}
