package rpc

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
)

// paged is the place of a page in a list of a trial's findings or events.
type paged struct {
	page
	bound []byte
	limit int
	next  int // number of the first item that was not looked at yet

	n, bytes int // what the page has
}

// takes tells whether the page has room for an item.
func (p *paged) takes(m proto.Message) bool {
	size := proto.Size(m)
	if p.n == p.limit || p.n > 0 && p.bytes+size > maxPageBytes {
		return false
	}
	p.n, p.bytes = p.n+1, p.bytes+size
	return true
}

// paged reads the size and token of a page. want is the position that the caller
// asks for; a token has its own, which cannot differ.
func (a *api) paged(ctx context.Context, q *notary.Query, want uint64, size int32, token string, more ...string) (*paged, error) {
	limit, err := pageSize(size)
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	q.Visible = c.user.visible()
	p := &paged{limit: limit, bound: bind(c.method, q, c.name(), append(more, strconv.FormatUint(want, 10))...)}
	var further bool
	if p.page, further, err = parsePage(a.cfg.PageKey, p.bound, token); err != nil {
		return nil, err
	}
	if !further {
		p.size = want
		return p, nil
	}
	p.next = int(min(p.after, 1<<62)) + 1
	return p, nil
}

// token continues after an item.
func (p *paged) token(key []byte, size uint64, last int) string {
	return page{size: size, after: uint64(last)}.encode(key, p.bound)
}

var severities = []string{string(trial.SeverityCritical), string(trial.SeverityMajor), string(trial.SeverityMinor)}

// oneOfValues refuses what is not of a list; an empty value is any.
func oneOfValues(path, value string, list ...string) error {
	if value == "" || slices.Contains(list, value) {
		return nil
	}
	return &trial.Refusal{Reason: trial.ReasonBadValue, Path: path, Detail: fmt.Sprintf("want one of %v", list)}
}

// ListFindings lists where a trial breaks its rules.
func (a *api) ListFindings(ctx context.Context, req *notaryv1.ListFindingsRequest) (*notaryv1.ListFindingsResponse, error) {
	if err := oneOfValues("severity", req.GetSeverity(), severities...); err != nil {
		return nil, err
	}
	if err := oneOfValues("status", req.GetStatus(), findingOpen, findingAnswered, findingClosed); err != nil {
		return nil, err
	}
	charter, err := a.trialOf(ctx, req.GetTrial())
	if err != nil {
		return nil, err
	}
	p, err := a.paged(ctx, &notary.Query{Charter: &charter, Site: req.GetSite()}, req.GetLogSize(), req.GetPageSize(), req.GetPageToken(),
		req.GetRule(), req.GetSeverity(), req.GetStatus(), strconv.FormatUint(req.GetFromIndex(), 10))
	if err != nil {
		return nil, err
	}
	out := &notaryv1.ListFindingsResponse{}
	selected := func(f *chronology.Found) bool {
		return f.Index >= req.GetFromIndex() && matches(req.GetSite(), f.Site) && matches(req.GetRule(), f.Rule) &&
			matches(req.GetSeverity(), string(f.Severity)) && matches(req.GetStatus(), findingStatus(f))
	}
	err = a.readTrial(ctx, charter.String(), p.size, false, func(v *notary.TrialView) error {
		out.View = viewMessage(v)
		n := v.Fold.FindingsBelow(v.Size)
		last := 0
		for i := p.next; i < n; i++ {
			f := v.Fold.Found(i, v.Size)
			if !selected(&f) {
				continue
			}
			m := findingMessage(&f)
			if !p.takes(m) {
				out.NextPageToken = p.token(a.cfg.PageKey, v.Size, last)
				break
			}
			out.Findings, last = append(out.Findings, m), i
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// matches tells whether a value is what is asked for; "" asks for any.
func matches(want, got string) bool { return want == "" || want == got }

// GetChronology lists what happened in a trial.
func (a *api) GetChronology(ctx context.Context, req *notaryv1.GetChronologyRequest) (*notaryv1.GetChronologyResponse, error) {
	q, err := a.trialQuery(ctx, req)
	if err != nil {
		return nil, err
	}
	p, err := a.paged(ctx, q, req.GetLogSize(), req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &notaryv1.GetChronologyResponse{}
	selected := func(e *chronology.Event) bool {
		return matches(q.Site, e.Site) && matches(string(q.Kind), string(e.Kind)) &&
			(q.From.IsZero() || !e.Time.Before(q.From)) && (q.Until.IsZero() || e.Time.Before(q.Until))
	}
	err = a.readTrial(ctx, q.Charter.String(), p.size, false, func(v *notary.TrialView) error {
		out.View = viewMessage(v)
		events := v.Fold.EventsBelow(v.Size)
		last := 0
		for i := p.next; i < len(events); i++ {
			if !selected(&events[i]) {
				continue
			}
			m := eventMessage(v, &events[i])
			if !p.takes(m) {
				out.NextPageToken = p.token(a.cfg.PageKey, v.Size, last)
				break
			}
			out.Events, last = append(out.Events, m), i
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// knownKind refuses a kind that there is not: no statement would ever match.
func knownKind(kind string) error {
	if k := trial.Kind(kind); kind != "" && !k.Known() {
		return &trial.Refusal{Reason: trial.ReasonBadValue, Path: "kind", Detail: fmt.Sprintf("got %q, want a kind of statement such as dataset", k)}
	}
	return nil
}
