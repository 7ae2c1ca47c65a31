package rpc

import (
	"context"
	"encoding/hex"
	"iter"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
)

// Limits of the lists of GetTrial.
const (
	maxTrialItems  = 1000
	maxTrialSeries = 10_000
)

// GetTrial tells what is the case in a trial.
func (a *api) GetTrial(ctx context.Context, req *notaryv1.GetTrialRequest) (*notaryv1.GetTrialResponse, error) {
	var out *notaryv1.GetTrialResponse
	err := a.readTrial(ctx, req.GetTrial(), req.GetLogSize(), true, func(v *notary.TrialView) (err error) {
		out, err = trialMessage(v)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func trialMessage(v *notary.TrialView) (*notaryv1.GetTrialResponse, error) {
	digests, err := v.Fold.Engine().View("", v.Size, v.Withheld)
	if err != nil {
		return nil, err
	}
	s := v.Fold.Engine().State()
	out := &notaryv1.GetTrialResponse{
		View: viewMessage(v), Charter: charterMessage(v), Overview: overviewMessage(s.Overview()),
		Findings: findingCounts(v), StatementsDigest: hex.EncodeToString(digests.Folded[:]), FindingsDigest: hex.EncodeToString(digests.Digest[:]),
	}
	cut := func(name string) func() { return func() { out.Truncated = append(out.Truncated, name) } }
	out.Sites = siteMessages(s.EachSite(), maxPageBytes, cut("sites"))
	out.Heads = each(s.Heads(), maxTrialItems, cut("heads"), headMessage)
	out.Pending = each(s.Pending(), maxTrialItems, cut("pending"), pendingMessage(v))
	out.Locks = each(s.Locks(), maxTrialItems, cut("locks"), lockMessage)
	out.Unlocks = each(s.Unlocks(), maxTrialItems, cut("unlocks"), unlockMessage)
	out.Series = each(s.Series(v.Time), maxTrialSeries, cut("series"), seriesMessage)
	out.Seals = each(s.Seals(), maxTrialItems, cut("seals"), sealMessage)
	out.Unblindings = each(s.Unblindings(), maxTrialItems, cut("unblindings"), unblindingMessage)
	out.Enrolments = each(s.Enrolments(v.Time), maxTrialItems, cut("enrolments"), enrolmentMessage)
	out.CustodyGaps = each(s.CustodyGaps(), maxTrialItems, cut("custodyGaps"), gapMessage)
	fit(out, maxPageBytes)
	return out, nil
}

// fit leaves the older half of the longest list out, and names it, as long as the
// answer is longer than a client of gRPC takes.
func fit(out *notaryv1.GetTrialResponse, most int) {
	m := out.ProtoReflect()
	fields := m.Descriptor().Fields()
	for proto.Size(out) > most {
		var longest protoreflect.FieldDescriptor
		long := 0
		for i := range fields.Len() {
			field := fields.Get(i)
			if !field.IsList() || field.Message() == nil {
				continue
			}
			size := 0
			for j, list := 0, m.Get(field).List(); j < list.Len(); j++ {
				size += proto.Size(list.Get(j).Message().Interface())
			}
			if size > long {
				longest, long = field, size
			}
		}
		if longest == nil {
			return // what is left is the charter's, which fits
		}
		list, rest := m.Get(longest).List(), m.NewField(longest).List()
		for j := (list.Len() + 1) / 2; j < list.Len(); j++ {
			rest.Append(list.Get(j))
		}
		m.Set(longest, protoreflect.ValueOfList(rest))
		if name := longest.JSONName(); !slices.Contains(out.GetTruncated(), name) {
			out.Truncated = append(out.Truncated, name)
		}
	}
}

// each describes the last of a list, and tells where there are more.
func each[T, M any](list []T, most int, cut func(), describe func(*T) M) []M {
	if len(list) > most {
		cut()
		list = list[len(list)-most:]
	}
	var out []M
	for i := range list {
		out = append(out, describe(&list[i]))
	}
	return out
}

func texts[T ~string](list []T) []string {
	var out []string
	for _, t := range list {
		out = append(out, string(t))
	}
	return out
}

func sortedSet(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

func momentMessage(m *trial.Moment) *notaryv1.LogMoment {
	if m == nil {
		return nil
	}
	return &notaryv1.LogMoment{StatementId: m.Statement.String(), LogIndex: m.Index, LogTime: timeMessage(m.Time)}
}

func charterMessage(v *notary.TrialView) *notaryv1.TrialCharter {
	auth := v.Fold.Engine().State().Authority()
	guard := v.Charter.BlindingGuard
	if guard == "" {
		guard = trial.BlindingWarn
	}
	m := &notaryv1.TrialCharter{
		SponsorOrganisation: v.Charter.SponsorOrganisation, RegistryNumbers: auth.Registry(), Parameters: v.Charter.AllParameters(),
		RandomisationList: v.Charter.RandomisationList, BlindingGuard: string(guard), SponsorKeyId: auth.SponsorKey().ID.String(),
	}
	if first := v.Fold.EventsBelow(v.Size); len(first) > 0 {
		m.LogIndex, m.LogTime = first[0].Index, timeMessage(first[0].Time)
	}
	return m
}

func overviewMessage(o trial.Overview) *notaryv1.TrialOverview {
	return &notaryv1.TrialOverview{
		Registered: o.Registered, ProtocolLogged: o.ProtocolLogged, FirstParticipant: momentMessage(o.FirstParticipant),
		Ended: momentMessage(o.Ended), Closed: momentMessage(o.Closed), Unblinded: momentMessage(o.Unblinded),
		Locked: o.Locked, UnlockOpen: o.UnlockOpen,
	}
}

// siteMessages describes the last of the sites, as many as take so many bytes, and
// tells where there are more. Never all of them are held.
func siteMessages(sites iter.Seq[trial.SiteState], most int, cut func()) []*notaryv1.TrialSite {
	var out []*notaryv1.TrialSite
	total, cutOff := 0, false
	for site := range sites {
		m := siteMessage(&site)
		out, total = append(out, m), total+proto.Size(m)
		for ; total > most && len(out) > 1; out = out[1:] {
			total -= proto.Size(out[0])
			out[0], cutOff = nil, true
		}
	}
	if cutOff {
		cut()
	}
	return out
}

func siteMessage(s *trial.SiteState) *notaryv1.TrialSite {
	m := &notaryv1.TrialSite{
		Site: s.Site.ID, Name: s.Site.Name, Country: s.Site.Country, Activated: momentMessage(s.Activated),
		FirstParticipant: momentMessage(s.FirstParticipant), LastVisit: momentMessage(s.LastVisit), Closed: momentMessage(s.Closed),
	}
	for i := range s.Effective {
		e := &s.Effective[i]
		m.Effective = append(m.Effective, &notaryv1.EffectiveVersion{
			Family: string(e.Family), Document: e.Document, Language: e.Language, Version: e.Version,
			StatementId: idText(e.Statement), Date: e.Date, By: momentMessage(&e.By),
		})
	}
	return m
}

func headMessage(h *trial.Head) *notaryv1.DocumentHead {
	return &notaryv1.DocumentHead{
		Family: string(h.Family), Document: h.Document.ID, Language: h.Document.Language, Scope: h.Document.Scope,
		Version: h.Version, StatementId: idText(h.Statement), Since: h.Since,
	}
}

func endorsementMessage(e *trial.Endorsement) *notaryv1.TrialEndorsement {
	return &notaryv1.TrialEndorsement{StatementId: e.Statement.String(), LogIndex: e.Index, KeyId: e.KeyID.String(), Roles: texts(e.Roles)}
}

// pendingMessage finds an act's title among what was logged.
func pendingMessage(v *notary.TrialView) func(*trial.PendingAct) *notaryv1.PendingAct {
	return func(p *trial.PendingAct) *notaryv1.PendingAct {
		m := &notaryv1.PendingAct{
			Act: momentMessage(&p.Logged), Kind: string(p.Kind), Site: p.Site, Title: v.Fold.Title(p.Logged.Statement),
			Required: texts(p.Required), Missing: texts(p.Missing), Overdue: p.Overdue,
		}
		for i := range p.Endorsed {
			m.Endorsed = append(m.Endorsed, endorsementMessage(&p.Endorsed[i]))
		}
		return m
	}
}

func scopeMessage(s trial.DataScope) *notaryv1.DataScope {
	return &notaryv1.DataScope{Sites: s.Sites, Datasets: s.Datasets}
}

func lockMessage(l *trial.LockState) *notaryv1.TrialLock {
	m := &notaryv1.TrialLock{
		Lock: momentMessage(&l.Logged), Label: l.Label, Type: string(l.Type), Scope: scopeMessage(l.Scope), Status: string(l.Status),
		InEffect: l.InEffect, ReplacedBy: idText(l.ReplacedBy), Members: uint64(len(l.Members)),
	}
	if l.Status == trial.StatusEffective {
		m.EffectIndex = new(l.EffectIndex)
	}
	return m
}

func unlockMessage(u *trial.UnlockState) *notaryv1.TrialUnlock {
	return &notaryv1.TrialUnlock{
		Unlock: momentMessage(&u.Logged), EffectIndex: u.EffectIndex, Reason: u.Reason, Scope: scopeMessage(u.Scope),
		Lock: idText(u.Lock), Opened: u.Opened, ClosedBy: idText(u.ClosedBy),
	}
}

func seriesMessage(s *trial.SeriesState) *notaryv1.DataSeries {
	return &notaryv1.DataSeries{
		Site: s.Site, Source: s.Source, Dataset: s.Dataset, Extracts: s.Extracts, First: timeMessage(s.First), Last: timeMessage(s.Last),
		LastIndex: s.LastIndex, OverdueSince: timeMessage(s.OverdueSince),
	}
}

func sealMessage(s *trial.SealState) *notaryv1.RandomisationSeal {
	m := &notaryv1.RandomisationSeal{Seal: momentMessage(&s.Logged), EffectIndex: s.EffectIndex}
	for i := range s.Reveals {
		m.Reveals = append(m.Reveals, momentMessage(&s.Reveals[i]))
	}
	return m
}

func unblindingMessage(u *trial.UnblindingState) *notaryv1.TrialUnblinding {
	m := &notaryv1.TrialUnblinding{
		Unblinding: momentMessage(&u.Logged), Site: u.Site, Scope: string(u.Scope), Emergency: u.Emergency, Exempt: u.Exempt,
	}
	if u.Second != nil {
		m.Second = endorsementMessage(u.Second)
	}
	return m
}

// enrolmentMessage leaves out whom it names: lists show no person.
func enrolmentMessage(e *trial.EnrolmentState) *notaryv1.TrialEnrolment {
	b := e.Body
	return &notaryv1.TrialEnrolment{
		Enrolment: momentMessage(&e.Logged), KeyId: b.Key.ID.String(), Holder: string(b.Holder), Organisation: b.Organisation,
		OrganisationType: string(b.OrganisationType), Roles: texts(b.Roles), AllSites: b.AllSites, Sites: b.Sites, Kinds: texts(b.Kinds),
		ActiveAt: e.ActiveAt, Waits: e.Waits,
	}
}

func gapMessage(g *trial.CustodyGap) *notaryv1.CustodyGap {
	return &notaryv1.CustodyGap{
		Event: &notaryv1.LogMoment{StatementId: g.Statement.String(), LogIndex: g.Index}, Type: string(g.Event), Site: g.Site,
		Item: g.Item, What: g.What,
	}
}

// findingCounts counts a trial's findings by severity and status.
func findingCounts(v *notary.TrialView) []*notaryv1.FindingCount {
	var out []*notaryv1.FindingCount
	counts := map[trial.Severity]*notaryv1.FindingCount{}
	for _, s := range severities {
		c := &notaryv1.FindingCount{Severity: s}
		counts[trial.Severity(s)] = c
		out = append(out, c)
	}
	for i := range v.Fold.FindingsBelow(v.Size) {
		f := v.Fold.Found(i, v.Size)
		count(counts[f.Severity], &f)
	}
	return out
}

func count(c *notaryv1.FindingCount, f *chronology.Found) {
	if c == nil {
		return // no such severity passes the pack's parser
	}
	switch findingStatus(f) {
	case findingClosed:
		c.Closed++
	case findingAnswered:
		c.Answered++
	default:
		c.Open++
	}
}
