package main

import (
	"context"
	"fmt"
	"iter"
	"strings"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// notarysAnswer is what the notary computed of the same trial at the same position,
// beside what this machine did.
type notarysAnswer struct {
	Statements uint64   `json:"statements"`
	Withheld   uint64   `json:"withheld"`
	Findings   int      `json:"findings"`
	Events     int      `json:"events"`
	Agrees     bool     `json:"agrees"`
	Differs    []string `json:"differs,omitzero"`
}

// compare asks the notary what it computed up to the same size of the log.
func (f *folded) compare(ctx context.Context, c *connection) error {
	n := &notarysAnswer{}
	name := f.report.Trial.String()
	view, findings, err := c.Findings(ctx, client.FindingQuery{Trial: name, Size: f.report.Size})
	if err != nil {
		return err
	}
	n.Statements, n.Withheld = view.GetStatements(), view.GetWithheld()
	if n.Statements != uint64(f.report.Statements) {
		n.Differs = append(n.Differs, fmt.Sprintf("the notary folded %d statements, this machine %d", n.Statements, f.report.Statements))
	}
	if why := view.GetRulesUnknown(); why != "" {
		n.Differs = append(n.Differs, "the notary judged no rule: "+why)
	}
	if n.Findings, err = against(n, "finding", findings, linesOf(f.report.Findings, findingLine), func(t *client.Finding) string {
		return fmt.Sprintf("%s %s on %s at entry %d, %s: %s", t.GetSeverity(), t.GetRule(), t.GetStatementId(), t.GetLogIndex(), t.GetStatus(), t.GetWhy())
	}); err != nil {
		return err
	}
	_, events, err := c.Chronology(ctx, client.EventQuery{Trial: name, Size: f.report.Size})
	if err != nil {
		return err
	}
	if n.Events, err = against(n, "event", events, linesOf(f.report.Events, eventLine), func(t *client.Event) string {
		return fmt.Sprintf("entry %d %s %s %s: %s. %s", t.GetLogIndex(), t.GetType(), t.GetStatus(), t.GetStatementId(), t.GetTitle(), t.GetDetail())
	}); err != nil {
		return err
	}
	n.Agrees = len(n.Differs) == 0
	f.notary, f.report.Withheld = n, &n.Withheld
	if !n.Agrees {
		f.report.Notes = append(f.report.Notes, "The notary's own answer differs: "+strings.Join(n.Differs, "; "))
	}
	return nil
}

func findingLine(t *rules.Finding) string {
	return fmt.Sprintf("%s %s on %s at entry %d, %s: %s", t.Severity, t.Rule, t.Statement, t.Index, chronology.State(t), t.Why)
}

func eventLine(e *chronology.Event) string {
	return fmt.Sprintf("entry %d %s %s %s: %s. %s", e.Index, e.Type, e.Status, e.Statement, e.Title, e.Detail)
}

func linesOf[T any](list []T, line func(*T) string) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = line(&list[i])
	}
	return out
}

// against compares what the notary lists with ours, in order, and returns how much
// it listed.
func against[T any](n *notarysAnswer, what string, theirs iter.Seq2[T, error], mine []string, line func(T) string) (int, error) {
	listed, different := 0, 0
	first := ""
	for one, err := range theirs {
		if err != nil {
			return 0, err
		}
		got, want := line(one), "none"
		if listed < len(mine) {
			want = mine[listed]
		}
		if got != want && different == 0 {
			first = fmt.Sprintf("%s %d: got %q, computed %q", what, listed+1, got, want)
		}
		if got != want {
			different++
		}
		listed++
	}
	if listed < len(mine) {
		different += len(mine) - listed
		if first == "" {
			first = fmt.Sprintf("%s %d: got none, computed %q", what, listed+1, mine[listed])
		}
	}
	if different > 0 {
		n.Differs = append(n.Differs, fmt.Sprintf("%s not the same, the first: %s", count(different, what, what+"s"), first))
	}
	return listed, nil
}
