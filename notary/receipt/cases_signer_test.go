package receipt

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// signer adds a case about a dataset that act logs in a fresh story.
func (s *caseSet) signer(name, what string, failed CheckName, act func(st *story) uint64) {
	s.t.Helper()
	st := newStory(s.t)
	index := act(st)
	s.add(name, what, string(failed), base(st.world, index, st.data))
}

func (s *caseSet) badSigners() {
	s.change("signer-unproven", "neither evidence nor authority receipts: signer unproven", string(CheckKeyEnrolled),
		func(_ *story, c *testCase) { c.Evidence = "" })
	s.signer("signer-not-enrolled", "a key that nobody enrolled", CheckKeyEnrolled, func(st *story) uint64 {
		a := newActor(s.t, "Eve Outsider", trial.RoleSiteCoordinator, siteOrg)
		return st.add(a, st.datasetStatement(a, siteID))
	})
	s.signer("signer-of-another-site", "a key enrolled for another site", CheckKeyEnrolled, func(st *story) uint64 {
		return st.add(st.coordinator, st.datasetStatement(st.coordinator, otherSite))
	})
	s.signer("signer-of-another-kind", "a key that may not sign this kind", CheckKeyEnrolled, func(st *story) uint64 {
		p := about(st.statement(st.coordinator, trial.KindProtocol, siteID, &trial.ProtocolBody{}), st.data)
		return st.add(st.coordinator, p)
	})
	s.signer("signer-not-active", "a coordinator's key that no investigator endorsed", CheckKeyEnrolled, func(st *story) uint64 {
		a := newActor(s.t, "Cleo Coordinator", trial.RoleSiteCoordinator, siteOrg)
		st.enrol(a, nil)
		return st.add(a, st.datasetStatement(a, siteID))
	})
	s.signer("signer-enrolled-later", "a statement logged before its key was enrolled", CheckKeyEnrolled, func(st *story) uint64 {
		a := newActor(s.t, "Dan Investigator", trial.RoleInvestigator, siteOrg)
		index := st.add(a, st.datasetStatement(a, siteID))
		st.enrol(a, nil)
		return index
	})
	s.signer("signer-under-another-name", "a printed name that is not the enrolment's", CheckKeyEnrolled, func(st *story) uint64 {
		d := st.datasetStatement(st.coordinator, siteID)
		d.Predicate.Signer.Name = "Somebody Else"
		return st.add(st.coordinator, d)
	})
	s.signer("signer-is-the-sponsor-key", "the sponsor's key signs no data", CheckKeyEnrolled, func(st *story) uint64 {
		return st.add(st.sponsor, st.datasetStatement(st.sponsor, siteID))
	})
	s.signer("key-revoked", "the key was revoked before", CheckKeyNotRevoked, func(st *story) uint64 {
		st.revoke(st.coordinator, nil)
		return st.add(st.coordinator, st.datasetStatement(st.coordinator, siteID))
	})
	s.signer("key-suspect", "the key is suspect since before the entry", CheckKeyNotRevoked, func(st *story) uint64 {
		since := st.dataset
		st.revoke(st.coordinator, &since)
		return st.dataset
	})
	s.signer("key-expired", "the log time is after the enrolment's end", CheckValidityPeriod, func(st *story) uint64 {
		st.clock = st.clock.AddDate(2, 0, 0)
		st.mark()
		return st.add(st.coordinator, st.datasetStatement(st.coordinator, siteID))
	})
	s.signer("key-not-yet-valid", "the log time is before the enrolment's begin", CheckValidityPeriod, func(st *story) uint64 {
		a := newActor(s.t, "Fay Investigator", trial.RoleInvestigator, siteOrg)
		from := st.clock.AddDate(1, 0, 0)
		st.enrol(a, func(b *trial.EnrolmentBody) { b.From = &from })
		return st.add(a, st.datasetStatement(a, siteID))
	})
	s.signer("kind-not-understood", "a kind that this version does not know", CheckKind, func(st *story) uint64 {
		payload, err := trial.MarshalStatement(st.datasetStatement(st.coordinator, siteID))
		if err != nil {
			s.t.Fatal(err)
		}
		changed := strings.Replace(string(payload), `"kind":"dataset"`, `"kind":"hologram"`, 1)
		return st.append(st.signPayload(st.coordinator, []byte(changed)))
	})
}

// evidence adds a case in which the evidence is changed and still parses.
func (s *caseSet) evidence(name, what, failed string, change func(st *story, ev *Evidence)) {
	s.t.Helper()
	s.change(name, what, failed, func(st *story, c *testCase) {
		ev := mustEvidence(s.t, []byte(c.Evidence))
		change(st, ev)
		c.Evidence = string(ev.Bytes())
	})
}

func (s *caseSet) badAuthority() {
	enrolled, revoked := string(CheckKeyEnrolled), string(CheckKeyNotRevoked)
	s.evidence("authority-without-charter", "the charter's receipt is missing", enrolled,
		func(_ *story, ev *Evidence) { ev.Authority = ev.Authority[1:] })
	s.evidence("authority-without-enrolment", "the enrolment's receipt is missing", enrolled, func(_ *story, ev *Evidence) {
		ev.Authority = slices.Delete(ev.Authority, 2, 3)
	})
	s.evidence("authority-without-endorsement", "the investigator's endorsement is missing", enrolled, func(_ *story, ev *Evidence) {
		ev.Authority = ev.Authority[:3]
	})
	s.evidence("authority-receipt-broken", "an authority receipt's proof is wrong", enrolled, func(_ *story, ev *Evidence) {
		ev.Authority[2] = s.broken(ev.Authority[2])
	})
	s.evidence("authority-out-of-order", "authority receipts that are not in log order", evidenceForm, func(_ *story, ev *Evidence) {
		slices.Reverse(ev.Authority)
	})
	s.change("evidence-not-one-spelling", "white space in the evidence", evidenceForm, func(_ *story, c *testCase) {
		c.Evidence = strings.Replace(c.Evidence, ",", ", ", 1)
	})
	s.change("evidence-unknown-field", "a field that no evidence has", evidenceForm, func(_ *story, c *testCase) {
		c.Evidence = strings.Replace(c.Evidence, "{", `{"more":1,`, 1)
	})
	s.change("revocation-left-out", "a revocation's receipt is left out, but the list names it", revoked, func(st *story, c *testCase) {
		st.revoke(st.coordinator, nil)
		index := st.add(st.coordinator, st.datasetStatement(st.coordinator, siteID))
		list := st.asOf()
		st.authority = st.authority[:len(st.authority)-1]
		*c = *base(st.world, index, st.data)
		ev := mustEvidence(s.t, []byte(c.Evidence))
		ev.AsOf = list
		c.Evidence = string(ev.Bytes())
	})
	s.change("enrolment-again-after-revocation", "a second entry of an enrolment stands for the first, above its revocation", revoked,
		func(st *story, c *testCase) {
			st.revoke(st.coordinator, nil)
			again := st.append(st.logged[st.authority[2]])
			endorsedAgain := st.append(st.logged[st.authority[3]])
			index := st.add(st.coordinator, st.datasetStatement(st.coordinator, siteID))
			list := st.asOf()
			st.authority = []uint64{st.authority[0], st.authority[1], st.authority[4], again, endorsedAgain}
			*c = *base(st.world, index, st.data)
			ev := mustEvidence(s.t, []byte(c.Evidence))
			ev.AsOf = list
			c.Evidence = string(ev.Bytes())
		})
	s.evidence("list-of-another-key", "the list is not signed by the notary", revoked, func(st *story, ev *Evidence) {
		ev.AsOf = st.signList(st.sponsor, s.list(st, ev))
	})
	s.evidence("list-of-another-trial", "the list is of another trial", revoked, func(st *story, ev *Evidence) {
		l := s.list(st, ev)
		l.Charter = trial.ID(sha256.Sum256([]byte("another")))
		l.Authority = []trial.ID{l.Charter}
		ev.AsOf = st.signList(st.notary, l)
	})
	s.evidence("list-of-another-log", "the list is of another log", revoked, func(st *story, ev *Evidence) {
		l := s.list(st, ev)
		l.Origin = "other.example"
		ev.AsOf = st.signList(st.notary, l)
	})
	s.evidence("list-of-another-tree", "the list is about another tree of the same size", revoked, func(st *story, ev *Evidence) {
		l := s.list(st, ev)
		l.Root[0] ^= 1
		ev.AsOf = st.signList(st.notary, l)
	})
	s.evidence("list-lacks-a-statement", "the list lacks a statement that is held", revoked, func(st *story, ev *Evidence) {
		l := s.list(st, ev)
		l.Authority = l.Authority[:len(l.Authority)-1]
		ev.AsOf = st.signList(st.notary, l)
	})
	s.forks()
}

func (s *caseSet) list(st *story, ev *Evidence) *trial.AsOf {
	s.t.Helper()
	l, err := trial.ParseAsOf(ev.AsOf, st.notary.key)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// broken returns a receipt with one bit of its proof changed.
func (s *caseSet) broken(r *Receipt) *Receipt {
	s.t.Helper()
	c := *r
	c.Path = slices.Clone(r.Path)
	c.Path[0][0] ^= 1
	return mustParse(s.t, c.marshal())
}

// forks are two histories that the log signed.
func (s *caseSet) forks() {
	s.change("log-forked", "the log signed two trees of one size", string(CheckCheckpointSigned), func(st *story, c *testCase) {
		fork := newStory(s.t)
		fork.logged = fork.logged[:fork.dataset]
		l := fork.sign(fork.coordinator, about(fork.statement(fork.coordinator, trial.KindDataset, siteID,
			&trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeInterim}), fork.data))
		other := replay(s.t, fork.world, append(slices.Clone(fork.logged), l))
		c.Receipt = string(other.receipt(fork.dataset))
		c.Files = []caseFile{}
	})
}

// replay returns a world with the same keys whose log holds other entries.
func replay(t interface{ Helper() }, w *world, entries []logged) *world {
	t.Helper()
	n := *w
	n.tree = emptyTree()
	n.logged = nil
	for _, l := range entries {
		n.append(l)
	}
	return &n
}

func (s *caseSet) badTimes() {
	logTime := string(CheckLogTime)
	s.evidence("time-mark-of-another-key", "a time mark that the notary's key did not sign", logTime, func(st *story, ev *Evidence) {
		m, err := trial.NewTimeMark(st.sponsor.key.ID, trial.TimeMarkBody{Origin: testOrigin, Time: st.clock})
		if err != nil {
			s.t.Fatal(err)
		}
		m.Predicate.Salt = sha256.Sum256([]byte("salt"))
		ev.TimeMarks = append(ev.TimeMarks, mustParse(s.t, st.receipt(st.add(st.sponsor, m))))
	})
	s.evidence("time-mark-of-another-log", "a time mark about another log", logTime, func(st *story, ev *Evidence) {
		ev.TimeMarks = append(ev.TimeMarks, s.markReceipt(st, trial.TimeMarkBody{Origin: "other.example", Time: st.clock}))
	})
	s.evidence("time-mark-about-later-tree", "a time mark about a tree larger than its own index", logTime, func(st *story, ev *Evidence) {
		ev.TimeMarks = append(ev.TimeMarks, s.markReceipt(st, trial.TimeMarkBody{Origin: testOrigin, Time: st.clock, Size: 1000}))
	})
	s.evidence("time-marks-go-back", "a later time mark with an earlier time", logTime, func(st *story, ev *Evidence) {
		ev.TimeMarks = append(ev.TimeMarks, s.markReceipt(st, trial.TimeMarkBody{Origin: testOrigin, Time: st.clock.Add(-time.Hour)}))
	})
	s.evidence("time-mark-broken", "a time mark's proof is wrong", logTime, func(_ *story, ev *Evidence) {
		ev.TimeMarks[0] = s.broken(ev.TimeMarks[0])
	})
	s.evidence("time-mark-is-no-mark", "an authority receipt among the time marks", logTime, func(_ *story, ev *Evidence) {
		ev.TimeMarks = []*Receipt{ev.Authority[0]}
	})
}

func (s *caseSet) markReceipt(st *story, body trial.TimeMarkBody) *Receipt {
	s.t.Helper()
	m, err := trial.NewTimeMark(st.notary.key.ID, body)
	if err != nil {
		s.t.Fatal(err)
	}
	m.Predicate.Salt = sha256.Sum256([]byte("salt"))
	return mustParse(s.t, st.receipt(st.add(st.notary, m)))
}
