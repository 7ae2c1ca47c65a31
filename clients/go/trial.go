package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// What the notary computes of a trial. It is the notary's word: whoever holds the
// trial's statements computes the same with trial/rules and trial/chronology, and a
// sponsor's monitor does.
type (
	// Trial is what is the case in a trial.
	Trial = notaryv1.GetTrialResponse
	// View says what an answer was computed from.
	View = notaryv1.View
	// Finding is a rule that a statement breaks.
	Finding = notaryv1.Finding
	// Event is something that happened to a statement.
	Event = notaryv1.TrialEvent
	// News are the events since the last News of a watch, and where to go on.
	News = notaryv1.WatchTrialResponse
)

// Trial tells what is the case in a trial, named by its charter's id or a registry
// number, when the log had a size; 0 is now. It is the notary's word: a sponsor's
// monitor computes it from the statements, and compares.
func (c *Client) Trial(ctx context.Context, name string, size uint64) (*Trial, error) {
	var resp *notaryv1.GetTrialResponse
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.GetTrial(ctx, &notaryv1.GetTrialRequest{Trial: name, LogSize: size})
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkView(resp.GetView(), name, size); err != nil {
		return nil, err
	}
	return resp, nil
}

// checkView demands that an answer is about what was asked for.
func checkView(v *View, name string, size uint64) error {
	charter, err := trial.ParseID(v.GetCharter())
	if err != nil {
		return fmt.Errorf("invalid answer: its trial: %w", err)
	}
	if asked, err := trial.ParseID(name); err == nil && asked != charter {
		return fmt.Errorf("invalid answer: got the trial %s, want %s", charter, asked)
	}
	if size != 0 && v.GetLogSize() != size {
		return fmt.Errorf("invalid answer: got it for the log size %d, want %d", v.GetLogSize(), size)
	}
	return nil
}

// FindingQuery selects findings of one trial. An empty field selects any.
type FindingQuery struct {
	// Trial is a charter's id or a registry number that names one trial.
	Trial string
	// Site, Rule and Severity select by them, Status by "open", "answered" or
	// "closed".
	Site, Rule string
	Severity   trial.Severity
	Status     string
	// From selects findings that opened at this log index or later.
	From uint64
	// Size is the log size that they are asked for; 0 is now.
	Size uint64
}

// Findings returns what a trial's findings were computed from, and yields those that
// are selected in the order in which they opened, as they were at that position.
// After an error it yields nothing more. They are the notary's word: a sponsor's
// monitor computes them from the statements, and compares.
func (c *Client) Findings(ctx context.Context, q FindingQuery) (*View, iter.Seq2[*Finding, error], error) {
	req := &notaryv1.ListFindingsRequest{
		Trial: q.Trial, Site: q.Site, Rule: q.Rule, Severity: string(q.Severity), Status: q.Status, FromIndex: q.From, LogSize: q.Size,
		PageSize: 1000,
	}
	return viewPages(q.Trial, q.Size, func(token string) ([]*Finding, string, *View, error) {
		req.PageToken = token
		var resp *notaryv1.ListFindingsResponse
		err := c.retry(ctx, func(ctx context.Context) (err error) {
			resp, err = c.api.ListFindings(ctx, req)
			return err
		})
		return resp.GetFindings(), resp.GetNextPageToken(), resp.GetView(), err
	})
}

// EventQuery selects events of one trial. An empty field selects any.
type EventQuery struct {
	// Trial is a charter's id or a registry number that names one trial.
	Trial string
	// Site and Kind select by the statement that an event happened to.
	Site string
	Kind trial.Kind
	// From and Until select by log time, half-open.
	From, Until time.Time
	// Size is the log size that they are asked for; 0 is now.
	Size uint64
}

// Chronology returns what a trial's chronology was computed from, and yields the
// events that are selected in log order. After an error it yields nothing more. It
// is the notary's word: a sponsor's monitor computes it from the statements, and
// compares.
func (c *Client) Chronology(ctx context.Context, q EventQuery) (*View, iter.Seq2[*Event, error], error) {
	req := &notaryv1.GetChronologyRequest{
		Trial: q.Trial, Site: q.Site, Kind: string(q.Kind), From: stamp(q.From), Until: stamp(q.Until), LogSize: q.Size, PageSize: 1000,
	}
	return viewPages(q.Trial, q.Size, func(token string) ([]*Event, string, *View, error) {
		req.PageToken = token
		var resp *notaryv1.GetChronologyResponse
		err := c.retry(ctx, func(ctx context.Context) (err error) {
			resp, err = c.api.GetChronology(ctx, req)
			return err
		})
		return resp.GetEvents(), resp.GetNextPageToken(), resp.GetView(), err
	})
}

// viewPages fetches the first page, and the others as they are asked for. All are of
// one view.
func viewPages[T any](name string, size uint64, fetch func(token string) ([]T, string, *View, error)) (*View, iter.Seq2[T, error], error) {
	first, next, view, err := fetch("")
	if err == nil {
		err = checkView(view, name, size)
	}
	if err != nil {
		return nil, nil, err
	}
	return view, func(yield func(T, error) bool) {
		page, token, empty := first, next, 0
		for {
			for _, one := range page {
				if !yield(one, nil) {
					return
				}
			}
			if token == "" {
				return
			}
			if empty++; len(page) > 0 {
				empty = 0
			}
			var of *View
			var again string
			var err error
			page, again, of, err = fetch(token)
			switch {
			case err != nil:
			case of.GetCharter() != view.GetCharter() || of.GetLogSize() != view.GetLogSize() || of.GetWithheld() != view.GetWithheld():
				err = fmt.Errorf("invalid answer: got a page of another view, at %d of trial %s", of.GetLogSize(), of.GetCharter())
			case empty > maxEmpty:
				err = errEmptyPages
			case again == token:
				err = fmt.Errorf("invalid answer: got a page that leads to itself")
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			token = again
		}
	}, nil
}
