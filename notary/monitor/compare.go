package monitor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// compare folds the trial and compares what was found with the notary's.
func (l *look) compare(ctx context.Context) error {
	switch err := l.refold(ctx); {
	case errors.Is(err, errNoCharter):
		l.uncompared = err.Error()
		return nil
	case errors.Is(err, rules.ErrUnknownPack):
		l.uncompared = fmt.Sprintf("findings cannot be computed: %v", err)
		l.raisef(KindRulePack, subject{}, "%s", l.uncompared)
		return nil
	case errors.Is(err, errMark):
		l.m.fold = nil
		l.uncompared = err.Error()
		l.raisef(KindTimeMark, subject{name: "fold"}, "%v", err)
		l.settle(KindTimeMark)
		return nil
	case err != nil:
		l.m.fold = nil
		return err
	}
	l.settle(KindRulePack, KindTimeMark)
	if why := l.incomplete(); why != "" {
		l.uncompared = "findings were not compared: " + why
		l.findings = &Comparison{LogSize: l.m.doc.Scanned, Detail: "not compared: " + why}
		return nil
	}
	differs, err := l.differs(ctx)
	if err != nil {
		if _, refused := errors.AsType[*client.Refused](err); !refused {
			return err
		}
		differs = fmt.Sprintf("the notary shows no findings: %v", err)
	}
	if l.findings == nil {
		l.findings = &Comparison{LogSize: l.m.doc.Scanned}
	}
	l.findings.Agrees, l.findings.Detail = differs == "", differs
	if differs != "" {
		l.raisef(KindFindings, subject{}, "at %d entries of the log %s", l.m.doc.Scanned, differs)
	}
	l.settle(KindFindings)
	return nil
}

// incomplete says why the fold cannot be compared: it lacks statements that the
// notary folds.
func (l *look) incomplete() string {
	if l.waits != "" {
		return l.waits
	}
	for _, kind := range []Kind{KindReceipt, KindNoEntry, KindTimeMark, KindWithheld} {
		for _, a := range l.m.doc.Alarms {
			if a.Kind == kind && a.Status != StatusResolved {
				return fmt.Sprintf("statements are missing here (%s, alarm %s)", kind, a.ID)
			}
		}
	}
	return ""
}

// differs says in what the notary's findings differ from those of the fold, at the
// same size of the log; empty is in nothing.
func (l *look) differs(ctx context.Context) (string, error) {
	c, size, name := l.m.cfg.Client, l.m.doc.Scanned, l.m.trust.Charter.String()
	view, theirs, err := c.Findings(ctx, client.FindingQuery{Trial: name, Size: size})
	if err != nil {
		return "", err
	}
	l.findings = &Comparison{LogSize: size, Withheld: view.GetWithheld()}
	mine, err := l.m.fold.engine.View(l.m.cfg.Site, size, view.GetWithheld())
	if err != nil {
		return "", err
	}
	switch {
	case view.GetRulesUnknown() != "":
		return fmt.Sprintf("the notary judged no rule: %s", view.GetRulesUnknown()), nil
	case view.GetRulePack() != l.m.fold.pack:
		return fmt.Sprintf("the notary judged by the pack %q, and the charter names %q", view.GetRulePack(), l.m.fold.pack), nil
	case view.GetStatements() != mine.Statements:
		return fmt.Sprintf("the notary folded %d statements, and shows %d", view.GetStatements(), mine.Statements), nil
	}
	own := l.m.fold.engine.Findings()
	var got []line
	for f, err := range theirs {
		if err != nil {
			return "", err
		}
		if len(got) > len(own) {
			break // more than follow from the statements, however many
		}
		got = append(got, lineOf(f))
	}
	if detail := compareLines(got, own); detail != "" {
		return detail, nil
	}
	return l.stateDiffers(ctx, &mine)
}

// stateDiffers compares what was folded, where the notary's newest state is of the
// same size.
func (l *look) stateDiffers(ctx context.Context, mine *rules.View) (string, error) {
	t, err := l.m.cfg.Client.Trial(ctx, l.m.trust.Charter.String(), 0)
	if err != nil || t.GetView().GetLogSize() != mine.Size {
		return "", err
	}
	switch {
	case t.GetStatementsDigest() != hex.EncodeToString(mine.Folded[:]):
		return "the notary folded other statements, or in another order, than it shows", nil
	case t.GetFindingsDigest() != hex.EncodeToString(mine.Digest[:]):
		return "the notary's digest of its findings is not that of those it lists", nil
	}
	return "", nil
}

// line is a finding as it is compared.
type line struct {
	rule, statement, site, severity, why, response string
	index, closed                                  uint64
	isClosed                                       bool
	at                                             int64
}

func (n *line) String() string {
	return fmt.Sprintf("%s on statement %s, opened at index %d", n.rule, n.statement, n.index)
}

func lineOf(f *client.Finding) line {
	n := line{
		rule: f.GetRule(), statement: f.GetStatementId(), site: f.GetSite(), severity: f.GetSeverity(), why: f.GetWhy(),
		response: f.GetResponse().GetStatementId(), index: f.GetLogIndex(), closed: f.GetClosedIndex(), isClosed: f.ClosedIndex != nil,
	}
	if t := f.GetLogTime(); t != nil {
		n.at = t.AsTime().UnixNano()
	}
	return n
}

func ownLine(f *rules.Finding) line {
	n := line{
		rule: f.Rule, statement: f.Statement.String(), site: f.Site, severity: string(f.Severity), why: f.Why, index: f.Index,
	}
	if !f.Time.IsZero() {
		n.at = f.Time.UnixNano()
	}
	if f.Response != nil {
		n.response = f.Response.Statement.String()
	}
	if f.Closed != nil {
		n.closed, n.isClosed = *f.Closed, true
	}
	return n
}

// compareLines says in what findings differ, by the first one that does.
func compareLines(theirs []line, own []rules.Finding) string {
	type key struct{ rule, statement string }
	have := make(map[key]line, len(theirs))
	for _, n := range theirs {
		have[key{n.rule, n.statement}] = n
	}
	if len(have) != len(theirs) {
		return "the notary lists a finding twice"
	}
	for i := range own {
		want := ownLine(&own[i])
		k := key{want.rule, want.statement}
		got, ok := have[k]
		switch {
		case !ok:
			return fmt.Sprintf("the notary lacks the finding %s (%d and %d findings)", &want, len(theirs), len(own))
		case got != want:
			return fmt.Sprintf("the notary says of the finding %s: %+v, want %+v", &want, got, want)
		}
		delete(have, k)
	}
	for _, n := range theirs {
		if _, more := have[key{n.rule, n.statement}]; more {
			return fmt.Sprintf("the notary has the finding %s, which does not follow from the statements", &n)
		}
	}
	return ""
}
