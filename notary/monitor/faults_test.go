package monitor

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial"
)

// TestRolledBack restores an older copy of log and database: the alarm comes once,
// stays, and ends when somebody acknowledges it.
func TestRolledBack(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	dir := t.TempDir()
	m := w.monitor(dir, "sponsor")
	w.stop()
	older := w.save()
	w.start()
	w.dataset(mia, "701")
	look1(t, m)
	w.stop()
	w.restore(older)
	w.start()
	r := look1(t, m)
	wantAlarms(t, r, KindRolledBack)
	if len(r.Fresh) != 1 || !r.Wrong() {
		t.Errorf("got %d new alarms, want 1", len(r.Fresh))
	}
	id := r.Alarms[0].ID
	m = w.monitor(dir, "sponsor")
	if r = look1(t, m); len(r.Fresh) != 0 {
		t.Errorf("got the old alarm as a new one: %+v", r.Fresh)
	}
	wantAlarms(t, r, KindRolledBack)
	// Both signed notes are kept: together they prove it.
	notes, err := filepath.Glob(filepath.Join(dir, conflictsDir, "*.checkpoint"))
	must(t, err)
	for _, path := range notes {
		text, err := os.ReadFile(path)
		must(t, err)
		_, err = receipt.OpenCheckpoint(text, w.logKey)
		must(t, err)
	}
	if len(notes) != 2 {
		t.Errorf("got %d checkpoints kept, want 2", len(notes))
	}
	if err := m.Acknowledge(t.Context(), "0000000000000000", ""); !errors.Is(err, ErrNoAlarm) {
		t.Errorf("got %v, want ErrNoAlarm", err)
	}
	must(t, m.Acknowledge(t.Context(), id, "told the sponsor"))
	r = look1(t, m)
	wantAlarms(t, r)
	if len(r.Fresh) != 0 {
		t.Errorf("got an acknowledged alarm as a new one: %+v", r.Fresh)
	}
}

// TestForked lets the log grow to another history of the same key.
func TestForked(t *testing.T) {
	for name, more := range map[string]int{"as large": 1, "larger": 3} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			mia := w.open()
			m := w.monitor(t.TempDir(), "sponsor")
			w.stop()
			older := w.save()
			w.start()
			w.dataset(mia, "701")
			before := look1(t, m)
			w.stop()
			w.restore(older)
			w.start()
			w.own = w.dial("sponsor", filepath.Join(t.TempDir(), "state")) // has not seen it
			for range more {
				w.dataset(mia, "704")
			}
			r := look1(t, m)
			wantAlarms(t, r, KindForked)
			if r.LogSize != before.LogSize || r.Root != before.Root {
				t.Errorf("got a trusted log of %d entries, want the %d seen before", r.LogSize, before.LogSize)
			}
			if r = look1(t, m); len(r.Fresh) != 0 {
				t.Errorf("got the old alarm as a new one: %+v", r.Fresh)
			}
		})
	}
}

// TestHiddenStatement follows a notary that does not show what an enrolled key
// signed: here one that shows the caller a site's view.
func TestHiddenStatement(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.user("narrow", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	dir := t.TempDir()
	m := w.monitor(dir, "narrow")
	w.dataset(mia, "701")
	hidden := w.dataset(mia, "704")
	r := look1(t, m)
	wantAlarms(t, r, KindUndisclosed)
	if got := r.Alarms[0].Index; got == nil || *got != hidden.Index {
		t.Errorf("got the alarm %+v, want one about index %d", r.Alarms[0], hidden.Index)
	}
	if r = look1(t, m); len(r.Fresh) != 0 {
		t.Errorf("got the old alarm as a new one: %+v", r.Fresh)
	}
	// Once it is shown, the alarm is resolved and the statement folded.
	whole := w.monitor(dir, "sponsor")
	r = look1(t, whole)
	wantAlarms(t, r)
	if r.Statements != 4 || r.Findings == nil || r.Findings.All != 2 {
		t.Errorf("got %d statements and findings %+v, want 4 and 2", r.Statements, r.Findings)
	}
	// What was shown once and is no more is an alarm too.
	r = look1(t, w.monitor(dir, "narrow"))
	wantAlarms(t, r, KindWithheld)
	if r.Alarms[0].Statement != hidden.StatementID.String() {
		t.Errorf("got %+v, want statement %s", r.Alarms[0], hidden.StatementID)
	}
	wantAlarms(t, look1(t, w.monitor(dir, "sponsor")))
}

// TestSitesView lets a site's monitor see no alarm in what other sites sign, and
// each enrolment in the site's name.
func TestSitesView(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.user("site", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	anna := w.enrol("anna", trial.OrganisationSite, "701")
	ben := w.enrol("ben", trial.OrganisationSite, "704")
	dir := t.TempDir()
	m := w.monitor(dir, "site", func(c *Config) { c.Site = "701" })
	w.dataset(mia, "704")
	w.dataset(anna, "701")
	w.dataset(ben, "704")
	r := look1(t, m)
	wantAlarms(t, r, KindEnrolment)
	if r.Statements != 5 { // charter, three enrolments, anna's
		t.Errorf("got %d statements, want 5", r.Statements)
	}
	must(t, m.Acknowledge(t.Context(), r.Alarms[0].ID, "Anna is ours"))
	wantAlarms(t, look1(t, m))
	w.enrol("eve", trial.OrganisationSponsor, "701", "704")
	r = look1(t, m)
	wantAlarms(t, r, KindEnrolment)
	// The folder is for one view.
	_, err := Open(Config{Client: w.own, Trust: w.trust, Dir: dir})
	if !errors.Is(err, ErrOtherTrial) {
		t.Errorf("got %v, want ErrOtherTrial", err)
	}
}

// TestStale lets a notary be away, and a log rest, for too long.
func TestStale(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	dir := t.TempDir()
	m := w.monitor(dir, "sponsor", func(c *Config) { c.MaxAge, c.ExpectGrowth = 24*time.Hour, 72*time.Hour })
	wantAlarms(t, look1(t, m))
	w.stop()
	w.clock.Add(23 * time.Hour)
	r, err := m.Look(t.Context())
	if err == nil || r == nil || r.Error == "" {
		t.Fatalf("got %+v and %v, want an error", r, err)
	}
	wantAlarms(t, r)
	w.clock.Add(2 * time.Hour)
	r, err = m.Look(t.Context())
	if err == nil || r == nil {
		t.Fatalf("got %+v and %v, want an error", r, err)
	}
	wantAlarms(t, r, KindStale)
	w.start()
	r = look1(t, m)
	wantAlarms(t, r)
	w.clock.Add(48 * time.Hour)
	wantAlarms(t, look1(t, m), KindStale) // 73 h without an entry
	w.dataset(mia, "701")
	wantAlarms(t, look1(t, m))
}

// TestDamagedLogFiles flips a bit of an entry in a mirror of the log: what is not
// under the signed root is not believed.
func TestDamagedLogFiles(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.dataset(mia, "701")
	for name, damage := range map[string]func(path string, b []byte) []byte{
		"a bit of an entry": func(path string, b []byte) []byte {
			if strings.HasPrefix(path, "/tile/entries/") {
				b[len(b)/2] ^= 1
			}
			return b
		},
		"an entry's length": func(path string, b []byte) []byte {
			if strings.HasPrefix(path, "/tile/entries/") {
				b[0] ^= 1
			}
			return b
		},
		"a hash": func(path string, b []byte) []byte {
			if strings.HasPrefix(path, "/tile/0/") {
				b[0] ^= 1
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			var healed atomic.Bool
			mirror := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				b, err := os.ReadFile(filepath.Join(w.dir, "log", filepath.FromSlash(r.URL.Path)))
				if err != nil {
					http.NotFound(rw, r)
					return
				}
				if !healed.Load() {
					b = damage(r.URL.Path, b)
				}
				_, _ = rw.Write(b)
			}))
			defer mirror.Close()
			dir := t.TempDir()
			m := w.monitor(dir, "sponsor", func(c *Config) { c.Client = w.dialAt("sponsor", filepath.Join(dir, "client"), mirror.URL) })
			r := look1(t, m)
			wantAlarms(t, r, KindLogFiles)
			if r.Scanned != 0 || r.Statements != 0 {
				t.Errorf("got %d entries scanned, want none", r.Scanned)
			}
			healed.Store(true)
			r = look1(t, m)
			wantAlarms(t, r)
			if r.Statements != 3 {
				t.Errorf("got %d statements, want 3", r.Statements)
			}
		})
	}
}

// snapshots copies a monitor's folder after each step: what a kill there leaves.
type snapshots struct {
	t    *testing.T
	dir  string
	dirs []string
}

func (s *snapshots) Scanned(uint64) {
	to := filepath.Join(s.t.TempDir(), "killed")
	must(s.t, os.CopyFS(to, os.DirFS(s.dir)))
	s.dirs = append(s.dirs, to)
}

func (s *snapshots) Looked(*Report, time.Duration) {}

// TestKilledInTheMiddle takes up what a look left after each of its steps.
func TestKilledInTheMiddle(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.user("narrow", store.Grant{Role: store.RoleSite, Trial: w.trust.Charter, Sites: []string{"701"}})
	for i := range 12 {
		w.clock.Add(time.Minute)
		w.dataset(mia, []string{"701", "704"}[i%4/3])
	}
	dir := t.TempDir()
	taken := &snapshots{t: t, dir: dir}
	whole := look1(t, w.monitor(dir, "narrow", func(c *Config) { c.Step, c.Observer = 3, taken }))
	if len(taken.dirs) < 5 || len(whole.Alarms) != 3 {
		t.Fatalf("got %d steps and %d alarms, want more than 4 and 3", len(taken.dirs), len(whole.Alarms))
	}
	for i, left := range taken.dirs {
		// A crash may leave a line of the journal without its end, and indexes of
		// marks that do not count.
		for _, name := range []string{journalFile, marksFile} {
			f, err := os.OpenFile(filepath.Join(left, name), os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString(`{"logIndex":`)
			must(t, errors.Join(err, f.Close()))
		}
		m := w.monitor(left, "narrow", func(c *Config) { c.Step = 4 })
		r := look1(t, m)
		if r.Statements != whole.Statements || r.Scanned != whole.Scanned || len(r.Alarms) != len(whole.Alarms) || *r.Findings != *whole.Findings {
			t.Errorf("after step %d: got %+v, want %+v", i, r, whole)
		}
		if i > 0 && r.New >= whole.New {
			t.Errorf("after step %d: got %d entries scanned, want fewer than %d", i, r.New, whole.New)
		}
	}
}

// TestStopsInTheMiddle ends a look by its context between two steps.
func TestStopsInTheMiddle(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	for range 6 {
		w.dataset(mia, "701")
	}
	ctx, cancel := context.WithCancel(t.Context())
	m := w.monitor(t.TempDir(), "sponsor", func(c *Config) { c.Step, c.Observer = 2, cancelling(cancel) })
	if _, err := m.Look(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that it was cancelled", err)
	}
	r := look1(t, m)
	wantAlarms(t, r)
	if r.Statements != 8 || r.Scanned != r.LogSize || r.New == r.Scanned {
		t.Errorf("got %+v, want the rest of 8 statements", r)
	}
}

type cancelling context.CancelFunc

func (c cancelling) Scanned(uint64)                { c() }
func (c cancelling) Looked(*Report, time.Duration) {}

// TestOtherAnchors refuses a folder of another notary.
func TestOtherAnchors(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	w.open()
	other.open()
	dir := t.TempDir()
	w.monitor(dir, "sponsor")
	_, err := Open(Config{Client: other.own, Trust: other.trust, Dir: dir})
	if !errors.Is(err, ErrOtherTrial) {
		t.Errorf("got %v, want ErrOtherTrial", err)
	}
	// Another notary behind the same address: its checkpoint is not the log's.
	m, err := Open(Config{Client: other.own, Trust: w.trust, Dir: t.TempDir(), Clock: w.clock.Now})
	must(t, err)
	wantAlarms(t, look1(t, m), KindCheckpoint)
	if _, err := Open(Config{Client: w.own, Trust: w.trust}); err == nil {
		t.Error("got no error without a folder")
	}
}
