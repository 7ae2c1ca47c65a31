package client

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// scripted answers what a test says; the real server is used in notary/rpc.
type scripted struct {
	notaryv1.NotaryServiceClient
	trial    *notaryv1.GetTrialResponse
	findings []*notaryv1.ListFindingsResponse // by call
	events   []*notaryv1.GetChronologyResponse
	asked    []proto.Message
	streams  []*scriptedStream // by call
}

func (s *scripted) GetTrial(_ context.Context, req *notaryv1.GetTrialRequest, _ ...grpc.CallOption) (*notaryv1.GetTrialResponse, error) {
	s.asked = append(s.asked, proto.Clone(req))
	return s.trial, nil
}

func (s *scripted) ListFindings(_ context.Context, req *notaryv1.ListFindingsRequest, _ ...grpc.CallOption) (*notaryv1.ListFindingsResponse, error) {
	s.asked = append(s.asked, proto.Clone(req))
	next := s.findings[0]
	s.findings = s.findings[1:]
	return next, nil
}

func (s *scripted) GetChronology(_ context.Context, req *notaryv1.GetChronologyRequest, _ ...grpc.CallOption) (*notaryv1.GetChronologyResponse, error) {
	s.asked = append(s.asked, proto.Clone(req))
	next := s.events[0]
	s.events = s.events[1:]
	return next, nil
}

func (s *scripted) WatchTrial(_ context.Context, req *notaryv1.WatchTrialRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[notaryv1.WatchTrialResponse], error) {
	s.asked = append(s.asked, proto.Clone(req))
	next := s.streams[0]
	s.streams = s.streams[1:]
	return next, nil
}

// scriptedStream sends messages and ends with an error.
type scriptedStream struct {
	grpc.ClientStream
	news []*News
	end  error
}

func (s *scriptedStream) Recv() (*News, error) {
	if len(s.news) == 0 {
		return nil, s.end
	}
	m := s.news[0]
	s.news = s.news[1:]
	return m, nil
}

var someTrial = strings.Repeat("ab", 32)

func viewAt(size uint64) *View { return &View{Charter: someTrial, LogSize: size, Whole: true} }

func newsAt(next uint64, events ...uint64) *News {
	m := &News{NextIndex: next, View: viewAt(next)}
	for _, i := range events {
		m.Events = append(m.Events, &Event{LogIndex: i})
	}
	return m
}

func scriptedClient(s *scripted) *Client {
	return &Client{api: s, opts: Options{
		Attempts: 3, AttemptTimeout: time.Minute, sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}}
}

// lastError is what a sequence ends with.
func lastError[T any](all iter.Seq2[T, error]) error {
	var last error
	for _, err := range all {
		last = err
	}
	return last
}

func TestTrial(t *testing.T) {
	s := &scripted{trial: &notaryv1.GetTrialResponse{View: viewAt(9)}}
	c := scriptedClient(s)
	for name, want := range map[string]struct {
		name string
		size uint64
		ok   bool
	}{
		"now": {someTrial, 0, true}, "by number": {"NCT01234567", 0, true}, "then": {someTrial, 9, true},
		"another trial": {strings.Repeat("cd", 32), 0, false}, "another size": {someTrial, 8, false},
	} {
		if _, err := c.Trial(t.Context(), want.name, want.size); (err == nil) != want.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	s.trial = &notaryv1.GetTrialResponse{}
	if _, err := c.Trial(t.Context(), "NCT01234567", 0); err == nil {
		t.Error("got no error for an answer without a view")
	}
}

func TestFindingPages(t *testing.T) {
	s := &scripted{findings: []*notaryv1.ListFindingsResponse{
		{View: viewAt(9), Findings: []*Finding{{Rule: "R01"}, {Rule: "R02"}}, NextPageToken: "a"},
		{View: viewAt(9), Findings: []*Finding{{Rule: "R03"}}},
	}}
	view, findings, err := scriptedClient(s).Findings(t.Context(), FindingQuery{Trial: someTrial})
	must(t, err)
	var rules []string
	for f, err := range findings {
		must(t, err)
		rules = append(rules, f.GetRule())
	}
	if strings.Join(rules, " ") != "R01 R02 R03" || view.GetLogSize() != 9 || s.asked[1].(*notaryv1.ListFindingsRequest).GetPageToken() != "a" {
		t.Errorf("got %v of %v", rules, view)
	}
	for name, second := range map[string]*notaryv1.ListFindingsResponse{
		"another position": {View: viewAt(10)},
		"itself":           {View: viewAt(9), NextPageToken: "a"},
	} {
		s.findings = []*notaryv1.ListFindingsResponse{{View: viewAt(9), NextPageToken: "a"}, second}
		_, findings, err := scriptedClient(s).Findings(t.Context(), FindingQuery{Trial: someTrial})
		must(t, err)
		if lastError(findings) == nil {
			t.Errorf("a page of %s: got no error", name)
		}
	}
}

func TestChronologyPages(t *testing.T) {
	s := &scripted{events: []*notaryv1.GetChronologyResponse{
		{View: viewAt(9), Events: []*Event{{LogIndex: 1}}, NextPageToken: "a"}, {View: viewAt(9), Events: []*Event{{LogIndex: 2}}},
	}}
	_, events, err := scriptedClient(s).Chronology(t.Context(), EventQuery{Trial: someTrial, Kind: "dataset"})
	must(t, err)
	n := uint64(0)
	for e, err := range events {
		must(t, err)
		if n++; e.GetLogIndex() != n {
			t.Errorf("got the event at %d, want %d", e.GetLogIndex(), n)
		}
	}
	s.events = []*notaryv1.GetChronologyResponse{{View: viewAt(8)}}
	if _, _, err := scriptedClient(s).Chronology(t.Context(), EventQuery{Trial: someTrial, Size: 9}); err == nil {
		t.Error("got no error for another position")
	}
}

// TestWatch goes on where a stream broke, and ends where the notary refuses.
func TestWatch(t *testing.T) {
	broken := status.Error(codes.Unavailable, "gone")
	s := &scripted{streams: []*scriptedStream{
		{news: []*News{newsAt(5, 2, 4), newsAt(7, 5)}, end: broken},
		{end: broken},
		{news: []*News{newsAt(9, 7, 7, 8)}, end: broken},
		{end: broken}, // the attempts begin anew after news
		{news: []*News{newsAt(9)}, end: status.Error(codes.NotFound, "no more yours")},
	}}
	var got []uint64
	var end error
	for news, err := range scriptedClient(s).Watch(t.Context(), someTrial, 2) {
		end = err
		for _, e := range news.GetEvents() {
			got = append(got, e.GetLogIndex())
		}
	}
	if want := []uint64{2, 4, 5, 7, 7, 8}; len(got) != len(want) {
		t.Errorf("got the events %v, want %v", got, want)
	}
	refused := new(Refused)
	if !errors.As(end, &refused) || refused.Code != codes.NotFound {
		t.Errorf("got %v at the end, want a refusal", end)
	}
	for i, want := range []uint64{2, 7, 7, 9, 9} {
		if at := s.asked[i].(*notaryv1.WatchTrialRequest).GetFromIndex(); at != want {
			t.Errorf("stream %d: began at %d, want %d", i, at, want)
		}
	}
}

// TestWatchLies refuses what cannot follow, and gives up after some attempts.
func TestWatchLies(t *testing.T) {
	other := newsAt(9)
	other.View.Charter = strings.Repeat("cd", 32)
	for name, news := range map[string][]*News{
		"goes back":           {newsAt(9), newsAt(8)},
		"event before":        {newsAt(9), newsAt(12, 8)},
		"event beyond":        {newsAt(9, 9)},
		"events out of order": {newsAt(9, 5, 4)},
		"another trial":       {newsAt(9), other},
	} {
		s := &scripted{streams: []*scriptedStream{{news: news, end: context.Canceled}}}
		end := lastError(scriptedClient(s).Watch(t.Context(), "NCT01234567", 0))
		if end == nil || !strings.Contains(end.Error(), "invalid answer") {
			t.Errorf("%s: got %v, want an invalid answer", name, end)
		}
	}
	broken := status.Error(codes.Unavailable, "gone")
	s := &scripted{streams: []*scriptedStream{{end: broken}, {end: broken}, {end: broken}}}
	end := lastError(scriptedClient(s).Watch(t.Context(), someTrial, 0))
	if !errors.Is(end, ErrUnanswered) {
		t.Errorf("got %v after three attempts, want ErrUnanswered", end)
	}
	s = &scripted{streams: []*scriptedStream{{news: []*News{newsAt(3), newsAt(4)}}}}
	for _, err := range scriptedClient(s).Watch(t.Context(), someTrial, 0) {
		must(t, err)
		break // a caller may stop
	}
}
