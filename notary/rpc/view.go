package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
)

// viewOf returns what the user sees of a trial: the same statements as
// ListStatements shows. The zero ViewOf is nothing.
func (u *User) viewOf(charter trial.ID) notary.ViewOf {
	if u == nil {
		return notary.ViewOf{}
	}
	of := notary.ViewOf{Charter: charter}
	for _, g := range u.Grants {
		switch {
		case !g.shows(charter):
		case g.Role != RoleSite:
			return notary.ViewOf{Charter: charter, Whole: true}
		default:
			of.Sites = append(of.Sites, g.Sites...)
		}
	}
	return of
}

// readTrial hands the trial that a name means, as the caller sees it, to read.
func (a *api) readTrial(ctx context.Context, name string, size uint64, state bool, read func(*notary.TrialView) error) error {
	charter, err := a.trialOf(ctx, name)
	if err != nil {
		return err
	}
	q := notary.ViewQuery{ViewOf: callOf(ctx).user.viewOf(charter), Size: size, State: state}
	return a.cfg.Service.ReadTrial(ctx, q, read)
}

func viewMessage(v *notary.TrialView) *notaryv1.View {
	m := &notaryv1.View{
		Charter: v.Of.Charter.String(), LogSize: v.Size, LogTime: timeMessage(v.Time), Whole: v.Of.Whole,
		Statements: uint64(v.Fold.StatementsBelow(v.Size)), Withheld: v.Withheld, RulePack: v.Charter.RulePack,
	}
	if !v.Of.Whole {
		m.Sites = sortedSet(v.Of.Sites)
	}
	if v.Unjudged != nil {
		m.RulesUnknown = v.Unjudged.Error()
	}
	return m
}

// timeMessage is absent for the zero time.
func timeMessage(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func idText(id trial.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

// The statuses of a finding.
const (
	findingOpen     = "open"
	findingAnswered = "answered"
	findingClosed   = "closed"
)

// findingStatus is closed before it is answered: what closed needs no answer.
func findingStatus(f *chronology.Found) string {
	switch {
	case f.Closed != nil:
		return findingClosed
	case f.Response != nil:
		return findingAnswered
	}
	return findingOpen
}

func findingMessage(f *chronology.Found) *notaryv1.Finding {
	m := &notaryv1.Finding{
		Rule: f.Rule, Title: f.Title, Clauses: f.Clauses, Severity: string(f.Severity), Own: f.Own,
		StatementId: f.Statement.String(), StatementIndex: f.Logged, Kind: string(f.Kind), Site: f.Site,
		LogIndex: f.Index, LogTime: timeMessage(f.Time), Why: f.Why, Status: findingStatus(f),
	}
	if f.Response != nil {
		m.Response = &notaryv1.LogMoment{StatementId: f.Response.Statement.String(), LogIndex: f.Response.Index}
	}
	if f.Closed != nil {
		m.ClosedIndex = new(*f.Closed)
	}
	return m
}

// eventMessage tells of an event. Its findings are as they are at the view's
// position.
func eventMessage(v *notary.TrialView, e *chronology.Event) *notaryv1.TrialEvent {
	m := &notaryv1.TrialEvent{
		LogIndex: e.Index, LogTime: timeMessage(e.Time), Type: string(e.Type), Status: string(e.Status), Detail: e.Detail,
		StatementId: e.Statement.String(), StatementIndex: e.Logged, Kind: string(e.Kind), Site: e.Site, Title: e.Title, Version: e.Version,
		Organisation: e.Signer.Organisation, Role: string(e.Signer.Role), KeyId: e.Signer.KeyID.String(),
		Opened: foundMessages(v, e.Opened), Answered: foundMessages(v, e.Answered), Closed: foundMessages(v, e.Closed),
	}
	if e.Declared != nil {
		m.DeclaredTime, m.DeclaredZone = timestamppb.New(e.Declared.UTC), e.Declared.Zone
	}
	return m
}

func foundMessages(v *notary.TrialView, refs []chronology.Ref) []*notaryv1.Finding {
	var out []*notaryv1.Finding
	for _, r := range refs {
		if n, ok := v.Fold.Number(r); ok {
			f := v.Fold.Found(n, v.Size)
			out = append(out, findingMessage(&f))
		}
	}
	return out
}
