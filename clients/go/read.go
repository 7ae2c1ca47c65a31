package client

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// Statement is a logged statement as the notary lists it. A list is the
// notary's word; a receipt is proof.
type Statement = notaryv1.Statement

// Query selects statements of one trial.
type Query struct {
	// Trial is a charter's id or a registry number that names one trial.
	Trial string
	// Site and Kind select by site and kind; empty means any.
	Site string
	Kind trial.Kind
	// From and Until select by log time, half-open; zero means any.
	From, Until time.Time
}

// List yields a trial's statements that the caller may see, in log order. One whose
// copy at the notary is damaged is among them, without its subjects: GetUnreadable
// tells. After an error it yields nothing more.
func (c *Client) List(ctx context.Context, q Query) iter.Seq2[*Statement, error] {
	req := &notaryv1.ListStatementsRequest{
		Trial: q.Trial, Site: q.Site, Kind: string(q.Kind), From: stamp(q.From), Until: stamp(q.Until), PageSize: 1000,
	}
	return pages(func(token string) ([]*Statement, string, error) {
		req.PageToken = token
		var resp *notaryv1.ListStatementsResponse
		err := c.retry(ctx, func(ctx context.Context) (err error) {
			resp, err = c.api.ListStatements(ctx, req)
			return err
		})
		return resp.GetStatements(), resp.GetNextPageToken(), err
	})
}

// Find yields every statement about a file that the caller may see, over all
// trials, in log order. After an error it yields nothing more.
func (c *Client) Find(ctx context.Context, sha256 [32]byte) iter.Seq2[*Statement, error] {
	req := &notaryv1.FindSubjectRequest{Sha256: hex.EncodeToString(sha256[:]), PageSize: 1000}
	return pages(func(token string) ([]*Statement, string, error) {
		req.PageToken = token
		var resp *notaryv1.FindSubjectResponse
		err := c.retry(ctx, func(ctx context.Context) (err error) {
			resp, err = c.api.FindSubject(ctx, req)
			return err
		})
		return resp.GetStatements(), resp.GetNextPageToken(), err
	})
}

// Statement returns a logged statement as it was signed, with its envelope.
func (c *Client) Statement(ctx context.Context, id trial.ID) (*Statement, error) {
	var resp *notaryv1.GetStatementResponse
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.GetStatement(ctx, &notaryv1.GetStatementRequest{StatementId: id.String()})
		return err
	})
	return resp.GetStatement(), err
}

// maxEmpty is how many pages with nothing on them may follow each other.
const maxEmpty = 1000

var errEmptyPages = fmt.Errorf("invalid answer: got more than %d empty pages, want the next one", maxEmpty)

func pages(fetch func(token string) ([]*Statement, string, error)) iter.Seq2[*Statement, error] {
	return func(yield func(*Statement, error) bool) {
		empty := 0
		for token := ""; ; {
			page, next, err := fetch(token)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, s := range page {
				if !yield(s, nil) {
					return
				}
			}
			if next == "" || next == token {
				return
			}
			if empty++; len(page) > 0 {
				empty = 0
			}
			if empty > maxEmpty {
				yield(nil, errEmptyPages)
				return
			}
			token = next
		}
	}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
