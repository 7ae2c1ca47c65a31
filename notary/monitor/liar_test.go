package monitor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// liar stands before the real notary and changes its answers: what a notary can do
// that means harm, over a log that is as it is.
type liar struct {
	notaryv1.UnimplementedNotaryServiceServer
	addr string
	// lie changes an answer; nil is the truth.
	lie atomic.Pointer[func(req, answer proto.Message)]
}

func (l *liar) tell(f func(req, answer proto.Message)) { l.lie.Store(&f) }
func (l *liar) truth()                                 { l.lie.Store(nil) }

func newLiar(w *world) *liar {
	w.t.Helper()
	to, err := grpc.NewClient(w.grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(w.t, err)
	l := &liar{}
	s := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		var answer proto.Message
		switch req.(type) {
		case *notaryv1.GetCheckpointRequest:
			answer = &notaryv1.GetCheckpointResponse{}
		case *notaryv1.GetTrustMaterialRequest:
			answer = &notaryv1.GetTrustMaterialResponse{}
		case *notaryv1.ListStatementsRequest:
			answer = &notaryv1.ListStatementsResponse{}
		case *notaryv1.GetReceiptRequest:
			answer = &notaryv1.GetReceiptResponse{}
		case *notaryv1.GetTimeMarkRequest:
			answer = &notaryv1.GetTimeMarkResponse{}
		case *notaryv1.ListFindingsRequest:
			answer = &notaryv1.ListFindingsResponse{}
		case *notaryv1.GetTrialRequest:
			answer = &notaryv1.GetTrialResponse{}
		default:
			return nil, fmt.Errorf("unexpected %T", req)
		}
		in, _ := metadata.FromIncomingContext(ctx)
		out := metadata.NewOutgoingContext(ctx, metadata.MD{"authorization": in.Get("authorization")})
		lie := l.lie.Load()
		asked := proto.Clone(req.(proto.Message))
		if lie != nil { // its page tokens are the liar's own
			switch q := req.(type) {
			case *notaryv1.ListStatementsRequest:
				q.PageToken = ""
			case *notaryv1.ListFindingsRequest:
				q.PageToken = ""
			}
		}
		if err := to.Invoke(out, info.FullMethod, req, answer); err != nil {
			return nil, err
		}
		if lie != nil {
			(*lie)(asked, answer)
		}
		return answer, nil
	}))
	notaryv1.RegisterNotaryServiceServer(s, l)
	lis := listen(w.t, "")
	l.addr = lis.Addr().String()
	done := make(chan error, 1)
	go func() { done <- s.Serve(lis) }()
	w.t.Cleanup(func() {
		s.Stop()
		must(w.t, errors.Join(<-done, to.Close()))
	})
	return l
}

// monitor is world.monitor at the liar's.
func (l *liar) monitor(w *world, dir string, change ...func(*Config)) *Monitor {
	w.t.Helper()
	return w.monitor(dir, "sponsor", append(change, func(c *Config) {
		s, err := client.OpenState(filepath.Join(dir, "client"))
		must(w.t, err)
		c.Client, err = client.Dial(l.addr, client.Options{
			TokenFile: w.tokens["sponsor"], Insecure: true, State: s, Tiles: "http://" + w.httpAddr, Attempts: 1, AttemptTimeout: 10 * time.Second,
		})
		must(w.t, err)
		w.t.Cleanup(func() { _ = c.Client.Close() })
	})...)
}

// hide leaves out of lists the statements at these indexes.
func hide(answer proto.Message, indexes ...uint64) {
	if list, ok := answer.(*notaryv1.ListStatementsResponse); ok {
		list.Statements = slices.DeleteFunc(list.GetStatements(), func(s *notaryv1.Statement) bool {
			return slices.Contains(indexes, s.GetLogIndex())
		})
	}
}

// TestEnrolmentOutOfTheTrustFolder shows an enrolment in the list and leaves it out
// of the trust folder, and hides what the key signed.
func TestEnrolmentOutOfTheTrustFolder(t *testing.T) {
	w := newWorld(t)
	w.open()
	early := w.trust
	eve := w.enrol("eve", trial.OrganisationSponsor)
	hidden := w.dataset(eve, "701")
	name := authorityFile(t, w, early)
	l := newLiar(w)
	l.tell(func(_, answer proto.Message) {
		hide(answer, hidden.Index)
		if m, ok := answer.(*notaryv1.GetTrustMaterialResponse); ok {
			m.Files = slices.DeleteFunc(m.GetFiles(), func(f *notaryv1.TrustFile) bool {
				return f.GetPath() == name || strings.HasSuffix(f.GetPath(), "as-of.json")
			})
		}
	})
	m := l.monitor(w, t.TempDir(), func(c *Config) { c.Trust, c.Step = early, 2 })
	wantUndisclosed(t, look1(t, m), hidden.Index)
}

// wantUndisclosed demands open alarms of undisclosed entries at these indexes, and
// at no other.
func wantUndisclosed(t *testing.T, r *Report, want ...uint64) {
	t.Helper()
	var got []uint64
	for _, a := range r.Alarms {
		if a.Kind == KindUndisclosed {
			got = append(got, *a.Index)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got undisclosed entries at %d, want %d: %+v", got, want, r.Alarms)
	}
}

// authorityFile names the one receipt of the trust folder that an earlier one
// lacks.
func authorityFile(t *testing.T, w *world, early interface{ Files() map[string][]byte }) string {
	t.Helper()
	had := early.Files()
	for path := range w.trust.Files() {
		if _, ok := had[path]; !ok && strings.HasPrefix(path, "authority/") && strings.HasSuffix(path, ".receipt.json") {
			return path
		}
	}
	t.Fatal("the trust folder holds nothing new")
	return ""
}

// TestEnrolmentShownLate hides an enrolment and what its key signed, and shows the
// enrolment alone once the entries are scanned.
func TestEnrolmentShownLate(t *testing.T) {
	w := newWorld(t)
	w.open()
	early := w.trust
	enrolledAt := uint64(0)
	eve := w.enrol("eve", trial.OrganisationSponsor)
	hidden := w.dataset(eve, "701")
	name := authorityFile(t, w, early)
	for s, err := range w.own.List(t.Context(), client.Query{Trial: w.trust.Charter.String()}) {
		must(t, err)
		if s.GetLogIndex() < hidden.Index {
			enrolledAt = s.GetLogIndex()
		}
	}
	l := newLiar(w)
	l.tell(func(_, answer proto.Message) {
		hide(answer, hidden.Index, enrolledAt)
		if m, ok := answer.(*notaryv1.GetTrustMaterialResponse); ok {
			m.Files = slices.DeleteFunc(m.GetFiles(), func(f *notaryv1.TrustFile) bool {
				return f.GetPath() == name || strings.HasSuffix(f.GetPath(), "as-of.json")
			})
		}
	})
	dir := t.TempDir()
	m := l.monitor(w, dir, func(c *Config) { c.Trust = early })
	r := look1(t, m)
	wantUndisclosed(t, r, enrolledAt)
	l.tell(func(_, answer proto.Message) { hide(answer, hidden.Index) })
	wantUndisclosed(t, look1(t, m), hidden.Index)
	// It stays, here and for whoever comes next, and ends when it is shown.
	r = look1(t, l.monitor(w, dir))
	wantUndisclosed(t, r, hidden.Index)
	if len(r.Fresh) != 0 {
		t.Errorf("got %+v as new", r.Fresh)
	}
	l.truth()
	wantAlarms(t, look1(t, m))
}

// TestListWithoutEnd lists statements that are none, pages that do not end, and
// pages out of order.
func TestListWithoutEnd(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	for range 4 {
		w.dataset(mia, "701")
	}
	l := newLiar(w)
	n := 0
	l.tell(func(_, answer proto.Message) {
		if list, ok := answer.(*notaryv1.ListStatementsResponse); ok {
			n++
			list.Statements, list.NextPageToken = nil, fmt.Sprint(n)
		}
	})
	m := l.monitor(w, t.TempDir())
	if r, err := m.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "empty pages") || r.Whole() {
		t.Errorf("empty pages: got %v", err)
	}
	// Beyond the log's end there is nothing to ask for.
	l.tell(func(req, answer proto.Message) {
		list, ok := answer.(*notaryv1.ListStatementsResponse)
		if !ok {
			return
		}
		n++
		if q, ok := req.(*notaryv1.ListStatementsRequest); ok && q.GetPageToken() != "" {
			list.Statements = []*notaryv1.Statement{{StatementId: strings.Repeat("ab", 32), LogIndex: uint64(1000 + n)}}
		}
		list.NextPageToken = fmt.Sprint(n)
	})
	n = 0
	wantAlarms(t, look1(t, m))
	if n > 2 {
		t.Errorf("got %d pages asked for beyond the log, want one", n)
	}
	l.tell(func(_, answer proto.Message) {
		if list, ok := answer.(*notaryv1.ListStatementsResponse); ok {
			slices.Reverse(list.GetStatements())
		}
	})
	if _, err := m.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "log order") {
		t.Errorf("another order: got %v", err)
	}
}

// TestFindingsWithoutEnd lists the same findings again and again.
func TestFindingsWithoutEnd(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.dataset(mia, "701")
	l := newLiar(w)
	n := 0
	l.tell(func(_, answer proto.Message) {
		if list, ok := answer.(*notaryv1.ListFindingsResponse); ok {
			n++
			list.NextPageToken = fmt.Sprint(n)
		}
	})
	r := look1(t, l.monitor(w, t.TempDir()))
	wantAlarms(t, r, KindFindings)
	if n > 3 {
		t.Errorf("got %d pages asked for", n)
	}
}

// TestStatementOfAnotherTrial lists another trial's statement, with its receipt that
// holds, as one of this trial.
func TestStatementOfAnotherTrial(t *testing.T) {
	w := newWorld(t)
	w.open()
	ours := w.trust
	mia := w.open() // another trial in the same log
	foreign := w.dataset(mia, "701")
	w.trust = ours
	l := newLiar(w)
	l.tell(func(_, answer proto.Message) {
		if list, ok := answer.(*notaryv1.ListStatementsResponse); ok {
			list.Statements = append(list.Statements, &notaryv1.Statement{StatementId: foreign.StatementID.String(), LogIndex: foreign.Index})
		}
	})
	m := l.monitor(w, t.TempDir())
	wantAlarms(t, look1(t, m), KindReceipt)
	l.truth()
	wantAlarms(t, look1(t, m))
}

// TestAcknowledgedIsNotLookedAt says after an acknowledgement, too, that something
// was not looked at.
func TestAcknowledgedIsNotLookedAt(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	m := w.monitor(t.TempDir(), "sponsor")
	w.stop()
	older := w.save()
	w.start()
	w.dataset(mia, "701")
	if r := look1(t, m); !r.Whole() {
		t.Errorf("got %+v, want that everything was looked at", r)
	}
	w.stop()
	w.restore(older)
	w.start()
	r := look1(t, m)
	must(t, m.Acknowledge(t.Context(), r.Alarms[0].ID, "told the sponsor"))
	if r = look1(t, m); r.Wrong() || r.Whole() {
		t.Errorf("got %+v, want no alarm, and that it was not looked at", r)
	}

	w = newWorld(t)
	w.open()
	w.user("narrow", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	mia = w.enrol("ben", trial.OrganisationSponsor)
	w.dataset(mia, "704")
	dir := t.TempDir()
	wantAlarms(t, look1(t, w.monitor(dir, "sponsor")))
	m = w.monitor(dir, "narrow")
	r = look1(t, m)
	wantAlarms(t, r, KindWithheld)
	must(t, m.Acknowledge(t.Context(), r.Alarms[0].ID, "asked for it"))
	if r = look1(t, m); r.Wrong() || r.Whole() || r.Compared.Agrees {
		t.Errorf("got %+v, want that findings were not compared", r)
	}
}

// TestManyAlarms keeps one for all that are too many, and a state that can be read.
func TestManyAlarms(t *testing.T) {
	l := &look{m: &Monitor{doc: &document{}}, raised: map[string]bool{}, more: map[Kind]int{}, now: start}
	raise := func(n int) {
		for i := range uint64(n) {
			l.raisef(KindReceipt, at(i), "number %d", i)
		}
	}
	raise(5000)
	list := l.m.doc.Alarms
	if len(list) != maxOpen+1 || !strings.HasPrefix(list[maxOpen].Detail, "4000 more ") || len(l.fresh) != maxOpen+1 {
		t.Fatalf("got %d alarms, the last %+v", len(list), list[len(list)-1])
	}
	l.fresh, l.raised, l.more = nil, map[string]bool{}, map[Kind]int{}
	raise(2000)
	if len(l.fresh) != 0 || !strings.HasPrefix(l.m.doc.Alarms[maxOpen].Detail, "1000 more ") {
		t.Errorf("got %d new alarms, and %+v", len(l.fresh), l.m.doc.Alarms[maxOpen])
	}
	l.raised, l.more = map[string]bool{}, map[Kind]int{}
	raise(1)
	l.settle(KindReceipt)
	if open := l.m.doc.open(KindReceipt); len(open) != 1 {
		t.Errorf("got %d open alarms, want one", len(open))
	}
}

// TestClockGoesBack raises the alarm of a stale checkpoint, and tells the webhook,
// after a clock that was a year ahead.
func TestClockGoesBack(t *testing.T) {
	w := newWorld(t)
	w.open()
	dir := t.TempDir()
	m := w.monitor(dir, "sponsor")
	ahead := w.clock.Now().Add(365 * 24 * time.Hour)
	now := w.clock.Now()
	m.cfg.Clock = func() time.Time { return ahead }
	look1(t, m)
	w.stop()
	m.cfg.Clock = func() time.Time { return now }
	if _, err := m.Look(t.Context()); err == nil {
		t.Fatal("got no error of a notary that is away")
	}
	now = now.Add(25 * time.Hour)
	r, err := m.Look(t.Context())
	if err == nil {
		t.Fatal("got no error of a notary that is away")
	}
	wantAlarms(t, r, KindStale)
}

// TestFirstEntryCounts takes a second entry of a statement for one without effect,
// and an earlier one, which the notary does not show, for undisclosed: a notary must
// not give a statement a later place than it had.
func TestFirstEntryCounts(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	m := w.monitor(t.TempDir(), "sponsor")
	shown := w.dataset(mia, "701")
	look1(t, m)
	parsed, err := receipt.Parse(shown.Bundle)
	must(t, err)
	e := ownEntry{receipt.LeafHash(parsed.Entry), receipt.EntryDigest(parsed.Envelope)}
	for index, want := range map[uint64]int{shown.Index - 1: 1, shown.Index + 1: 0} {
		l := &look{m: m, raised: map[string]bool{}, listed: map[uint64]trial.ID{shown.Index: shown.StatementID}}
		must(t, l.undisclosed(&found{own: map[uint64]ownEntry{index: e}}))
		if len(l.fresh) != want {
			t.Errorf("another entry at index %d of the one at %d: got %d alarms, want %d", index, shown.Index, len(l.fresh), want)
		}
	}
}
