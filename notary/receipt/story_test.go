package receipt

import (
	"bytes"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// story is the world most tests use: an investigator of site 701, a coordinator
// whose key the investigator endorsed, and a dataset of the coordinator's.
type story struct {
	*world
	investigator *actor
	coordinator  *actor
	data         testFile
	dataset      uint64
}

func newStory(tb testing.TB) *story {
	tb.Helper()
	s := &story{
		world:        newWorld(tb),
		investigator: newActor(tb, "Ada Investigator", trial.RoleInvestigator, siteOrg),
		coordinator:  newActor(tb, "Ben Coordinator", trial.RoleSiteCoordinator, siteOrg),
		data:         testFile{"dm.json", "{\"rows\":[1]}\n"},
	}
	s.enrol(s.investigator, nil)
	s.mark()
	until := time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC)
	enrolment := s.enrol(s.coordinator, func(b *trial.EnrolmentBody) { b.Until = &until })
	s.endorse(enrolment)
	s.mark()
	s.dataset = s.add(s.coordinator, s.datasetStatement(s.coordinator, siteID))
	return s
}

func (s *story) endorse(enrolment uint64) uint64 {
	s.t.Helper()
	body := &trial.EndorsementBody{Statement: s.logged[enrolment].st.ID, Decision: trial.DecisionEndorsed}
	st := s.statement(s.investigator, trial.KindEndorsement, siteID, body)
	st.Predicate.Meaning = trial.MeaningApproval
	return s.addAuthority(s.investigator, st)
}

func (s *story) datasetStatement(a *actor, site string) *trial.Statement {
	body := &trial.DataBody{Origin: trial.OriginSite, Purpose: trial.PurposeRoutine, Dataset: "DM"}
	return about(s.statement(a, trial.KindDataset, site, body), s.data)
}

// mustParse parses a receipt that must parse.
func mustParse(tb testing.TB, b []byte) *Receipt {
	tb.Helper()
	r, err := Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func mustEvidence(tb testing.TB, b []byte) *Evidence {
	tb.Helper()
	e, err := ParseEvidence(b)
	if err != nil {
		tb.Fatal(err)
	}
	if !bytes.Equal(e.Bytes(), b) {
		tb.Error("the evidence is written otherwise than it was read")
	}
	return e
}
