package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
)

// verifyOffline is `notary verify`, from what lies in the folder.
func (s *story) verifyOffline(ctx context.Context) error {
	if err := s.refreshTrust(ctx); err != nil {
		return err
	}
	v, err := s.verify(ctx, s.path("data", s.exampleFile))
	if err != nil {
		return err
	}
	if !v.Verified {
		return fmt.Errorf("the receipt does not verify: %s", v.Summary)
	}
	s.heldf("%s: %s", s.exampleFile, v.Summary)
	for _, c := range v.Checks {
		s.sayf("        %-22s %-12s %s", c.Name, c.Outcome, c.Detail)
	}
	return nil
}

// verify reads receipt, evidence and trust folder from their files, as a sponsor
// does years later.
func (s *story) verify(ctx context.Context, file string) (*receipt.Verdict, error) {
	trust, err := client.ReadTrust(s.path("trust"))
	if err != nil {
		return nil, err
	}
	r, ev, err := client.ReadReceipt(s.path("receipts", s.exampleFile+client.ReceiptSuffix))
	if err != nil {
		return nil, err
	}
	hash, err := client.HashAsIs(ctx, file, nil)
	if err != nil {
		return nil, err
	}
	return receipt.Verify(r, ev, trust, []receipt.File{{Name: s.exampleFile, SHA256: hash.SHA256}}), nil
}

// changeByte changes one byte of a copy and verifies that against the receipt.
func (s *story) changeByte(ctx context.Context) error {
	data, err := os.ReadFile(s.path("data", s.exampleFile))
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	if err := os.MkdirAll(s.path("data", "changed"), 0o750); err != nil {
		return err
	}
	changed := s.path("data", "changed", s.exampleFile)
	if err := os.WriteFile(changed, data, 0o640); err != nil {
		return err
	}
	v, err := s.verify(ctx, changed)
	if err != nil {
		return err
	}
	c := v.Check(receipt.CheckFileDigest)
	if v.Verified || c.Outcome != receipt.Failed {
		return errors.New("the changed file was not found")
	}
	s.heldf("byte %d of a copy changed, and it is found: %s", len(data)/2, c.Detail)
	return nil
}

// useRevokedKey is `notary revoke`, then `notary submit` with the revoked key.
func (s *story) useRevokedKey(ctx context.Context) error {
	sponsor, revoked := s.people["sponsor"], s.people["coordinator-"+siteSouth]
	d, err := client.NewDraft(s.trust, nil, sponsor.public, trial.RoleSponsor)
	if err != nil {
		return err
	}
	d.Subjects = []trial.Subject{keySubject("key", revoked.public)}
	d.Predicate.Kind, d.Predicate.Meaning = trial.KindKeyRevocation, trial.MeaningApproval
	d.Predicate.Reason = "the coordinator left the site"
	d.Predicate.Body = &trial.RevocationBody{Key: revoked.public.ID, Cause: trial.CauseLeft}
	r, err := s.submit(ctx, "sponsor", sponsor, d)
	if err != nil {
		return err
	}
	s.heldf("the key of %s is revoked at log index %d", revoked.name, r.Index)
	file := s.path("data", "vs-"+siteSouth+"-late.json")
	if err := writeDataset(file, vitalSigns(siteSouth, 25)); err != nil {
		return err
	}
	refusal, err := refused(s.submitDataset(ctx, siteSouth, file), trial.ReasonKeyRevoked)
	if err != nil {
		return fmt.Errorf("a submission with the revoked key: %w", err)
	}
	s.heldf("a dataset signed with it is refused: %s (%s)", refusal.Message, refusal.Reason)
	if err := s.refreshTrust(ctx); err != nil {
		return err
	}
	return s.earlierStands(ctx, revoked)
}

// earlierStands verifies the receipt that the revoked key got before.
func (s *story) earlierStands(ctx context.Context, revoked *person) error {
	name := "vs-" + siteSouth + ".json"
	r, ev, err := client.ReadReceipt(s.path("receipts", name+client.ReceiptSuffix))
	if err != nil {
		return err
	}
	hash, err := client.HashAsIs(ctx, s.path("data", name), nil)
	if err != nil {
		return err
	}
	v := receipt.Verify(r, ev, s.trust, []receipt.File{{Name: name, SHA256: hash.SHA256}})
	if !v.Verified {
		return fmt.Errorf("the earlier receipt of %s does not verify any more: %s", revoked.id, v.Summary)
	}
	s.heldf("what %s signed before stays valid: %s", revoked.name, name)
	return nil
}

// rollBack puts the older copy of the log in place of the right one, as an
// automatic restore would, and starts the server over it.
func (s *story) rollBack(ctx context.Context) error {
	if err := s.closeClients(); err != nil {
		return err
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	s.newLog = s.path("log-right")
	if err := errors.Join(os.Rename(s.config.Log.Dir, s.newLog), os.Rename(s.oldLog, s.config.Log.Dir)); err != nil {
		return err
	}
	err := s.serve(ctx)
	lost := new(tesseralog.LostError)
	switch {
	case err == nil:
		return errors.New("the server started over a log that was rolled back")
	case !errors.As(err, &lost):
		return fmt.Errorf("the server refused to start, but not for the entries that are missing: %w", err)
	}
	s.heldf("an older copy of the log folder is in place, and the server refuses to start:")
	s.sayf("        %v", err)
	return nil
}

// restore puts the right folder back and checks everything.
func (s *story) restore(ctx context.Context) error {
	if err := errors.Join(os.Rename(s.config.Log.Dir, s.oldLog), os.Rename(s.newLog, s.config.Log.Dir)); err != nil {
		return err
	}
	if err := s.serve(ctx); err != nil {
		return err
	}
	report, err := s.server.parts.service.Check(ctx)
	if err != nil {
		return err
	}
	s.heldf("the right folder is back and the server starts; a full check read %d log entries and %d statements",
		report.Entries, report.Statements)
	if err := s.dial("auditor"); err != nil {
		return err
	}
	n := 0
	for _, err := range s.clients["auditor"].List(ctx, client.Query{Trial: s.charter.String()}) {
		if err != nil {
			return err
		}
		n++
	}
	s.heldf("an auditor reads %d statements of the trial", n)
	return nil
}
