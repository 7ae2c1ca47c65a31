package monitor

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

const origin = "monitor.notary.example"

// clock is set by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }

// signer signs C2SP notes.
type signer struct {
	note.Verifier
	key ed25519.PrivateKey
}

func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// world is a real notary on loopback, with the clock of the test, and one trial.
type world struct {
	t     testing.TB
	dir   string
	clock *clock

	logKey   receipt.LogKey
	signer   signer
	key      crypto.Signer // the notary's statement key
	store    *store.Store
	log      *tesseralog.Log
	service  *notary.Service
	rpc      *rpc.Server
	served   chan error
	grpcAddr string
	httpAddr string
	up       bool
	// tokens are the users' token files.
	tokens map[string]string

	sponsor, recovery crypto.Signer
	trust             *receipt.Trust
	own               *client.Client // of the sponsor, to submit with
	n                 int
}

var start = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{t: tb, dir: filepath.Join(tb.TempDir(), "notary"), clock: &clock{now: start}, tokens: map[string]string{}}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	w.logKey, err = receipt.NewLogKey(origin, priv.Public().(ed25519.PublicKey))
	must(tb, err)
	w.signer = signer{w.logKey.Verifier(), priv}
	w.key, err = trial.GenerateKey()
	must(tb, err)
	must(tb, os.MkdirAll(w.dir, 0o755))
	must(tb, store.Create(filepath.Join(w.dir, "notary.db")))
	must(tb, tesseralog.Create(context.Background(), filepath.Join(w.dir, "log"), w.signer))
	w.start()
	tb.Cleanup(func() {
		if w.up {
			w.stop()
		}
	})
	w.user("sponsor", store.Grant{Role: store.RoleSponsor, Organisation: "Example Pharma"})
	w.own = w.dial("sponsor", filepath.Join(tb.TempDir(), "state"))
	return w
}

func (w *world) start() {
	w.t.Helper()
	ctx := context.Background()
	var err error
	w.store, err = store.Open(filepath.Join(w.dir, "notary.db"))
	must(w.t, err)
	w.log, err = tesseralog.Open(ctx, tesseralog.Config{
		Dir: filepath.Join(w.dir, "log"), Signer: w.signer, Verifier: w.logKey.Verifier(), Marks: w.store,
		CheckpointInterval: 100 * time.Millisecond,
	})
	must(w.t, err)
	w.service, err = notary.Open(ctx, notary.Config{
		Log: w.log, Store: w.store, Key: w.key, LogKey: w.logKey, Policy: fmt.Appendf(nil, "log %s\nquorum none\n", w.logKey.VKey()),
		Clock: w.clock.Now, ClockJump: -1, ClockGap: -1,
	})
	must(w.t, err)
	w.rpc, err = rpc.New(rpc.Config{Service: w.service, Users: users{w.store}, Tiles: w.log})
	must(w.t, err)
	l := rpc.Listeners{GRPC: listen(w.t, w.grpcAddr), HTTP: listen(w.t, w.httpAddr)}
	w.grpcAddr, w.httpAddr = l.GRPC.Addr().String(), l.HTTP.Addr().String()
	w.served = make(chan error, 1)
	go func() { w.served <- w.rpc.Serve(l) }()
	w.up = true
}

func listen(tb testing.TB, addr string) net.Listener {
	tb.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return l
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // another test's connection may have the port for a moment
	}
}

func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := w.rpc.Shutdown(ctx)
	must(w.t, errors.Join(err, <-w.served, w.service.Close(ctx), w.log.Close(ctx), w.store.Close()))
	w.up = false
}

// save copies the notary's folder, restore puts a copy in its place.
func (w *world) save() string {
	w.t.Helper()
	to := filepath.Join(w.t.TempDir(), "copy")
	must(w.t, os.CopyFS(to, os.DirFS(w.dir)))
	return to
}

func (w *world) restore(from string) {
	w.t.Helper()
	must(w.t, os.RemoveAll(w.dir))
	must(w.t, os.CopyFS(w.dir, os.DirFS(from)))
}

type users struct{ *store.Store }

func (u users) UserByToken(ctx context.Context, hash [32]byte) (*rpc.User, error) {
	return toUser(u.Store.UserByToken(ctx, hash))
}

func (u users) UserByCert(ctx context.Context, name string) (*rpc.User, error) {
	return toUser(u.Store.UserByCert(ctx, name))
}

func (u users) Grant(ctx context.Context, user string, charter trial.ID) error {
	return u.GrantTrial(ctx, user, charter)
}

func toUser(u *store.User, err error) (*rpc.User, error) {
	if err != nil {
		return nil, err
	}
	out := &rpc.User{Name: u.Name}
	for _, g := range u.Grants {
		out.Grants = append(out.Grants, rpc.Grant{Role: rpc.Role(g.Role), Organisation: g.Organisation, Trial: g.Trial, Sites: g.Sites})
	}
	return out, nil
}

func (w *world) user(name string, g store.Grant) {
	w.t.Helper()
	token, hash := rpc.NewToken()
	must(w.t, w.store.AddUser(context.Background(), store.User{Name: name, TokenHash: hash, Grants: []store.Grant{g}}))
	path := filepath.Join(w.t.TempDir(), name+".token")
	must(w.t, os.WriteFile(path, []byte(token+"\n"), 0o600))
	w.tokens[name] = path
}

// dial returns a user's client with a state folder of its own.
func (w *world) dial(user, state string) *client.Client {
	return w.dialAt(user, state, "http://"+w.httpAddr)
}

func (w *world) dialAt(user, state, tiles string) *client.Client {
	w.t.Helper()
	s, err := client.OpenState(state)
	must(w.t, err)
	c, err := client.Dial(w.grpcAddr, client.Options{
		TokenFile: w.tokens[user], Insecure: true, State: s, Tiles: tiles, Attempts: 2,
	})
	must(w.t, err)
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// holder is an enrolled key.
type holder struct {
	key  crypto.Signer
	body *trial.EnrolmentBody
}

func newKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	k, err := trial.GenerateKey()
	must(tb, err)
	return k
}

func public(tb testing.TB, k crypto.Signer) *trial.PublicKey {
	tb.Helper()
	p, err := trial.NewPublicKey(k.Public())
	must(tb, err)
	return p
}

// open creates the trial of two sites, with one data manager, who is returned.
func (w *world) open() *holder { return w.openBy(rules.Default().Digest) }

// openBy is open with a charter that names this pack, or none.
func (w *world) openBy(pack string) *holder {
	w.t.Helper()
	ctx := context.Background()
	w.sponsor, w.recovery = newKey(w.t), newKey(w.t)
	body := &trial.CharterBody{
		SponsorKey: public(w.t, w.sponsor), RecoveryKey: public(w.t, w.recovery), SponsorOrganisation: "Example Pharma",
		Sites: []trial.Site{{ID: "701", Name: "Charité"}, {ID: "704", Name: "North"}}, RulePack: pack,
	}
	var err error
	body.SponsorProof, err = trial.SignPossession(w.sponsor, trial.ID{}, body)
	must(w.t, err)
	body.RecoveryProof, err = trial.SignPossession(w.recovery, trial.ID{}, body)
	must(w.t, err)
	d := &client.Draft{
		Subjects: []trial.Subject{{Name: "sponsor-key", Digests: trial.SHA256(public(w.t, w.sponsor).ID)}},
		Predicate: trial.Predicate{
			Kind: trial.KindCharter, Meaning: trial.MeaningApproval, Body: body,
			Signer: trial.Signer{KeyID: public(w.t, w.sponsor).ID, Name: "Ada", Role: trial.RoleSponsor, Organisation: "Example Pharma"},
		},
	}
	env, err := d.Sign(w.sponsor, w.clock.Now(), "UTC")
	must(w.t, err)
	_, w.trust, err = w.own.CreateTrial(ctx, env)
	must(w.t, err)
	return w.enrol("mia", trial.OrganisationSponsor)
}

// enrol enrols a new key, for all sites where none is given.
func (w *world) enrol(id string, org trial.OrganisationType, sites ...string) *holder {
	w.t.Helper()
	h := &holder{key: newKey(w.t), body: &trial.EnrolmentBody{
		HolderID: id, Holder: trial.HolderPerson, Name: "Name of " + id, Organisation: "Organisation of " + id, OrganisationType: org,
		Roles: []trial.Role{trial.RoleDataManager}, Sites: sites, AllSites: len(sites) == 0,
		Kinds: []trial.Kind{trial.KindDataset, trial.KindDatabaseLock},
	}}
	if org == trial.OrganisationSite {
		h.body.Roles = []trial.Role{trial.RoleInvestigator}
		h.body.Kinds = []trial.Kind{trial.KindDataset, trial.KindEndorsement}
	}
	h.body.Key = public(w.t, h.key)
	var err error
	h.body.Proof, err = trial.SignPossession(h.key, w.trust.Charter, h.body)
	must(w.t, err)
	d, err := client.NewDraft(w.trust, nil, public(w.t, w.sponsor), "")
	must(w.t, err)
	d.Subjects = []trial.Subject{{Name: "key", Digests: trial.SHA256(h.body.Key.ID)}}
	d.Predicate.Kind, d.Predicate.Meaning, d.Predicate.Body = trial.KindKeyEnrolment, trial.MeaningApproval, h.body
	w.submit(w.sponsor, d)
	w.trust, err = w.own.FetchTrust(context.Background(), w.trust.Charter.String())
	must(w.t, err)
	return h
}

func (w *world) submit(key crypto.Signer, d *client.Draft) *client.Receipt {
	w.t.Helper()
	env, err := d.Sign(key, w.clock.Now(), "UTC")
	must(w.t, err)
	r, err := w.own.Submit(context.Background(), w.trust, env)
	must(w.t, err)
	return r
}

// dataset submits a dataset about a site.
func (w *world) dataset(h *holder, site string) *client.Receipt {
	w.t.Helper()
	w.n++
	d, err := client.NewDraft(w.trust, nil, h.body.Key, "")
	must(w.t, err)
	d.Subjects = []trial.Subject{{Name: fmt.Sprintf("dm%d.csv", w.n), Digests: trial.SHA256(sha256.Sum256(fmt.Append(nil, w.n)))}}
	d.Predicate.Kind, d.Predicate.Meaning, d.Predicate.Site = trial.KindDataset, trial.MeaningAuthorship, site
	d.Predicate.Body = &trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeRoutine, Dataset: "DM"}
	return w.submit(h.key, d)
}

// monitor opens a monitor in dir, as a user.
func (w *world) monitor(dir, user string, change ...func(*Config)) *Monitor {
	w.t.Helper()
	cfg := Config{Client: w.dial(user, filepath.Join(dir, "client")), Trust: w.trust, Dir: dir, Clock: w.clock.Now}
	for _, c := range change {
		c(&cfg)
	}
	m, err := Open(cfg)
	must(w.t, err)
	return m
}

// look looks and demands that it could.
func look1(tb testing.TB, m *Monitor) *Report {
	tb.Helper()
	r, err := m.Look(context.Background())
	must(tb, err)
	return r
}

// wantAlarms demands exactly open alarms of these kinds, in the order in which they
// were raised.
func wantAlarms(tb testing.TB, r *Report, want ...Kind) {
	tb.Helper()
	var got []string
	for _, a := range r.Alarms {
		got = append(got, string(a.Kind)+": "+a.Detail)
	}
	if len(got) != len(want) {
		tb.Fatalf("got %d open alarms, want %v:\n%s", len(got), want, strings.Join(got, "\n"))
	}
	for i, k := range want {
		if r.Alarms[i].Kind != k {
			tb.Errorf("alarm %d: got %s, want %s", i, got[i], k)
		}
	}
}

// webhook collects what it is told, and refuses while it is down.
type webhook struct {
	mu     sync.Mutex
	down   bool
	got    []string
	header []http.Header
}

func (h *webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		rw.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	b := make([]byte, 1<<16)
	n, _ := r.Body.Read(b)
	h.got, h.header = append(h.got, string(b[:n])), append(h.header, r.Header)
}
