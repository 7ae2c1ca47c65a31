package rpc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// fakeService is a notary in memory: it keeps the promises that the handlers
// rely on and fails on demand. The real one is used in real_test.go.
type fakeService struct {
	mu      sync.Mutex
	records map[trial.ID]*notary.Record
	names   map[string][]trial.ID // registry numbers
	size    uint64
	health  []notary.Condition
	closed  bool

	// before is asked first by Submit; it may block, fail or panic.
	before func(ctx context.Context, payload []byte) error
	// after is called once a submission was allowed; it may block.
	after func(st *trial.Statement)
	// fail is returned by every read.
	fail error
}

// fakePayload is what fakeService takes for a statement.
type fakePayload struct {
	Charter      string          `json:"charter"`
	Kind         string          `json:"kind"`
	Site         string          `json:"site"`
	Organisation string          `json:"organisation"`
	Nonce        string          `json:"nonce"`
	Subject      json.RawMessage `json:"subject"`
}

func newFakeService() *fakeService {
	return &fakeService{
		records: make(map[trial.ID]*notary.Record), names: make(map[string][]trial.ID),
		health: []notary.Condition{{Name: "log", OK: true, Detail: "writable"}},
	}
}

func (p fakePayload) bytes() []byte {
	p.Subject = fmt.Appendf(nil, `[{"name":"adsl.xpt","digest":{"sha256":%q}}]`, fileDigest)
	b, _ := json.Marshal(p)
	return b
}

func (p fakePayload) envelope() *trial.Envelope {
	return &trial.Envelope{PayloadType: trial.PayloadType, Payload: p.bytes(), Sig: []byte{1, 2, 3}}
}

func (p fakePayload) id() trial.ID { return sha256.Sum256(p.bytes()) }

// fakeStatement parses a payload.
func fakeStatement(payload []byte) (*trial.Statement, error) {
	var p fakePayload
	if err := json.Unmarshal(payload, &p); err != nil {
		return nil, &trial.Refusal{Reason: trial.ReasonMalformedStatement, Detail: "not JSON"}
	}
	st := &trial.Statement{ID: sha256.Sum256(payload), Payload: payload}
	st.Predicate.Kind, st.Predicate.Site = trial.Kind(p.Kind), p.Site
	if p.Kind == string(trial.KindCharter) {
		st.Predicate.Body = &trial.CharterBody{SponsorOrganisation: p.Organisation}
		return st, nil
	}
	var err error
	st.Predicate.Charter, err = trial.ParseID(p.Charter)
	if err != nil && p.Charter != "" {
		return nil, &trial.Refusal{Reason: trial.ReasonBadDigest, Path: "predicate.charter", Detail: err.Error()}
	}
	return st, nil
}

// put logs a statement.
func (f *fakeService) put(st *trial.Statement, env *trial.Envelope) *notary.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.records[st.ID]; ok {
		return r
	}
	r := &notary.Record{
		ID: st.ID, Envelope: *env, Charter: st.Predicate.Charter, Site: st.Predicate.Site, Kind: st.Predicate.Kind,
		Authority: st.Predicate.Kind.Authority(), Logged: true, Index: f.size,
		LogTime: time.Date(2026, 1, 2, 3, 4, int(f.size), 0, time.UTC),
	}
	if r.Kind == trial.KindCharter {
		r.Charter = r.ID
		n := fmt.Sprintf("NCT%08d", f.size)
		r.Registry = []string{n}
		f.names[n] = append(f.names[n], r.ID)
	}
	f.size++
	f.records[r.ID] = r
	return r
}

func (f *fakeService) SubmitForm(ctx context.Context, env *trial.Envelope, allow notary.Allow, form notary.Form) (*notary.Result, error) {
	if f.before != nil {
		if err := f.before(ctx, env.Payload); err != nil {
			return nil, err
		}
	}
	st, err := fakeStatement(env.Payload)
	if err != nil {
		return nil, err
	}
	if err := allow(st); err != nil {
		return nil, err
	}
	if f.after != nil {
		f.after(st)
	}
	if st.Predicate.Kind == trial.KindTimeMark {
		return nil, &trial.Refusal{Reason: trial.ReasonKindNotAllowed, Path: "predicate.kind", Detail: "only the notary itself logs time marks"}
	}
	return result(f.put(st, env)), nil
}

// Start keeps the promises of notary.Service.
func (f *fakeService) Start(ctx context.Context, sub notary.Submission) func(error) {
	var once sync.Once
	var asking sync.Mutex
	ended := false
	end := func(res *notary.Result, err error) {
		asking.Lock()
		ended = true
		asking.Unlock()
		once.Do(func() { sub.Done(res, err) })
	}
	allow := func(st *trial.Statement) error {
		asking.Lock()
		defer asking.Unlock()
		if ended {
			return context.Canceled
		}
		return sub.Allow(st)
	}
	go func() {
		var res *notary.Result
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = &notary.PanicError{Type: fmt.Sprintf("%T", p), Stack: debug.Stack()}
			}
			end(res, err)
		}()
		res, err = f.SubmitForm(ctx, sub.Envelope, allow, sub.Form)
	}()
	return func(cause error) { end(nil, cause) }
}

func result(r *notary.Record) *notary.Result {
	return &notary.Result{Record: r, Bundle: []byte(`{"bundle":"` + r.ID.String() + `"}`), Evidence: []byte(`{}`),
		EvidenceSHA256: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}
}

func (f *fakeService) Statement(_ context.Context, id trial.ID) (*notary.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if r, ok := f.records[id]; ok {
		return r, nil
	}
	return nil, notary.ErrNotFound
}

func (f *fakeService) Receipt(ctx context.Context, id trial.ID) (*notary.Result, error) {
	r, err := f.Statement(ctx, id)
	if err != nil {
		return nil, err
	}
	return result(r), nil
}

func (f *fakeService) List(_ context.Context, q notary.Query) ([]*notary.Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	var out []*notary.Record
	for _, r := range slices.SortedFunc(maps.Values(f.records), func(a, b *notary.Record) int { return cmp.Compare(a.Index, b.Index) }) {
		switch {
		case q.Charter != nil && r.Charter != *q.Charter, q.Site != "" && r.Site != q.Site, q.Kind != "" && r.Kind != q.Kind:
		case q.Digest != "" && q.Digest != fileDigest:
		case !q.From.IsZero() && r.LogTime.Before(q.From), !q.Until.IsZero() && !r.LogTime.Before(q.Until):
		case int64(r.Index) <= q.After || r.Index >= q.Below || len(out) == q.Limit || !shows(q.Visible, r):
		default:
			out = append(out, r)
		}
	}
	return out, nil
}

// shows is what the store does in SQL.
func shows(v *notary.Visible, r *notary.Record) bool {
	return v == nil || slices.ContainsFunc(v.Grants, func(g notary.VisibleGrant) bool {
		return (g.AllTrials || g.Charter == r.Charter) && (g.AllSites || r.Site == "" || r.Authority || slices.Contains(g.Sites, r.Site))
	})
}

func (f *fakeService) FindSubject(ctx context.Context, q notary.Query) ([]*notary.Record, error) {
	return f.List(ctx, q)
}

func (f *fakeService) Checkpoint() receipt.Checkpoint {
	f.mu.Lock()
	defer f.mu.Unlock()
	return receipt.Checkpoint{Origin: "notary.test", Size: f.size, Note: fmt.Appendf(nil, "notary.test\n%d\n", f.size)}
}

func (f *fakeService) TimeMark(_ context.Context, below uint64) (*notary.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if below == 0 {
		below = f.size
	}
	var last *notary.Record
	for _, r := range f.records {
		if r.Kind == trial.KindTimeMark && r.Index < below && (last == nil || r.Index > last.Index) {
			last = r
		}
	}
	if last == nil {
		return nil, notary.ErrNotFound
	}
	return result(last), nil
}

func (f *fakeService) Resolve(_ context.Context, name string) (trial.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return trial.ID{}, f.fail
	}
	if id, err := trial.ParseID(name); err == nil {
		if r := f.records[id]; r != nil && r.Kind == trial.KindCharter {
			return id, nil
		}
		return trial.ID{}, notary.ErrNotFound
	}
	switch ids := f.names[name]; len(ids) {
	case 0:
		return trial.ID{}, notary.ErrNotFound
	case 1:
		return ids[0], nil
	}
	return trial.ID{}, &trial.Refusal{Reason: trial.ReasonAmbiguousTrial, Path: "trial", Detail: "2 trials claim this registry number"}
}

func (f *fakeService) Trust(context.Context, trial.ID) (*receipt.Trust, error) {
	return nil, notary.ErrUnavailable // the real service has one
}

func (f *fakeService) ReadTrial(context.Context, notary.ViewQuery, func(*notary.TrialView) error) error {
	return notary.ErrUnavailable // the real service has one
}

func (f *fakeService) LogSize() uint64 { return f.Checkpoint().Size }

func (f *fakeService) Verify(_ context.Context, _ trial.ID, bundle, _ []byte, files []receipt.File) (*receipt.Verdict, error) {
	if bundle[0] != '{' {
		return nil, notary.ErrNotReceipt
	}
	v := &receipt.Verdict{Summary: "not verified", Checks: []receipt.Check{{Name: receipt.CheckEntry, Outcome: receipt.Failed, Detail: "got another entry"}}}
	for _, f := range files {
		v.Files = append(v.Files, receipt.FileResult{Name: f.Name, Outcome: receipt.NotNotarized})
	}
	return v, nil
}

func (f *fakeService) Health(context.Context) []notary.Condition {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.health)
}

func (f *fakeService) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

// fakeUsers are users in memory.
type fakeUsers struct {
	mu      sync.Mutex
	byToken map[[32]byte]string
	byCert  map[string]string
	users   map[string]*User
	fail    error
}

func (f *fakeUsers) get(name string, ok bool) (*User, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	u := f.users[name]
	if !ok || u == nil {
		return nil, notary.ErrNotFound
	}
	copied := *u
	copied.Grants = slices.Clone(u.Grants)
	return &copied, nil
}

func (f *fakeUsers) UserByToken(_ context.Context, hash [32]byte) (*User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, ok := f.byToken[hash]
	return f.get(name, ok)
}

func (f *fakeUsers) UserByCert(_ context.Context, cert string) (*User, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name, ok := f.byCert[cert]
	return f.get(name, ok)
}

func (f *fakeUsers) GrantTrial(_ context.Context, user string, charter trial.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return f.fail
	}
	f.users[user].Grants = append(f.users[user].Grants, Grant{Role: RoleSponsor, Trial: charter})
	return nil
}

func (f *fakeUsers) remove(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.users, name)
}

// fakeRefusals keeps refusals in memory.
type fakeRefusals struct {
	mu  sync.Mutex
	all []Refused
}

func (f *fakeRefusals) RecordRefusals(_ context.Context, refused []Refused) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all = append(f.all, refused...)
	return nil
}

// fakeTiles has two files and remembers what it was asked for.
type fakeTiles struct {
	mu    sync.Mutex
	asked []string
	large []byte // tile/entries/000
}

func (f *fakeTiles) ReadFile(path string) ([]byte, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, path)
	switch path {
	case "checkpoint":
		return []byte("notary.test\n1\n"), false, nil
	case "tile/entries/000":
		if f.large != nil {
			return f.large, true, nil
		}
	case "tile/0/000":
		return []byte("tile"), true, nil
	}
	return nil, false, fs.ErrNotExist
}
