package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset/odm"
)

// trailResult is what the records of an export come to.
type trailResult struct {
	Path         string `json:"path"`
	Date         string `json:"date,omitzero"` // empty: of all days
	Records      uint64 `json:"records"`
	OtherDays    uint64 `json:"otherDays"`
	FirstDay     string `json:"firstDay,omitzero"`
	LastDay      string `json:"lastDay,omitzero"`
	Root         string `json:"root"`
	SourceSystem string `json:"sourceSystem,omitzero"`
}

func (a *app) auditTrailCommand() *cobra.Command {
	var date string
	cmd := &cobra.Command{
		Use:   "audit-trail [--date D] EXPORT…",
		Short: "Compute the root over the audit records of an ODM-XML export",
		Long: `audit-trail reads the audit records of an EDC system's export (CDISC ODM-XML 1.3 or 2.0)
and prints how many there are and the root over them, without a notary. Two exports of the
same records have one root, whatever their file name, time of export and order: compare it
with the digest tn-audit-v1 that the statement of "notary submit --kind audit-trail" has.

A record belongs to the day that its own DateTimeStamp begins with.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.printTrails(cmd.Context(), date, args)
		},
	}
	cmd.Flags().StringVar(&date, "date", "", "count the records of this `DAY` alone, such as 2026-01-31")
	return cmd
}

func (a *app) printTrails(ctx context.Context, date string, paths []string) error {
	if _, err := time.Parse(time.DateOnly, date); date != "" && err != nil {
		return fmt.Errorf("invalid --date: got %q, want a day such as 2026-01-31", date)
	}
	var results []trailResult
	for _, path := range paths {
		t, _, err := a.readTrail(ctx, path, date)
		if err != nil {
			return err
		}
		results = append(results, trailResult{
			Path: path, Date: date, Records: t.Records, OtherDays: t.Others, FirstDay: t.First, LastDay: t.Last,
			Root: hex.EncodeToString(t.Root[:]), SourceSystem: t.Source,
		})
	}
	return a.print(struct {
		Results []trailResult `json:"results"`
	}{results}, func(w io.Writer) {
		for _, r := range results {
			day := "of all days"
			if r.Date != "" {
				day = "of " + r.Date
			}
			fmt.Fprintf(w, "%s: %s %s\n  %s  %s\n", r.Path, count(int(r.Records), "audit record", "audit records"), day, trial.DigestAudit, r.Root)
			if r.OtherDays > 0 {
				fmt.Fprintf(w, "  %s\n", otherDays(r.OtherDays, r.FirstDay, r.LastDay))
			}
		}
	})
}

func otherDays(n uint64, first, last string) string {
	return fmt.Sprintf("%s not counted: the export covers %s to %s",
		count(int(n), "record of another day is", "records of other days are"), first, last)
}

// readTrail reads an export, and hashes the file on the way.
func (a *app) readTrail(ctx context.Context, path, date string) (*odm.Trail, [32]byte, error) {
	var sum [32]byte
	f, err := os.Open(path)
	if err != nil {
		return nil, sum, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, sum, err
	}
	progress, done := a.bar(info.Size(), "reading audit records")
	defer done()
	hash := sha256.New()
	t, err := odm.AuditTrail(ctx, io.TeeReader(f, io.MultiWriter(hash, counted(progress))), date)
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", path, err)
	}
	hash.Sum(sum[:0])
	return t, sum, nil
}

// counted tells a progress bar how much was written to it.
type counted client.Progress

func (c counted) Write(p []byte) (int, error) {
	if c != nil {
		c(int64(len(p)))
	}
	return len(p), nil
}

// auditTrails gives each input of an audit trail the root over its records, and a
// body of its own with their number.
func (a *app) auditTrails(ctx context.Context, base *client.Draft, inputs []*input) error {
	body, ok := base.Predicate.Body.(*trial.AuditTrailBody)
	if !ok {
		return nil
	}
	for _, in := range inputs {
		if in.manifest != nil || len(in.files) != 1 || in.files[0].Path != in.path {
			return fmt.Errorf("invalid input %s: an audit trail is one file, an ODM-XML export", in.path)
		}
		t, sum, err := a.readTrail(ctx, in.path, body.Date)
		if err != nil {
			return fmt.Errorf("%w; an audit trail that is no whole ODM-XML export is submitted as a %s", err, trial.KindTMFDocument)
		}
		if sum != in.files[0].SHA256 {
			return fmt.Errorf("%w %s: it changed while it was read; wait until it is complete", client.ErrFile, in.path)
		}
		own := *body
		if err := completeTrail(&own, t); err != nil {
			return fmt.Errorf("%s: %w", in.path, err)
		}
		in.body = &own
		in.subjects = slices.Insert(in.subjects, 0, trial.Subject{
			Name: string(trial.KindAuditTrail), Digests: trial.Digests{{Name: trial.DigestAudit, Sum: t.Root}},
		})
		a.notef("%s: %s of %s", in.path, count(int(own.Records), "audit record", "audit records"), own.Date)
		if t.Others > 0 {
			a.notef("%s: %s", in.path, otherDays(t.Others, t.First, t.Last))
		}
	}
	return nil
}

// completeTrail fills what the export says itself.
func completeTrail(body *trial.AuditTrailBody, t *odm.Trail) error {
	switch {
	case body.Date != "":
	case t.First == "":
		return errors.New("missing --date: the export has no audit records that would say it")
	case t.First != t.Last:
		return fmt.Errorf("missing --date: the export has audit records of %s to %s, want the day to notarize", t.First, t.Last)
	default:
		body.Date = t.First
	}
	if body.Records != 0 && body.Records != t.Records {
		return fmt.Errorf("invalid records: got %d, the export has %d of %s", body.Records, t.Records, body.Date)
	}
	body.Records = t.Records
	if body.SourceSystem = first(body.SourceSystem, t.Source); body.SourceSystem == "" {
		return errors.New("missing --source-system: the export does not name its system")
	}
	return nil
}
