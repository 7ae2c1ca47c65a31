package rpc

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// trustMessage returns a trust folder: the anchors first, then the folders.
func trustMessage(charter trial.ID, t *receipt.Trust) *notaryv1.GetTrustMaterialResponse {
	files := t.Files()
	depth := func(path string) int { return strings.Count(path, "/") }
	paths := slices.SortedFunc(maps.Keys(files), func(a, b string) int {
		return cmp.Or(cmp.Compare(depth(a), depth(b)), cmp.Compare(a, b))
	})
	m := &notaryv1.GetTrustMaterialResponse{Charter: charter.String(), Fingerprint: t.Fingerprint()}
	for _, path := range paths {
		m.Files = append(m.Files, &notaryv1.TrustFile{Path: path, Content: files[path]})
	}
	return m
}

var outcomes = map[receipt.Outcome]notaryv1.Check_Outcome{
	receipt.Passed:     notaryv1.Check_OUTCOME_PASSED,
	receipt.Failed:     notaryv1.Check_OUTCOME_FAILED,
	receipt.NotChecked: notaryv1.Check_OUTCOME_NOT_CHECKED,
}

func verdictMessage(v *receipt.Verdict) *notaryv1.VerifyResponse {
	m := &notaryv1.VerifyResponse{
		Verified: v.Verified, Summary: v.Summary, Missing: v.Missing, LogIndex: v.Index,
	}
	for _, c := range v.Checks {
		m.Checks = append(m.Checks, &notaryv1.Check{Name: string(c.Name), Outcome: outcomes[c.Outcome], Detail: c.Detail})
	}
	for _, f := range v.Files {
		m.Files = append(m.Files, &notaryv1.FileResult{Name: f.Name, Outcome: string(f.Outcome), Detail: f.Detail})
	}
	if v.Statement != nil {
		m.StatementId = v.Statement.ID.String()
	}
	if !v.LogTime.IsZero() {
		m.LogTime = timestamppb.New(v.LogTime)
	}
	if s := v.Signer; s != nil {
		m.Signer = &notaryv1.Signer{
			KeyId: s.KeyID.String(), HolderId: s.HolderID, Name: s.Name, Organisation: s.Organisation, Since: s.Since,
			OrganisationType: string(s.OrganisationType),
		}
		for _, role := range s.Roles {
			m.Signer.Roles = append(m.Signer.Roles, string(role))
		}
	}
	return m
}
