package monitor

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary/store"
)

// TestWebhook tells of a new alarm once, keeps it while nobody listens, across a
// restart too, and sends nothing of the trial beyond ids.
func TestWebhook(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.user("narrow", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	hook := &webhook{down: true}
	srv := httptest.NewServer(hook)
	defer srv.Close()
	dir := t.TempDir()
	with := func(c *Config) { c.Webhook = &Webhook{URL: srv.URL, Token: "secret"} }
	m := w.monitor(dir, "narrow", with)
	w.dataset(mia, "704")
	r := look1(t, m)
	wantAlarms(t, r, KindUndisclosed)
	if r.Queued != 1 {
		t.Errorf("got %d in the queue, want 1", r.Queued)
	}
	m = w.monitor(dir, "narrow", with)
	hook.mu.Lock()
	hook.down = false
	hook.mu.Unlock()
	if r = look1(t, m); r.Queued != 1 || len(hook.got) != 0 {
		t.Errorf("got %d in the queue and %v, want that it waits", r.Queued, hook.got)
	}
	w.clock.Add(webhookFirst)
	if r = look1(t, m); r.Queued != 0 || len(hook.got) != 1 {
		t.Fatalf("got %d in the queue and %v, want it sent", r.Queued, hook.got)
	}
	w.clock.Add(time.Hour)
	look1(t, m)
	if len(hook.got) != 1 {
		t.Errorf("got it %d times, want once", len(hook.got))
	}
	for _, want := range []string{`"kind":"entry-undisclosed"`, `"trial":"` + w.trust.Charter.String(), `"alarm":"` + r.Alarms[0].ID} {
		if !strings.Contains(hook.got[0], want) {
			t.Errorf("got %s, want %s in it", hook.got[0], want)
		}
	}
	if strings.Contains(hook.got[0], "detail") {
		t.Errorf("got %s, want no detail", hook.got[0])
	}
	if h := hook.header[0]; h.Get("Authorization") != "Bearer secret" || h.Get("Idempotency-Key") == "" || h.Get("Content-Type") != "application/json" {
		t.Errorf("got the header %v", h)
	}
}

// TestWebhookDetail sends the words on demand.
func TestWebhookDetail(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.user("narrow", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	hook := &webhook{}
	srv := httptest.NewServer(hook)
	defer srv.Close()
	w.dataset(mia, "704")
	look1(t, w.monitor(t.TempDir(), "narrow", func(c *Config) { c.Webhook = &Webhook{URL: srv.URL, Detail: true} }))
	if len(hook.got) != 1 || !strings.Contains(hook.got[0], "signed by an enrolled key") {
		t.Errorf("got %v, want the words", hook.got)
	}
}

func TestWebhookAddresses(t *testing.T) {
	for _, good := range []Webhook{{URL: "https://hooks.example/x"}, {URL: "http://127.0.0.1:1/x"}, {URL: "http://[::1]:1/"}, {URL: "http://hooks.example/", AnyHTTP: true}} {
		if err := good.check(); err != nil {
			t.Errorf("%s: got %v, want no error", good.URL, err)
		}
	}
	for _, bad := range []string{"", "hooks.example", "ftp://hooks.example/", "http://hooks.example/", "https://u:p@hooks.example/", "https://"} {
		if err := (&Webhook{URL: bad}).check(); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}

// TestTwoAtOnce lets two monitors look at the same time, again and again: each
// statement and each alarm counts once.
func TestTwoAtOnce(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.user("narrow", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	hook := &webhook{}
	srv := httptest.NewServer(hook)
	defer srv.Close()
	for i := range 8 {
		w.dataset(mia, []string{"701", "704"}[i%2])
	}
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 3 {
		m := w.monitor(dir, "narrow", func(c *Config) { c.Step, c.Webhook = 2, &Webhook{URL: srv.URL} })
		all.Go(func() {
			for range 4 {
				if _, err := m.Look(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	r := look1(t, w.monitor(dir, "narrow"))
	if r.Statements != 6 || len(r.Alarms) != 4 || r.New != 0 {
		t.Errorf("got %d statements and %d alarms, want 6 and 4", r.Statements, len(r.Alarms))
	}
	if len(hook.got) != 4 {
		t.Errorf("got %d messages, want 4", len(hook.got))
	}
	// All of the journal's lines are whole.
	lines, err := readJournal(w.monitor(dir, "narrow").path(journalFile))
	must(t, err)
	if len(lines) != 6 {
		t.Errorf("got %d lines, want 6", len(lines))
	}
}

// TestMovedOn overwrites no state that another has written, where no lock kept it
// away.
func TestMovedOn(t *testing.T) {
	w := newWorld(t)
	w.open()
	dir := t.TempDir()
	a, b := w.monitor(dir, "sponsor"), w.monitor(dir, "sponsor")
	must(t, a.refresh())
	look1(t, b)
	a.doc.Scanned = 0
	if err := a.save(); !errors.Is(err, ErrMovedOn) {
		t.Fatalf("got %v, want ErrMovedOn", err)
	}
	if r := look1(t, a); r.New != 0 || r.Statements != 2 {
		t.Errorf("got %+v, want what the other left", r)
	}
	// One that works all the while is waited for, and no longer than is said.
	unlock, err := a.lock(t.Context())
	must(t, err)
	b.cfg.LockWait = 50 * time.Millisecond
	if _, err := b.Look(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	must(t, unlock())
}
