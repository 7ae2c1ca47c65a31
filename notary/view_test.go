package notary_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// shown is what a test keeps of a view.
type shown struct {
	size, withheld uint64
	time           time.Time
	statements     int
	events         []chronology.Event
	findings       []chronology.Found
	pending        []trial.PendingAct
	folded         [32]byte
}

func (w *world) show(q notary.ViewQuery) (*shown, error) {
	w.t.Helper()
	var out *shown
	err := w.ReadTrial(w.t.Context(), q, func(v *notary.TrialView) error {
		out = &shown{
			size: v.Size, withheld: v.Withheld, time: v.Time, statements: v.Fold.StatementsBelow(v.Size),
			events: slices.Clone(v.Fold.EventsBelow(v.Size)),
		}
		for i := range v.Fold.FindingsBelow(v.Size) {
			out.findings = append(out.findings, v.Fold.Found(i, v.Size))
		}
		if q.State {
			out.pending = v.Fold.Engine().State().Pending()
			digests, err := v.Fold.Engine().View("", v.Size, v.Withheld)
			out.folded = digests.Folded
			return err
		}
		return nil
	})
	return out, err
}

func (w *world) shown(q notary.ViewQuery) *shown {
	w.t.Helper()
	s, err := w.show(q)
	if err != nil {
		w.t.Fatalf("reading trial at %d: %v", q.Size, err)
	}
	return s
}

// judged is a study whose charter names the default pack.
func (w *world) judged() (*study, *holder) {
	w.t.Helper()
	s := newStudy(w.t, trial.Registry{"nct": "NCT01234567"}, func(b *trial.CharterBody) {
		b.RulePack = rules.Default().Digest
		b.Endorsements = map[trial.Kind][]trial.Role{trial.KindProtocol: {trial.RoleDataManager, trial.RoleQA}}
	})
	w.submit(s.charter)
	h, env := s.enrol("dm-1", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleDataManager)
	w.submit(env)
	return s, h
}

func whole(id trial.ID) notary.ViewOf { return notary.ViewOf{Charter: id, Whole: true} }

// protocol signs a protocol, which waits for endorsement.
func (s *study) protocol(h *holder, version string) *trial.Envelope {
	s.t.Helper()
	return s.sign(h.key, trial.KindProtocol, h.body.Roles[0], "", digestOf([]byte(version), "protocol.pdf"), nil, func(p *trial.Predicate) {
		h.prints(p)
		p.Version, p.Document = version, &trial.Document{ID: "P"}
	})
}

// TestReadTrial shows what a trial comes to at each of its positions, and the same
// whether it was folded at once or statement by statement.
func TestReadTrial(t *testing.T) {
	w := newWorld(t)
	s, h := w.judged()
	before := w.submit(s.dataset(h, "701", "early")).Record.Index
	protocol := w.submit(s.protocol(h, "1.0")).Record.Index
	w.submit(s.dataset(h, "704", "later"))
	qa, env := s.enrol("qa-1", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleQA)
	w.submit(env)
	at := map[uint64]*shown{}
	for range 12 { // beyond the seven days of an endorsement
		w.clock.Add(24 * time.Hour)
		w.submit(s.dataset(h, "701", fmt.Sprintf("daily-%s", w.clock.Now())))
		got := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
		at[got.size] = got
	}
	last := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
	if len(last.pending) != 1 || !last.pending[0].Overdue || last.pending[0].Logged.Index != protocol {
		t.Errorf("got the pending acts %+v, want the overdue protocol at %d", last.pending, protocol)
	}
	opened := func(rule string, index uint64) bool {
		return slices.ContainsFunc(last.findings, func(f chronology.Found) bool { return f.Rule == rule && f.Logged == index && f.Index >= index })
	}
	if !opened("R01", before) || !opened("R14", protocol) {
		t.Errorf("got the findings %+v, want R01 on %d and R14 on %d", last.findings, before, protocol)
	}
	overdue := slices.IndexFunc(last.events, func(e chronology.Event) bool { return e.Type == trial.EventOverdue })
	if overdue < 0 || last.events[overdue].Logged != protocol || last.events[overdue].Time.Before(start.Add(7*24*time.Hour)) {
		t.Errorf("got the events %+v, want the protocol overdue", last.events)
	}
	if !last.time.Equal(w.clock.Now()) || last.statements != 18 || last.withheld != 0 {
		t.Errorf("got %d statements, %d withheld, at %s", last.statements, last.withheld, last.time)
	}
	endorsed := w.submit(s.endorse(qa, "", last.pending[0].Logged.Statement)).Record.Index
	late := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
	at[late.size] = late
	closed := slices.IndexFunc(late.findings, func(f chronology.Found) bool { return f.Rule == "R14" && f.Closed != nil && *f.Closed == endorsed })
	if closed < 0 || len(late.pending) != 0 {
		t.Errorf("got the findings %+v after the last signature at %d, want R14 closed", late.findings, endorsed)
	}
	w.reopen() // everything is folded anew
	for size, want := range at {
		for _, state := range []bool{true, false} {
			got := w.shown(notary.ViewQuery{ViewOf: whole(s.id), Size: size, State: state})
			want := *want
			if !state {
				want.pending, want.folded = nil, [32]byte{}
			}
			if !reflect.DeepEqual(*got, want) {
				t.Errorf("at %d, state %t: got\n%+v, want what it was then\n%+v", size, state, *got, want)
			}
		}
	}
}

// TestReadTrialSite folds what a site sees, and counts what it does not.
func TestReadTrialSite(t *testing.T) {
	w := newWorld(t)
	s, h := w.judged()
	for i := range 5 {
		w.submit(s.dataset(h, "701", fmt.Sprintf("mine-%d", i)))
		w.submit(s.dataset(h, "704", fmt.Sprintf("theirs-%d", i)))
		of := notary.ViewOf{Charter: s.id, Sites: []string{"701"}}
		got := w.shown(notary.ViewQuery{ViewOf: of})
		if got.withheld != uint64(i+1) || got.statements != 3+i {
			t.Errorf("after %d: got %d statements and %d withheld, want %d and %d", i, got.statements, got.withheld, 3+i, i+1)
		}
		for _, f := range got.findings {
			if f.Site != "701" {
				t.Errorf("got the finding %+v of another site", f)
			}
		}
		earlier := w.shown(notary.ViewQuery{ViewOf: of, Size: got.size - 1})
		if earlier.withheld != uint64(i) {
			t.Errorf("before the last: got %d withheld, want %d", earlier.withheld, i)
		}
	}
}

// TestReadTrialSiteLock does not tell a site that the data of others are not
// notarized, which it may not see.
func TestReadTrialSiteLock(t *testing.T) {
	w := newWorld(t)
	s := newStudy(t, trial.Registry{"nct": "NCT01234567"}, func(b *trial.CharterBody) {
		b.Endorsements = map[trial.Kind][]trial.Role{trial.KindDatabaseLock: {trial.RoleDataManager}}
	})
	w.submit(s.charter)
	h, _ := s.enrol("dm-1", trial.HolderPerson, trial.OrganisationSponsor, trial.RoleDataManager)
	h.body.Kinds = append(h.body.Kinds, trial.KindDatabaseLock)
	w.submit(s.resign(h))
	mine, theirs := w.submit(s.dataset(h, "701", "mine")).Record.ID, w.submit(s.dataset(h, "704", "theirs")).Record.ID
	lock := func(members ...trial.ID) trial.ID {
		return w.submit(s.sign(h.key, trial.KindDatabaseLock, trial.RoleDataManager, "", digestOf(members[0][:], "lock.txt"),
			&trial.LockBody{Label: "1", Type: trial.LockSoft, Members: members}, h.prints)).Record.ID
	}
	lock(mine, theirs)
	bad := lock(trial.ID{1}, theirs)
	missing := func(of notary.ViewOf) []trial.ID {
		var out []trial.ID
		for _, f := range w.shown(notary.ViewQuery{ViewOf: of}).findings {
			if f.Rule == "R17" {
				out = append(out, f.Statement)
			}
		}
		return out
	}
	if got := missing(whole(s.id)); !slices.Equal(got, []trial.ID{bad}) {
		t.Errorf("the whole trial: got R17 on %v, want on %s", got, bad)
	}
	if got := missing(notary.ViewOf{Charter: s.id, Sites: []string{"701"}}); got != nil {
		t.Errorf("site 701: got R17 on %v, want none", got)
	}
}

// TestReadTrialRefusals refuses positions and trials that there are not.
func TestReadTrialRefusals(t *testing.T) {
	w := newWorld(t)
	s, _ := w.judged()
	size := w.LogSize()
	for _, bad := range []uint64{1, size + 1, 1 << 63, 1<<64 - 1} {
		for _, state := range []bool{true, false} {
			if _, err := w.show(notary.ViewQuery{ViewOf: whole(s.id), Size: bad, State: state}); trial.ReasonOf(err) != trial.ReasonBadValue {
				t.Errorf("at %d: got %v, want %s", bad, err, trial.ReasonBadValue)
			}
		}
	}
	if _, err := w.show(notary.ViewQuery{ViewOf: whole(trial.ID{1})}); !errors.Is(err, notary.ErrNotFound) {
		t.Errorf("got %v for a trial that there is not", err)
	}
	stop := errors.New("enough")
	if err := w.ReadTrial(t.Context(), notary.ViewQuery{ViewOf: whole(s.id)}, func(*notary.TrialView) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want what the reader returned", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.ReadTrial(ctx, notary.ViewQuery{ViewOf: whole(s.id)}, func(*notary.TrialView) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v for a caller that went away", err)
	}
	unknown := newStudy(t, trial.Registry{"nct": "NCT07654321"})
	w.submit(unknown.charter)
	if g := w.shown(notary.ViewQuery{ViewOf: whole(unknown.id)}); len(g.findings) != 0 || len(g.events) != 1 {
		t.Errorf("got %+v for a trial without a pack", g)
	}
}

// TestReadTrialDamaged says so where a stored statement is another than it was filed
// as, and shows nothing of it.
func TestReadTrialDamaged(t *testing.T) {
	w := newWorld(t)
	s, h := w.judged()
	rec := w.submit(s.dataset(h, "701", "a")).Record
	w.db.alter(rec.ID, func(r *notary.Record) error { r.Site = "704"; return nil })
	if _, err := w.show(notary.ViewQuery{ViewOf: whole(s.id)}); !errors.Is(err, notary.ErrDamaged) || trial.ReasonOf(err) != "" {
		t.Errorf("got %v, want ErrDamaged and no refusal", err)
	}
}

// TestViewsAreBounded drops what was unused for longest, and folds it again.
func TestViewsAreBounded(t *testing.T) {
	w := newWorld(t, func(c *notary.Config) { c.ViewMemory = 1 })
	s, h := w.judged()
	w.submit(s.dataset(h, "701", "a"))
	a := w.shown(notary.ViewQuery{ViewOf: whole(s.id)})
	b := w.shown(notary.ViewQuery{ViewOf: notary.ViewOf{Charter: s.id, Sites: []string{"704"}}})
	if g := w.Gauges(); g.Views != 1 || g.Refolds != 2 || g.ViewBytes <= 0 || g.Folded != uint64(a.statements+b.statements) || g.FoldTime <= 0 {
		t.Errorf("got %+v, want one view of the two that were folded", g)
	}
	if again := w.shown(notary.ViewQuery{ViewOf: whole(s.id)}); !reflect.DeepEqual(a, again) {
		t.Errorf("got %+v, want as before %+v", again, a)
	}
	if g := w.Gauges(); g.Views != 1 || g.Refolds != 3 {
		t.Errorf("got %+v, want a third fold", g)
	}
	// An older position does not push out what others use.
	w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true, Size: a.size - 1})
	w.shown(notary.ViewQuery{ViewOf: whole(s.id)})
	if g := w.Gauges(); g.Views != 1 || g.Refolds != 4 {
		t.Errorf("got %+v, want one more fold, of the older position alone", g)
	}
}

// TestReadTrialBesideOthers gives the state of an older position without folding the
// trial again, where only other trials went on since.
func TestReadTrialBesideOthers(t *testing.T) {
	w := newWorld(t)
	s, h := w.judged()
	w.submit(s.protocol(h, "1.0"))
	size := w.LogSize()
	want := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
	other := newStudy(t, trial.Registry{"nct": "NCT07654321"})
	w.submit(other.charter)
	w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
	if got := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true, Size: size}); !reflect.DeepEqual(got, want) {
		t.Errorf("at %d: got %+v, want as it was then %+v", size, got, want)
	}
	if g := w.Gauges(); g.Refolds != 1 || g.Views != 1 {
		t.Errorf("got %+v, want one fold", g)
	}
	w.submit(s.dataset(h, "701", "later"))
	w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
	if got := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true, Size: size}); !reflect.DeepEqual(got, want) {
		t.Errorf("at %d: got %+v, want as it was then %+v", size, got, want)
	}
	if g := w.Gauges(); g.Refolds != 2 || g.Views != 2 {
		t.Errorf("got %+v, want a second fold for what went on", g)
	}
}

// TestOlderPositionsWait folds older positions one at a time, so that whoever asks for
// many of them keeps nobody from a trial that is not held.
func TestOlderPositionsWait(t *testing.T) {
	before := runtime.GOMAXPROCS(4) // two may fold much at once
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	w := newWorld(t)
	s, h := w.judged()
	size := w.LogSize()
	for i := range 4 {
		w.submit(s.dataset(h, "701", fmt.Sprint(i)))
	}
	other := newStudy(t, trial.Registry{"nct": "NCT07654321"})
	w.submit(other.charter)
	now := w.shown(notary.ViewQuery{ViewOf: whole(s.id), State: true})
	began, gate := make(chan struct{}, 8), make(chan struct{})
	w.db.onList(func(q notary.Query) {
		if q.Charter != nil && *q.Charter == s.id && q.Below < now.size {
			began <- struct{}{}
			<-gate
		}
	})
	var older sync.WaitGroup
	for i := range uint64(4) {
		older.Go(func() {
			if _, err := w.show(notary.ViewQuery{ViewOf: whole(s.id), State: true, Size: size + i}); err != nil {
				t.Errorf("at %d: %v", size+i, err)
			}
		})
	}
	<-began
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, of := range []notary.ViewOf{whole(other.id), whole(s.id)} {
		if err := w.ReadTrial(ctx, notary.ViewQuery{ViewOf: of, State: true}, func(*notary.TrialView) error { return nil }); err != nil {
			t.Errorf("beside older positions: %v", err)
		}
	}
	if n := len(began); n != 0 {
		t.Errorf("got %d older positions that are folded beside another", n)
	}
	close(gate)
	older.Wait()
}

// TestReadTrialWhileWriting reads in many ways while statements come: what is below a
// size never changes.
func TestReadTrialWhileWriting(t *testing.T) {
	w := newWorld(t)
	s, h := w.judged()
	done := make(chan struct{})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			of := whole(s.id)
			if i%2 == 1 {
				of = notary.ViewOf{Charter: s.id, Sites: []string{"701"}}
			}
			var last *shown
			for {
				now, err := w.show(notary.ViewQuery{ViewOf: of, State: i < 2})
				if err != nil {
					t.Error(err)
					return
				}
				if last != nil && (now.size < last.size || !reflect.DeepEqual(now.events[:len(last.events)], last.events)) {
					t.Errorf("got other events at %d than at %d", now.size, last.size)
				}
				last = now
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 30 {
		w.submit(s.dataset(h, []string{"701", "704"}[i%2], fmt.Sprintf("d-%d", i)))
	}
	close(done)
	all.Wait()
	if g := w.Gauges(); g.Refolds != 2 {
		t.Errorf("got %d folds from the charter on, want one for each of two views", g.Refolds)
	}
	if got := w.shown(notary.ViewQuery{ViewOf: whole(s.id)}); got.statements != 32 {
		t.Errorf("got %d statements, want 32", got.statements)
	}
}
