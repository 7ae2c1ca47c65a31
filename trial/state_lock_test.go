package trial

import (
	"slices"
	"testing"
	"time"
)

func (y *story) extract(site, dataset string, file byte, options ...option) *Statement {
	y.t.Helper()
	options = append([]option{subject("ae.ndjson", SHA256(bytesOf(file)))}, options...)
	return y.add("edc", site, KindDataset, routine(dataset), options...)
}

// locked returns what the facts say of new source data.
func (y *story) locked(site, dataset string) (locked, inside bool) {
	y.t.Helper()
	f := y.logged("edc", site, KindDataset, routine(dataset))
	return f.Locked, f.InsideUnlock
}

func (y *story) wantLocked(name, site, dataset string, locked, inside bool) {
	y.t.Helper()
	if l, i := y.locked(site, dataset); l != locked || i != inside {
		y.t.Errorf("%s: %s of %q: got locked %v, inside an unlock %v, want %v and %v", name, dataset, site, l, i, locked, inside)
	}
}

func TestLockAndUnlock(t *testing.T) {
	y, _, _ := begun(t)
	old := y.extract("701", "AE", 1)
	y.wantLocked("before", "704", "AE", false, false)
	pending := y.add("dm", "", KindDatabaseLock, lockOf("0", DataScope{}, old))
	y.wantLocked("pending", "701", "AE", false, false)
	interim := lockOf("i", DataScope{}, old)
	interim.Type = LockInterim
	if _, f := y.lock(interim); f.LockInEffect || f.SecondLock {
		t.Errorf("interim: got %+v", f)
	}
	y.wantLocked("interim", "704", "AE", false, false)
	if _, f := y.unlock(pending, DataScope{}); f.LockInEffect {
		t.Error("an unlock of a pending lock says that it is in effect")
	}

	ae1, ae2 := y.extract("701", "AE", 1), y.extract("704", "AE", 2)
	first, f := y.lock(lockOf("1", DataScope{}, ae1, ae2))
	if !f.SAPInEffect || f.SecondLock || len(f.MembersMissing)+len(f.MembersStale) != 0 {
		t.Errorf("first lock: got %+v", f)
	}
	y.wantLocked("lock 1", "704", "AE", true, false)
	if f := y.logged("ustat", "", KindUnblinding, &UnblindingBody{Scope: UnblindTrial, Recipient: "x"}); !f.LockInEffect || f.UnlockOpen {
		t.Errorf("lock 1: got in effect %v, open %v", f.LockInEffect, f.UnlockOpen)
	}
	if _, f := y.unlock(first, DataScope{Sites: []string{"704"}, Datasets: []string{"AE"}}); !f.LockInEffect || f.UnlockOpen {
		t.Errorf("unlock: got in effect %v, open %v before", f.LockInEffect, f.UnlockOpen)
	}
	y.wantLocked("unlocked", "704", "AE", true, true)
	y.wantLocked("unlocked", "704", "DM", true, false)
	y.wantLocked("unlocked", "701", "AE", true, false)
	y.wantLocked("unlocked", "704", "", true, false)
	y.wantLocked("unlocked", "", "AE", true, false)

	second, f := y.lock(lockOf("2", DataScope{}, ae1, y.extract("704", "AE", 3)))
	if !f.SecondLock || !f.UnlockOpen {
		t.Errorf("second lock: got %+v", f)
	}
	y.wantLocked("lock 2", "704", "AE", true, false)
	if _, f := y.unlock(first, DataScope{}); f.LockInEffect {
		t.Error("a replaced lock is in effect")
	}
	y.wantLocked("unlock of the replaced lock", "704", "AE", true, false)

	states := y.state.Locks()
	if len(states) != 4 || states[2].ReplacedBy != second.ID || states[2].InEffect || !states[3].InEffect || states[0].Status != StatusPending {
		t.Errorf("got locks %+v", states)
	}
	unlocks := y.state.Unlocks()
	if len(unlocks) != 3 || unlocks[0].Opened || unlocks[1].ClosedBy != second.ID || unlocks[2].Opened || unlocks[1].Reason == "" {
		t.Errorf("got unlocks %+v", unlocks)
	}
	if _, f := y.unlock(&Statement{ID: ID{5}}, DataScope{}); f.LockInEffect {
		t.Error("a lock that nobody knows is in effect")
	}
}

// A part of the data can be locked again alone: the rest stays locked.
func TestLockOfAPart(t *testing.T) {
	y, _, _ := begun(t)
	all, _ := y.lock(lockOf("1", DataScope{}, y.extract("701", "AE", 1), y.extract("704", "AE", 2)))
	site := DataScope{Sites: []string{"704"}}
	y.unlock(all, site)
	part, f := y.lock(lockOf("2", site, y.extract("704", "AE", 3)))
	if !f.SecondLock || len(f.MembersOutside) != 0 {
		t.Errorf("got %+v", f)
	}
	y.wantLocked("part", "704", "AE", true, false)
	y.wantLocked("rest", "701", "AE", true, false)
	if y.state.Overview().UnlockOpen {
		t.Error("the unlock is open though its data are locked again")
	}
	// Data are free where every lock on them is open.
	y.unlock(all, site)
	y.wantLocked("one of two open", "704", "AE", true, false)
	y.unlock(part, DataScope{})
	y.wantLocked("both open", "704", "AE", true, true)
	// A list of all sites is as good as none.
	if _, f := y.lock(lockOf("3", DataScope{Sites: []string{"704", "701"}}, y.extract("701", "AE", 1), y.extract("704", "AE", 3))); !f.SecondLock {
		t.Error("not a second lock")
	}
	if got := y.state.Locks(); got[0].InEffect || got[1].InEffect || !got[2].InEffect || got[2].Scope.Sites != nil {
		t.Errorf("got %+v", got)
	}
}

func TestMemberFacts(t *testing.T) {
	y, _, _ := begun(t)
	old := y.extract("701", "AE", 1)
	now := y.extract("701", "AE", 2)
	unnamed := y.extract("701", "", 3)
	beside := y.extract("701", "", 4)
	gone := y.extract("704", "", 5)
	y.extract("704", "", 6, replaces(gone.ID))
	refused := y.write("edc", "701", KindDataset, routine("DM"))
	refused.Predicate.Signer.Name = "Somebody"
	marshal(t, refused)
	y.feed(refused)
	plan := y.add("stat", "", KindSAP, nil, document("other", "1"))
	_, f := y.lock(lockOf("1", DataScope{}, old, now, unnamed, beside, gone, refused, plan, &Statement{ID: ID{9}}))
	if want := []string{refused.ID.String(), plan.ID.String(), ID{9}.String()}; !slices.Equal(f.MembersMissing, want) {
		t.Errorf("missing: got %v, want %v", f.MembersMissing, want)
	}
	if want := []string{old.ID.String(), gone.ID.String()}; !slices.Equal(f.MembersStale, want) {
		t.Errorf("stale: got %v, want %v", f.MembersStale, want)
	}
}

func TestMembersOutsideUnlocks(t *testing.T) {
	y, _, _ := begun(t)
	table := func(file, content byte) option {
		return subject("dm.xpt", Digests{{DigestSHA256, bytesOf(file)}, {DigestTable, bytesOf(content)}})
	}
	a, b, c := y.extract("701", "AE", 1), y.extract("704", "AE", 2), y.extract("704", "DM", 3, table(3, 30))
	lock, _ := y.lock(lockOf("1", DataScope{}, a, b, c))
	y.unlock(lock, DataScope{Sites: []string{"704"}, Datasets: []string{"AE"}})

	same := y.extract("704", "DM", 4, table(4, 30)) // other bytes, the same content
	st := y.add("dm", "", KindDatabaseLock, lockOf("2", DataScope{}, a, y.extract("704", "AE", 5), same))
	if f := y.atEffect("stat", st); len(f.MembersOutside) != 0 {
		t.Errorf("inside the unlock: got %v", f.MembersOutside)
	}
	y.unlock(st, DataScope{Sites: []string{"704"}, Datasets: []string{"AE"}})
	_, f := y.lock(lockOf("3", DataScope{}, y.extract("701", "AE", 6), y.extract("701", "VS", 7), b))
	want := []string{
		"AE of site 701 from Example EDC: changed", "VS of site 701 from Example EDC: added", "DM of site 704 from Example EDC: removed",
	}
	if !slices.Equal(f.MembersOutside, want) {
		t.Errorf("got %q, want %q", f.MembersOutside, want)
	}
}

func TestLineageFacts(t *testing.T) {
	y, _, _ := begun(t)
	submission := &DataBody{Origin: OriginSponsor, Purpose: PurposeSubmission, Dataset: "ADSL"}
	derived := func(ids ...ID) (*Statement, *Facts) {
		t.Helper()
		st := y.write("stat", "", KindDerivedDataset, submission, from(ids...))
		return st, one(t, y.feed(st), EventLogged, st).facts
	}
	ae := y.extract("701", "AE", 1)
	pending := y.add("dm", "", KindDatabaseLock, lockOf("1", DataScope{}, ae))
	if _, f := derived(pending.ID, ID{4}, ae.ID); f.LineageToLock || f.LineageSupersededLock {
		t.Errorf("a pending lock: got %+v", f)
	}
	y.endorse("stat", pending)
	adsl, f := derived(pending.ID)
	if !f.LineageToLock || f.LineageSupersededLock {
		t.Errorf("lock 1: got %+v", f)
	}
	adtte, f := derived(adsl.ID)
	if !f.LineageToLock {
		t.Error("a lock behind derived data is not found")
	}
	two, _ := y.lock(lockOf("2", DataScope{}, ae))
	if _, f := derived(adtte.ID); f.LineageToLock || !f.LineageSupersededLock {
		t.Errorf("a replaced lock: got %+v", f)
	}
	if _, f := derived(adtte.ID, two.ID, adsl.ID); !f.LineageToLock || !f.LineageSupersededLock {
		t.Errorf("both locks: got %+v", f)
	}
	if _, f := derived(two.ID); !f.LineageToLock || f.LineageSupersededLock {
		t.Errorf("lock 2: got %+v", f)
	}
}

func TestBaseline(t *testing.T) {
	y := tell(t)
	icf, plan := &Document{ID: "ICF"}, &Document{ID: "SAP"}
	base := y.add("dm", "", KindBaseline, &BaselineBody{
		AsOf: "2026-02-01",
		Documents: []BaselineDocument{
			{Kind: KindProtocol, Document: &Document{ID: "P1"}, Version: "3.0"}, {Kind: KindSAP, Document: plan, Version: "1.0"},
			{Kind: KindICF, Document: icf, Version: "2.0", Sites: []string{"701"}},
		},
		Participants: []BaselineSite{{"701", "2025-01-01"}}, Sealed: []Commitment{{7}}, Registered: true, Unblinded: true,
		Locks: []BaselineLock{{"i", LockInterim, "2025-05-01"}, {"1", LockSoft, "2026-01-01"}},
	})
	f := y.logged("edc", "701", KindDataset, routine("AE"))
	if !f.ProtocolLogged || !f.Registered || f.FirstOfTrial || !f.SAPInEffect || !f.Sealed || !f.Unblinded || !f.Locked || f.InsideUnlock {
		t.Errorf("got %+v", f)
	}
	next := y.write("cmo", "", KindICF, nil, document("ICF", "3.0"), replaces(base.ID))
	if f := one(t, y.feed(next), EventEffect, next).facts; !f.HasHead || !f.SupersedesHead || !f.SupersedesBaseline {
		t.Errorf("replaces the baseline's: got %+v", f)
	}
	other := y.write("cmo", "", KindICF, nil, document("other", "3.0"), replaces(base.ID))
	if f := one(t, y.feed(other), EventEffect, other).facts; f.HasHead || f.SupersedesBaseline || f.SupersedesAncestor {
		t.Errorf("the baseline does not name it: got %+v", f)
	}
	manifest := func(site string) bool {
		t.Helper()
		return y.logged("pi"+site, site, KindConsentManifest, &ConsentManifestBody{ICF: base.ID, Consents: 1, Cutoff: "2026-03-01"},
			subject("consents", Commitment{1}.Digests())).ICFEffective
	}
	if !manifest("701") || manifest("704") {
		t.Error("the consent form is effective at 701 alone")
	}
	reveal := func(c Commitment) bool {
		t.Helper()
		return y.logged("ustat", "", KindRandomisationReveal, &RevealBody{Seal: base.ID, Salt: [32]byte{1}},
			subject("list.csv", Digests{{DigestSHA256, bytesOf(1)}, {DigestCommitment, c}})).CommitmentMatches
	}
	if !reveal(Commitment{7}) || reveal(Commitment{8}) {
		t.Error("the sealed list is the one of the baseline")
	}
	if _, f := y.unlock(base, DataScope{Sites: []string{"701"}}); !f.LockInEffect {
		t.Error("the baseline's lock is not in effect")
	}
	y.wantLocked("unlocked", "701", "AE", true, true)
	if _, f := y.lock(lockOf("2", DataScope{}, y.extract("704", "AE", 1))); f.SecondLock || len(f.MembersOutside) != 0 {
		t.Errorf("members are compared with a lock that names none: got %+v", f)
	}
	sites := y.state.Sites()
	if len(sites) != 2 || len(sites[0].Effective) != 2 || len(sites[1].Effective) != 1 || sites[1].Effective[0].Family != KindProtocol {
		t.Errorf("got sites %+v", sites)
	}
	if sites[0].FirstParticipant == nil || sites[1].FirstParticipant != nil {
		t.Error("the baseline's participants are at 701 alone")
	}
}

// Locks with as many members as a body may hold, more than a payload has room for.
func TestLargeLocks(t *testing.T) {
	y, _, _ := begun(t)
	const n = 10_000
	members := make([]*Statement, n)
	for i := range members {
		st := &Statement{ID: ID{1, byte(i), byte(i >> 8)}, Predicate: y.write("edc", "701", KindDataset, routine(itoa(i))).Predicate,
			Subjects: []Subject{{"f", SHA256([32]byte{byte(i), byte(i >> 8)})}}}
		y.feed(st)
		members[i] = st
	}
	lock := func(label string, members []*Statement) (*Statement, *Facts) {
		st := y.write("dm", "", KindDatabaseLock, lockOf(label, DataScope{}, members[0]))
		body := lockOf(label, DataScope{}, members...)
		st = &Statement{ID: ID{2, label[0]}, Predicate: st.Predicate, Subjects: st.Subjects}
		st.Predicate.Body = body
		y.feed(st)
		return st, y.atEffect("stat", st)
	}
	began := time.Now()
	first, f := lock("1", members)
	if len(f.MembersMissing)+len(f.MembersStale) != 0 {
		t.Errorf("got %d missing, %d stale", len(f.MembersMissing), len(f.MembersStale))
	}
	y.unlock(first, DataScope{Datasets: []string{"7"}})
	_, f = lock("2", members[100:])
	if len(f.MembersOutside) != 99 {
		t.Errorf("got %d members outside, want 99", len(f.MembersOutside))
	}
	t.Logf("two locks of %d members took %v", n, time.Since(began))
}
