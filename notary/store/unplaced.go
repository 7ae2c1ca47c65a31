package store

import (
	"sync"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// unplaced is what placing needs to know of a statement.
type unplaced struct {
	id        trial.ID
	n         int64
	charter   []byte
	site      string
	kind      string
	authority bool
}

func newUnplaced(r *notary.Record, n int64) unplaced {
	return unplaced{id: r.ID, n: n, charter: blob(r.Charter), site: r.Site, kind: string(r.Kind), authority: r.Authority}
}

// maxUnplaced bounds the statements that are remembered; those beyond it are
// read again.
const maxUnplaced = 1 << 15

// unplacedSet remembers what this process stored and did not place yet. What is
// in it is stored and not placed, for nobody else places; what is not in it may
// be either. It changes while the one write connection is held.
type unplacedSet struct {
	mu   sync.Mutex
	byID map[trial.ID]unplaced
}

func (s *unplacedSet) add(fresh []unplaced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = make(map[trial.ID]unplaced)
	}
	for _, u := range fresh {
		if len(s.byID) < maxUnplaced {
			s.byID[u.id] = u
		}
	}
}

func (s *unplacedSet) remove(fresh []unplaced) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range fresh {
		delete(s.byID, u.id)
	}
}

// take forgets the statements and tells of each what was remembered; it returns
// true if each was and is named once. Should placing fail, they are read again.
func (s *unplacedSet) take(rows []entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := true
	for i := range rows {
		u, ok := s.byID[rows[i].id]
		delete(s.byID, rows[i].id)
		rows[i].new = u
		all = all && ok
	}
	return all
}
