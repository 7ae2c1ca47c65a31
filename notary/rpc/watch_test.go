package rpc

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/trialnotary/trialnotary/notary/store"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// watched reads messages until one has gone as far as an index.
func watched(t *testing.T, next func() (*notaryv1.WatchTrialResponse, error), to uint64) (events []*notaryv1.TrialEvent, index uint64) {
	t.Helper()
	for index <= to {
		m, err := next()
		if err != nil {
			t.Fatalf("watching: %v", err)
		}
		if m.GetNextIndex() < index || m.GetView().GetLogSize() < m.GetNextIndex() {
			t.Errorf("got the next index %d after %d in a log of %d", m.GetNextIndex(), index, m.GetView().GetLogSize())
		}
		events, index = append(events, m.GetEvents()...), m.GetNextIndex()
	}
	return events, index
}

// httpWatch opens a watch over HTTP.
func (r *realStudy) httpWatch(ctx context.Context, user string, from uint64) (*http.Response, func() (*notaryv1.WatchTrialResponse, error)) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("https://%s/v1/trials/%s/watch?fromIndex=%d", r.httpAddr, r.id, from), nil)
	must(r.t, err)
	for h := r.as(user); len(h) > 0; h = h[2:] {
		req.Header.Set(h[0], h[1])
	}
	resp, err := r.web().Do(req)
	must(r.t, err)
	r.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewReader(resp.Body)
	return resp, func() (*notaryv1.WatchTrialResponse, error) {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var wrapped struct{ Result, Error rawJSON }
		must(r.t, unmarshalJSON(line, &wrapped))
		if wrapped.Error != nil {
			return nil, fmt.Errorf("the stream ended: %s", wrapped.Error)
		}
		m := new(notaryv1.WatchTrialResponse)
		return m, protojson.Unmarshal(wrapped.Result, m)
	}
}

// TestWatchTrial sees what is logged before and while it watches, the same over
// both transports, and goes on where it ended.
func TestWatchTrial(t *testing.T) {
	r := newRealStudy(t)
	stream, err := r.grpc().WatchTrial(r.ctx("sponsor"), &notaryv1.WatchTrialRequest{Trial: r.id.String()})
	must(t, err)
	resp, overHTTP := r.httpWatch(t.Context(), "sponsor", 0)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != ndjson {
		t.Fatalf("got %d %s, want 200 and %s", resp.StatusCode, resp.Header.Get("Content-Type"), ndjson)
	}
	before, _ := watched(t, stream.Recv, r.elsewhere.GetLogIndex())
	if len(before) != 5 {
		t.Errorf("got %d events of the past, want 5", len(before))
	}
	later := r.logged("sponsor", r.dataset(r.manager, "DE-02", "later.json"))
	news, index := watched(t, stream.Recv, later.GetLogIndex())
	if len(news) != 1 || news[0].GetStatementId() != later.GetStatementId() || len(news[0].GetOpened()) == 0 {
		t.Errorf("got the news %v, want %s with its findings", news, later.GetStatementId())
	}
	both, _ := watched(t, overHTTP, later.GetLogIndex())
	for i, e := range append(before, news...) {
		if i >= len(both) || !proto.Equal(e, both[i]) {
			t.Errorf("event %d: got %v over gRPC and not over HTTP", i, e)
		}
	}
	third := r.logged("sponsor", r.dataset(r.manager, "DE-02", "third.json"))
	again, err := r.grpc().WatchTrial(r.ctx("sponsor"), &notaryv1.WatchTrialRequest{Trial: r.id.String(), FromIndex: index})
	must(t, err)
	rest, _ := watched(t, again.Recv, third.GetLogIndex())
	if len(rest) != 1 || rest[0].GetStatementId() != third.GetStatementId() {
		t.Errorf("got %v from index %d on, want %s alone", rest, index, third.GetStatementId())
	}
}

// TestWatchTrialSite sees nothing of other sites.
func TestWatchTrialSite(t *testing.T) {
	r := newRealStudy(t)
	stream, err := r.grpc().WatchTrial(r.ctx("site"), &notaryv1.WatchTrialRequest{Trial: r.id.String()})
	must(t, err)
	r.logged("sponsor", r.dataset(r.manager, "DE-02", "elsewhere.json"))
	last := r.logged("site", r.dataset(r.inv1, "DE-01", "mine.json"))
	events, _ := watched(t, stream.Recv, last.GetLogIndex())
	for _, e := range events {
		if e.GetSite() == "DE-02" {
			t.Errorf("got the event %v of another site", e)
		}
	}
	if len(events) != 5 {
		t.Errorf("got %d events, want 5", len(events))
	}
}

// TestWatchTrialWho lets in whom GetTrial lets in.
func TestWatchTrialWho(t *testing.T) {
	r := newRealStudy(t)
	for user, want := range map[string]codes.Code{
		"sponsor": ok, "site": ok, "auditor": ok, "other": notFound, "operator": denied, "": noAuth,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		call := ctx
		if user != "" {
			call = r.ctx(user)
		}
		call, stop := context.WithCancel(call)
		stream, err := r.grpc().WatchTrial(call, &notaryv1.WatchTrialRequest{Trial: r.id.String()})
		must(t, err)
		_, err = stream.Recv()
		if status.Code(err) != want {
			t.Errorf("%q over gRPC: got %v, want %v", user, err, want)
		}
		stop()
		resp, _ := r.httpWatch(ctx, user, 0)
		if got := resp.StatusCode; (got == http.StatusOK) != (want == ok) || want != ok && got != httpStatus("", want) {
			t.Errorf("%q over HTTP: got %d, want that of %v", user, got, want)
		}
		cancel()
	}
}

// TestWatchTrialEnds ends a watch whose user is removed or may see something else
// now, and when the server shuts down.
func TestWatchTrialEnds(t *testing.T) {
	r := newRealStudy(t)
	r.srv.reauth = time.Millisecond
	r.srv.cfg.Users = storeUsers{r.db} // as it is now, not as it was
	r.realUser(r.db, "leaver", store.Grant{Role: store.RoleAuditor, Trial: r.id})
	r.realUser(r.db, "mover", store.Grant{Role: store.RoleSite, Trial: r.id, Sites: []string{"DE-01"}})
	open := func(user string) notaryv1.NotaryService_WatchTrialClient {
		stream, err := r.grpc().WatchTrial(r.ctx(user), &notaryv1.WatchTrialRequest{Trial: r.id.String()})
		must(t, err)
		_, err = stream.Recv()
		must(t, err)
		return stream
	}
	ended := func(stream notaryv1.NotaryService_WatchTrialClient) error {
		for {
			if _, err := stream.Recv(); err != nil {
				return err
			}
		}
	}
	leaver, mover, stays := open("leaver"), open("mover"), open("sponsor")
	must(t, r.db.RemoveUser(t.Context(), "leaver"))
	if err := ended(leaver); status.Code(err) != noAuth {
		t.Errorf("removed: got %v, want %v", err, noAuth)
	}
	must(t, r.db.GrantTrial(t.Context(), "mover", r.id))
	if err := ended(mover); reasonIn(status.Convert(err)) != string(reasonUnavailable) || !strings.Contains(status.Convert(err).Message(), "watch again") {
		t.Errorf("another grant: got %v, want %s and to watch again", err, reasonUnavailable)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- r.srv.Shutdown(ctx) }()
	if err := ended(stays); status.Code(err) != codes.Unavailable {
		t.Errorf("shutting down: got %v, want %v", err, codes.Unavailable)
	}
	must(t, <-down)
}

// TestWatchTrialResumes watches a trial of more events than a message has, and again
// from where each message ended: together they are the chronology.
func TestWatchTrialResumes(t *testing.T) {
	r := newRealStudy(t)
	client := r.grpc()
	var all errgroup.Group
	all.SetLimit(32)
	for i := range 2 * watchEvents {
		env := r.dataset(r.manager, "DE-02", fmt.Sprintf("d-%d.json", i))
		all.Go(func() error {
			_, err := client.Submit(r.ctx("sponsor"), &notaryv1.SubmitRequest{Envelope: envelopeMessage(env)})
			return err
		})
	}
	must(t, all.Wait())
	size := r.srv.cfg.Service.LogSize()
	var events []*notaryv1.TrialEvent
	messages := 0
	for from := uint64(0); from < size; messages++ {
		ctx, stop := context.WithCancel(r.ctx("auditor"))
		stream, err := client.WatchTrial(ctx, &notaryv1.WatchTrialRequest{Trial: r.id.String(), FromIndex: from})
		must(t, err)
		m, err := stream.Recv()
		must(t, err)
		if len(m.GetEvents()) > watchEvents || m.GetNextIndex() <= from {
			t.Fatalf("got %d events and the next index %d from %d on", len(m.GetEvents()), m.GetNextIndex(), from)
		}
		events, from = append(events, m.GetEvents()...), m.GetNextIndex()
		stop()
	}
	want, err := client.GetChronology(r.ctx("auditor"), &notaryv1.GetChronologyRequest{Trial: r.id.String(), PageSize: maxPage})
	must(t, err)
	if len(events) != len(want.GetEvents()) || messages < 3 {
		t.Fatalf("got %d events in %d messages, want the %d of the chronology", len(events), messages, len(want.GetEvents()))
	}
	for i, e := range want.GetEvents() {
		if !proto.Equal(e, events[i]) {
			t.Errorf("event %d: got %v, want %v", i, events[i], e)
		}
	}
}

// TestWatchTrialLimit counts watches over both transports among a user's streams, and
// gives the place back.
func TestWatchTrialLimit(t *testing.T) {
	r := newRealStudy(t, func(c *Config) { c.Limits.UserStreams = 1 })
	ctx, stop := context.WithCancel(r.ctx("sponsor"))
	first, err := r.grpc().WatchTrial(ctx, &notaryv1.WatchTrialRequest{Trial: r.id.String()})
	must(t, err)
	_, err = first.Recv()
	must(t, err)
	second, err := r.grpc().WatchTrial(r.ctx("sponsor"), &notaryv1.WatchTrialRequest{Trial: r.id.String()})
	must(t, err)
	if _, err := second.Recv(); reasonIn(status.Convert(err)) != string(reasonOverloaded) {
		t.Errorf("got %v for a second stream, want %s", err, reasonOverloaded)
	}
	if resp, _ := r.httpWatch(t.Context(), "sponsor", 0); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d for a second stream over HTTP, want %d", resp.StatusCode, http.StatusServiceUnavailable)
	}
	if resp, _ := r.httpWatch(t.Context(), "auditor", 0); resp.StatusCode != http.StatusOK {
		t.Errorf("got %d for another user's stream, want %d", resp.StatusCode, http.StatusOK)
	}
	stop()
	for try := 0; ; try++ { // until the server has seen that the first one is gone
		if resp, _ := r.httpWatch(t.Context(), "sponsor", 0); resp.StatusCode == http.StatusOK {
			break
		}
		if try == 1000 {
			t.Fatal("the place of a stream that ended was not given back")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestWatchTrialSlowReader does not read a watch, and everybody else goes on.
func TestWatchTrialSlowReader(t *testing.T) {
	r := newRealStudy(t)
	ctx, stop := context.WithCancel(r.ctx("sponsor"))
	defer stop()
	for range 8 {
		_, err := r.grpc().WatchTrial(ctx, &notaryv1.WatchTrialRequest{Trial: r.id.String()})
		must(t, err)
		r.httpWatch(ctx, "sponsor", 0)
	}
	last := r.logged("sponsor", r.dataset(r.manager, "DE-02", "more.json"))
	stream, err := r.grpc().WatchTrial(r.ctx("sponsor"), &notaryv1.WatchTrialRequest{Trial: r.id.String()})
	must(t, err)
	watched(t, stream.Recv, last.GetLogIndex())
}
