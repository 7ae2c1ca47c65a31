package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// submitResult is the outcome for one PATH.
type submitResult struct {
	Path        string     `json:"path,omitzero"`
	Status      string     `json:"status"`
	StatementID string     `json:"statementId,omitzero"`
	LogIndex    *uint64    `json:"logIndex,omitzero"`
	LogTime     time.Time  `json:"logTime,omitzero"`
	Kind        trial.Kind `json:"kind,omitzero"`
	Site        string     `json:"site,omitzero"`
	Receipt     string     `json:"receipt,omitzero"`
	Manifest    string     `json:"manifest,omitzero"`
	// Format is what a single file is by its content, empty where that is not known.
	Format dataset.Format `json:"format,omitzero"`
	// Table is the content digest of a single file, or NoTable says why it has none.
	Table   string `json:"contentDigest,omitzero"`
	NoTable string `json:"noContentDigest,omitzero"`
	// Blinding holds the places that could tell who gets which treatment.
	Blinding []string `json:"blinding,omitzero"`
	// Waits are the roles that must endorse the statement before it takes effect.
	Waits []waiting `json:"waitsFor,omitzero"`
	// Continuity says what was checked about the log.
	Continuity client.Continuity `json:"continuity,omitzero"`
	Message    string            `json:"message,omitzero"`
	Reason     string            `json:"reason,omitzero"`
}

// Words for what became of a PATH.
const (
	statusNotarized = "notarized"
	statusAlready   = "already notarized"
	statusWitnesses = "notarized, witnesses missing"
	statusRefused   = "refused"
	statusNoAnswer  = "no answer"
	statusFailed    = "failed"
)

func newSubmitResult(path, receiptPath string, r *client.Receipt) submitResult {
	s := submitResult{
		Path: path, Status: statusNotarized, StatementID: r.StatementID.String(), LogIndex: &r.Index,
		LogTime: r.Verdict.LogTime, Receipt: receiptPath, Continuity: r.Continuity,
	}
	if !r.Complete() {
		s.Status = statusWitnesses
	}
	if st := r.Verdict.Statement; st != nil {
		s.Kind, s.Site = st.Predicate.Kind, st.Predicate.Site
	}
	return s
}

func (s *submitResult) fail(err error) {
	s.Message = err.Error()
	var refused *client.Refused
	switch {
	case errors.As(err, &refused):
		s.Status, s.Message, s.Reason = statusRefused, refused.Message, string(refused.Reason)
	case errors.Is(err, client.ErrUnanswered), errors.Is(err, client.ErrNotSignedIn):
		s.Status = statusNoAnswer
	default:
		s.Status = statusFailed
	}
}

// submitStatus is errNegative if anything was refused or not answered; what it
// was stands in the results.
func submitStatus(results []submitResult, err error) error {
	if err != nil {
		return err
	}
	for _, r := range results {
		switch r.Status {
		case statusNotarized, statusAlready, statusWitnesses:
		default:
			return errNegative
		}
	}
	return nil
}

func (a *app) printSubmitted(results []submitResult) error {
	for _, r := range results {
		if r.Continuity == client.ContinuityUnproven {
			a.notef("note: that the log continues what was seen of it is not proven; give --tiles URL to prove it")
			break
		}
	}
	return a.print(struct {
		Results []submitResult `json:"results"`
	}{results}, func(w io.Writer) {
		for _, r := range results {
			r.print(w)
		}
	})
}

func (s *submitResult) print(w io.Writer) {
	what := first(s.Path, s.Receipt)
	switch {
	case s.Status == "":
		fmt.Fprintf(w, "%s: %s\n", what, statusNoAnswer)
	case s.Message != "":
		fmt.Fprintf(w, "%s: %s: %s", what, s.Status, s.Message)
		if s.Reason != "" {
			fmt.Fprintf(w, " (%s)", s.Reason)
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintf(w, "%s: %s", what, s.Status)
		if s.LogIndex != nil {
			fmt.Fprintf(w, " as entry %d", *s.LogIndex)
		}
		fmt.Fprintf(w, "\n  statement %s\n  receipt   %s\n", s.StatementID, s.Receipt)
		if s.Table != "" {
			fmt.Fprintf(w, "  content   %s %s\n", trial.DigestTable, s.Table)
		}
		for _, role := range s.Waits {
			role.print(w)
		}
		if s.Manifest != "" {
			fmt.Fprintf(w, "  manifest  %s (keep it: it proves single files)\n", s.Manifest)
		}
	}
}

// content says what a single file is, and by what its table was notarized: a
// statement that commits to a file has no digest of it.
func (s *submitResult) content(in *input) {
	s.Format = in.format
	if in.noTable != nil {
		s.NoTable = in.noTable.Error()
	}
	for _, subject := range in.subjects {
		if sum, ok := subject.Digests.Get(trial.DigestTable); ok && in.table != nil {
			s.Table = hex.EncodeToString(sum[:])
		}
	}
}
