package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

// retold is the example trial of the shared data, told to a real server by its
// timeline. The server's clock is the test's.
type retold struct {
	t        *testing.T
	s        *story
	now      atomic.Pointer[time.Time]
	timeline *timeline.Timeline
	steps    []timeline.Step
	callers  map[string]*caller
	charter  trial.ID
	// given are the receipts as they were acknowledged, one for each step.
	given []*notaryv1.Receipt
	// along is what the server said in between.
	along []*asked
}

// demoData reads a file of the worked example beside the repository.
func demoData(name string) ([]byte, error) {
	up := []string{"..", ".."}
	for range 2 { // a worktree lies one folder deeper
		up = append(up, "..")
		path := filepath.Join(append(slices.Clone(up), "shared", "data", "demo", filepath.FromSlash(name))...)
		if b, err := os.ReadFile(path); !errors.Is(err, os.ErrNotExist) {
			return b, err
		}
	}
	return nil, fmt.Errorf("no ../shared/data/demo/%s here: %w", name, os.ErrNotExist)
}

// newRetold writes the story's statements and starts a server for them.
func newRetold(t *testing.T) *retold {
	t.Helper()
	text, err := demoData("timeline.json")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	}
	r := &retold{t: t, callers: map[string]*caller{}}
	r.must(err)
	r.timeline, err = timeline.Parse(text)
	r.must(err)
	r.steps, err = timeline.Write(r.timeline, timeline.Options{Pack: rules.Default().Digest, Read: demoData})
	r.must(err)
	r.charter = r.steps[0].Statement.ID
	file := newNotary(t)
	config, err := LoadConfig(file)
	r.must(err)
	config.Times.ClockJump, config.Times.ClockGap, config.Times.FullCheck = -1, -1, -1 // a story of three years
	r.s = &story{config: config, dir: filepath.Dir(file), logger: zap.NewNop()}
	r.must(os.Mkdir(r.s.path("tokens"), 0o700))
	r.set(r.steps[0].At)
	r.start()
	t.Cleanup(func() { r.must(r.s.stop(context.WithoutCancel(t.Context()))) })
	return r
}

func (r *retold) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *retold) set(now time.Time) { r.now.Store(&now) }

func (r *retold) start() {
	r.t.Helper()
	server, err := start(context.WithoutCancel(r.t.Context()), r.s.config, r.s.logger, func() time.Time { return *r.now.Load() })
	r.must(err)
	r.s.server = server
	r.s.config.Listen.GRPC, r.s.config.Listen.HTTP = server.grpcAddr, server.httpAddr
}

// restart ends the server as an operator does, and starts it again.
func (r *retold) restart() {
	r.t.Helper()
	r.must(r.s.stop(context.WithoutCancel(r.t.Context())))
	r.start()
	for user := range r.callers {
		r.callers[user] = r.s.caller(r.t, user)
	}
}

// as returns the caller of a user, who is made with the flags where there are any.
func (r *retold) as(user string, flags ...string) *caller {
	r.t.Helper()
	if c := r.callers[user]; c != nil {
		return c
	}
	args := append([]string{"user", "add", "--config", r.s.path("notaryd.yaml"), "--token-out", r.s.path("tokens", user), user}, flags...)
	if code, _, stderr := notaryd(r.t, args...); code != exitOK {
		r.t.Fatalf("user add %s: exit status %d: %s", user, code, stderr)
	}
	r.callers[user] = r.s.caller(r.t, user)
	return r.callers[user]
}

// sponsor is the user who opens the trial, and who reads everything of it.
func (r *retold) sponsor() *caller {
	return r.as("sponsor", "--role", "sponsor", "--organisation", r.steps[0].Statement.Predicate.Signer.Organisation)
}

func (r *retold) site(id string) *caller {
	return r.as("site-"+id, "--role", "site", "--trial", r.charter.String(), "--site", id)
}

// tellAsking does so, and asks the server what is the case in between: whoever sees
// all of the trial at other moments than a site.
func (r *retold) tellAsking(from, to int) {
	r.t.Helper()
	for i := from; i < to; i++ {
		r.tell(i, i+1)
		for user, every := range map[string]int{"sponsor": 7, "site-701": 11} {
			if i%every == 0 && r.callers[user] != nil {
				r.along = append(r.along, r.ask(r.t, user, 0))
			}
		}
	}
}

// tell submits the steps from one on up to another, in their order and each at its
// time: what is about a site by a user of the site.
func (r *retold) tell(from, to int) {
	r.t.Helper()
	for _, s := range r.steps[from:to] {
		r.set(s.At)
		by := r.sponsor()
		if site := s.Statement.Predicate.Site; site != "" {
			by = r.site(site)
		}
		resp, err := by.api.Submit(by.ctx(), &notaryv1.SubmitRequest{Envelope: wire(s.Envelope)})
		if err != nil {
			r.t.Fatalf("event %d: a statement of kind %s: %v", s.Event, s.Statement.Predicate.Kind, err)
		}
		r.given = append(r.given, resp.GetReceipt())
	}
}

// list reads a view page by page.
func (r *retold) list(by *caller, page int32) (all []*notaryv1.Statement) {
	r.t.Helper()
	req := &notaryv1.ListStatementsRequest{Trial: r.charter.String(), PageSize: page}
	for {
		resp, err := by.api.ListStatements(by.ctx(), req)
		r.must(err)
		all = append(all, resp.GetStatements()...)
		next := resp.GetNextPageToken()
		if next == "" {
			return all
		}
		req.PageToken = next
	}
}

// read returns what a caller may see of the trial, each statement out of its receipt,
// and the receipts.
func (r *retold) read(by *caller) (view []trial.Logged, receipts []*notaryv1.Receipt) {
	r.t.Helper()
	for _, listed := range r.list(by, 37) {
		resp, err := by.api.GetReceipt(by.ctx(), &notaryv1.GetReceiptRequest{StatementId: listed.GetStatementId()})
		r.must(err)
		got := resp.GetReceipt()
		st := r.statement(got)
		if st.ID.String() != listed.GetStatementId() || got.GetLogIndex() != listed.GetLogIndex() {
			r.t.Fatalf("listed as %s at %d, its receipt is of %s at %d", listed.GetStatementId(), listed.GetLogIndex(), st.ID, got.GetLogIndex())
		}
		view = append(view, trial.Logged{Statement: st, Index: got.GetLogIndex(), Time: listed.GetLogTime().AsTime()})
		receipts = append(receipts, got)
	}
	return view, receipts
}

func (r *retold) statement(got *notaryv1.Receipt) *trial.Statement {
	r.t.Helper()
	parsed, err := receipt.Parse([]byte(got.GetBundle()))
	r.must(err)
	st, err := trial.ParseStatement(parsed.Envelope.Payload)
	r.must(err)
	return st
}

// marks reads every time mark of the log, the first one first.
func (r *retold) marks(by *caller) (marks []trial.Logged) {
	r.t.Helper()
	for below := r.size(by); below > 0; below = marks[len(marks)-1].Index {
		resp, err := by.api.GetTimeMark(by.ctx(), &notaryv1.GetTimeMarkRequest{Below: below})
		r.must(err)
		st := r.statement(resp.GetReceipt())
		body, ok := st.Predicate.Body.(*trial.TimeMarkBody)
		if !ok {
			r.t.Fatalf("got a statement of kind %s, want a time mark", st.Predicate.Kind)
		}
		marks = append(marks, trial.Logged{Statement: st, Index: resp.GetReceipt().GetLogIndex(), Time: body.Time})
	}
	slices.Reverse(marks)
	return marks
}

func (r *retold) size(by *caller) uint64 {
	r.t.Helper()
	resp, err := by.api.GetCheckpoint(by.ctx(), &notaryv1.GetCheckpointRequest{})
	r.must(err)
	return resp.GetSize()
}

// fold computes the findings of a site's view, or of the whole trial where site is
// empty, at a size of the log, as anyone can who holds it.
func fold(site string, view, marks []trial.Logged, size uint64) (*rules.Engine, error) {
	body, ok := view[0].Statement.Predicate.Body.(*trial.CharterBody)
	if !ok {
		return nil, errors.New("the view does not begin with a charter")
	}
	program, err := rules.NewPacks().Program(body)
	if err != nil {
		return nil, err
	}
	engine, err := rules.NewEngine(view[0], program)
	if err != nil {
		return nil, err
	}
	if site != "" {
		engine.Withhold()
	}
	for _, l := range below(logOrder(view[1:], marks, view[0].Index), size) {
		if _, err := engine.Apply(l); err != nil {
			return nil, fmt.Errorf("entry %d: %w", l.Index, err)
		}
	}
	return engine, nil
}

// logOrder returns statements and time marks behind the charter in one order.
func logOrder(view, marks []trial.Logged, charter uint64) []trial.Logged {
	all := slices.Concat(view, marks)
	slices.SortFunc(all, func(a, b trial.Logged) int { return cmp.Compare(a.Index, b.Index) })
	return all[len(below(all, charter)):]
}

// verifyOffline judges a receipt without the server.
func verifyOffline(verifier *receipt.Verifier, got *notaryv1.Receipt) error {
	parsed, err := receipt.Parse([]byte(got.GetBundle()))
	if err != nil {
		return err
	}
	evidence, err := receipt.ParseEvidence([]byte(got.GetEvidence()))
	if err != nil {
		return err
	}
	if v := verifier.Verify(parsed, evidence, nil); !v.Verified {
		return errors.New(v.Summary)
	}
	return nil
}

// trust fetches the trial's trust folder.
func (r *retold) trust(by *caller) *receipt.Trust {
	r.t.Helper()
	resp, err := by.api.GetTrustMaterial(by.ctx(), &notaryv1.GetTrustMaterialRequest{Trial: r.charter.String()})
	r.must(err)
	files := map[string][]byte{}
	for _, f := range resp.GetFiles() {
		files[f.GetPath()] = f.GetContent()
	}
	if want := r.steps[0].Statement.Predicate.Body; !bytes.Equal(files["sponsor.pub"], want.(*trial.CharterBody).SponsorKey.PEM()) {
		r.t.Error("the trust folder has another sponsor's key than the charter")
	}
	trust, err := receipt.ParseTrust(files)
	r.must(err)
	return trust
}
