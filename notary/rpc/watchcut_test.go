package rpc

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// TestWatchTrialCut ends a message before an index of which it has not all events, so
// that whoever goes on at its next index gets none twice.
func TestWatchTrialCut(t *testing.T) {
	r := newRealStudy(t)
	enrol := func(id string, role trial.Role) *holder {
		h, _ := r.enrol(id, role, trial.OrganisationSponsor)
		h.body.Kinds = append(h.body.Kinds, trial.KindProtocol)
		var err error
		h.body.Proof, err = trial.SignPossession(h.key, r.id, h.body)
		must(t, err)
		r.logged("sponsor", r.sign(r.sponsor, trial.KindKeyEnrolment, trial.RoleSponsor, "", "", h.body))
		return h
	}
	prints := func(h *holder) func(*trial.Predicate) {
		return func(p *trial.Predicate) { p.Signer.Name, p.Signer.Organisation = h.body.Name, h.body.Organisation }
	}
	medical, statistician := enrol("med", trial.RoleSponsorMedical), enrol("bio", trial.RoleBiostatistician)
	protocol := r.logged("sponsor", r.sign(medical.key, trial.KindProtocol, trial.RoleSponsorMedical, "", "protocol.pdf", nil, prints(medical),
		func(p *trial.Predicate) { p.Version, p.Document = "1.0", &trial.Document{ID: "P"} }))
	client := r.grpc()
	var all errgroup.Group
	all.SetLimit(32)
	for i := range watchEvents - 1 - 8 { // beside what was logged so far
		env := r.dataset(r.manager, "DE-02", fmt.Sprintf("d-%d.json", i))
		all.Go(func() error {
			_, err := client.Submit(r.ctx("sponsor"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(env)})
			return err
		})
	}
	must(t, all.Wait())
	target, err := trial.ParseID(protocol.GetStatementId())
	must(t, err)
	// It is an event, and the protocol's effect another one at its index.
	endorsement := r.logged("sponsor", r.sign(statistician.key, trial.KindEndorsement, trial.RoleBiostatistician, "", "",
		&trial.EndorsementBody{Statement: target, Decision: trial.DecisionEndorsed}, prints(statistician),
		func(p *trial.Predicate) { p.Meaning = trial.MeaningApproval }))
	first := func(from uint64) *notaryv1.WatchTrialResponse {
		ctx, stop := context.WithCancel(r.ctx("auditor"))
		defer stop()
		stream, err := client.WatchTrial(ctx, &notaryv1.WatchTrialRequest{Trial: r.id.String(), FromIndex: from})
		must(t, err)
		m, err := stream.Recv()
		must(t, err)
		return m
	}
	m := first(0)
	if len(m.GetEvents()) != watchEvents-1 || m.GetNextIndex() != endorsement.GetLogIndex() {
		t.Errorf("got %d events and the next index %d, want %d and %d", len(m.GetEvents()), m.GetNextIndex(), watchEvents-1, endorsement.GetLogIndex())
	}
	if rest := first(m.GetNextIndex()).GetEvents(); len(rest) != 2 {
		t.Errorf("got %d events from the next index on, want both of the endorsement", len(rest))
	}
}
