package notary_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/logtest"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

func TestEvidenceShowsNoOtherSitesStaff(t *testing.T) {
	w := newWorld(t)
	s, _ := w.manager(nil)
	own, env := s.enrol("own", trial.HolderPerson, trial.OrganisationSite, trial.RoleInvestigator, "701")
	w.submit(env)
	for i := range 3 {
		_, env := s.enrol(fmt.Sprintf("other-%d", i), trial.HolderPerson, trial.OrganisationSite, trial.RoleInvestigator, "704")
		w.submit(env)
	}
	ev, err := receipt.ParseEvidence(w.submit(s.dataset(own, "701", "dm")).Evidence)
	must(t, err)
	if len(ev.Authority) != 2 || len(ev.TimeMarks) != 1 {
		t.Errorf("got %d authority receipts and %d time marks, want the charter, one enrolment and one mark",
			len(ev.Authority), len(ev.TimeMarks))
	}
}

// TestEvidenceAloneGivesTheFullVerdict makes trials at random and verifies each
// receipt twice: with the anchors and its own evidence, and with the whole
// authority of the trust folder. What a verdict finds must be the same: the
// evidence leaves out nothing that matters.
func TestEvidenceAloneGivesTheFullVerdict(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHistory(t, seed)
			for range 25 {
				h.step()
			}
			negative := 0
			for _, id := range h.logged {
				res, err := h.w.Receipt(t.Context(), id)
				must(t, err)
				full, err := h.w.Verify(t.Context(), h.s.id, res.Bundle, nil, nil)
				must(t, err)
				alone := h.w.verdict(res)
				if got, want := failures(alone), failures(full); !slices.Equal(got, want) {
					t.Errorf("%s at index %d: got %q from its evidence, want %q", res.Record.Kind, res.Record.Index, got, want)
				}
				if !full.Verified {
					negative++
				}
			}
			t.Logf("%d statements, %d of them without standing", len(h.logged), negative)
		})
	}
}

// failures names the checks that failed, with the reason.
func failures(v *receipt.Verdict) (out []string) {
	for _, c := range v.Checks {
		if c.Outcome == receipt.Failed && c.Name != receipt.CheckFileDigest {
			out = append(out, string(c.Name)+": "+c.Detail)
		}
	}
	return out
}

// history is a trial made at random: what the service refuses is tried as well.
type history struct {
	w         *world
	s         *study
	random    *rand.Rand
	holders   []*holder
	enrolment map[*holder]trial.ID
	logged    []trial.ID
}

func newHistory(t *testing.T, seed uint64) *history {
	t.Helper()
	w := newWorld(t)
	h := &history{w: w, s: newStudy(t, nil), random: rand.New(rand.NewPCG(seed, 0)), enrolment: make(map[*holder]trial.ID)}
	h.try(h.s.charter)
	return h
}

func (h *history) try(env *trial.Envelope) bool {
	res, err := h.w.Submit(h.w.t.Context(), env, nil)
	if err != nil {
		if trial.ReasonOf(err) == "" {
			h.w.t.Fatal(err)
		}
		return false
	}
	h.logged = append(h.logged, res.Record.ID)
	return true
}

func (h *history) step() {
	h.w.clock.Add(time.Duration(h.random.IntN(2)) * markInterval)
	if len(h.holders) < 3 || h.random.IntN(4) == 0 {
		h.enrol()
		return
	}
	who, whose := h.pick(), h.pick()
	site := []string{"", "701", "704"}[h.random.IntN(3)]
	switch n := h.random.IntN(20); {
	case n < 8:
		h.try(h.s.dataset(who, site, fmt.Sprint(n)))
	case n < 14:
		h.try(h.s.endorse(who, site, h.enrolment[whose]))
	case n < 18:
		var suspect *uint64
		if size := h.w.log.Size(); h.random.IntN(2) == 0 {
			since := h.random.Uint64N(size)
			suspect = &since
		}
		h.try(h.s.revoke(who, suspect))
	default:
		next := newKey(h.w.t)
		trusted := h.random.Uint64N(h.w.log.Size())
		if h.try(h.s.recover(next, trusted, h.enrolment[whose])) {
			h.s.sponsor = next
		}
	}
}

func (h *history) pick() *holder { return h.holders[h.random.IntN(len(h.holders))] }

// enrol enrols somebody new, or a known person or key once more.
func (h *history) enrol() {
	sites := [][]string{{"701"}, {"704"}, {"701", "704"}}[h.random.IntN(3)]
	id := fmt.Sprintf("p-%d", h.random.IntN(8))
	role := []trial.Role{trial.RoleInvestigator, trial.RoleSiteCoordinator}[h.random.IntN(2)]
	who, env := h.s.enrol(id, trial.HolderPerson, trial.OrganisationSite, role, sites...)
	switch h.random.IntN(4) {
	case 0: // a holder has one name
		who.body.Name = "Somebody else"
		env = h.s.resign(who)
	case 1: // a key that has a holder
		if len(h.holders) > 0 {
			known := h.pick()
			who.key, who.body.Key, who.body.HolderID = known.key, known.body.Key, known.body.HolderID
			who.body.Name, who.body.Organisation = known.body.Name, known.body.Organisation
			env = h.s.resign(who)
		}
	}
	if h.try(env) {
		h.holders = append(h.holders, who)
		h.enrolment[who] = idOf(env)
	}
}

// durableLog demands that a statement is durable before its entry is added.
type durableLog struct {
	*logtest.Fake

	w *world
}

func (l *durableLog) Add(ctx context.Context, entry []byte) notary.Future {
	if _, err := l.w.db.ByLeaf(ctx, receipt.LeafHash(entry)); err != nil {
		l.w.t.Errorf("an entry is added before its statement is stored: %v", err)
	}
	return l.Fake.Add(ctx, entry)
}

func TestAStatementIsDurableBeforeItIsAdded(t *testing.T) {
	w := newWorld(t)
	w.crash()
	w.cfg.Log, w.cfg.Store = &durableLog{w.log, w}, w.db
	var err error
	w.Service, err = notary.Open(t.Context(), w.cfg)
	must(t, err)
	s, h := w.manager(nil)
	w.submit(s.dataset(h, "701", "dm"))
}
