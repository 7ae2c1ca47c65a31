package trial

import (
	"cmp"
	"slices"
	"strings"
)

// locks is the part of the state about database locks.
type locks struct {
	all     []*lock // that were logged, in log order, with those of baselines
	holding []*lock // in effect
	unlocks []*unlock

	// members holds what the locks in effect hold, by site.
	members map[string]map[seriesKey][]*extract
}

func (l *locks) begin() { l.members = map[string]map[seriesKey][]*extract{} }

// lock is a database lock.
type lock struct {
	act   *Act // the lock, or the baseline that names it
	order int  // in State.locks.all
	label string
	kind  LockType
	scope scope
	// members holds the statements that it locks; known is false for a baseline's
	// lock, which names none.
	members []ID
	known   bool
	holds   bool  // in effect, and no later one replaced it
	by      *lock // that replaced it
	unlocks []*unlock
}

// unlock opens a part of a lock.
type unlock struct {
	act    *Act
	lock   *lock // nil where the lock that it names was not in effect
	scope  scope
	closed *lock // by whose effect; nil while it is open
}

// scope is a part of the data. nil is all.
type scope struct {
	sites, datasets map[string]struct{}
}

func setOf(list []string) map[string]struct{} {
	if len(list) == 0 {
		return nil
	}
	set := make(map[string]struct{}, len(list))
	for _, v := range list {
		set[v] = struct{}{}
	}
	return set
}

// scope reads a scope. A list of all sites is the same as none.
func (s *State) scope(b *DataScope) scope {
	out := scope{setOf(b.Sites), setOf(b.Datasets)}
	for site := range s.authority.sites {
		if _, named := out.sites[site]; !named {
			return out
		}
	}
	out.sites = nil
	return out
}

// text is the same for scopes that are the same.
func (c scope) text() string { return joined(c.sites) + "|" + joined(c.datasets) }

func joined(set map[string]struct{}) string { return strings.Join(sorted(set), ",") }

func sorted(set map[string]struct{}) []string {
	out := make([]string, 0, len(set))
	for v := range set {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// touches tells whether data may lie inside: what has no site or no name may lie
// in every one.
func (c scope) touches(site, dataset string) bool {
	return may(c.sites, site) && may(c.datasets, dataset)
}

func may(set map[string]struct{}, v string) bool { return v == "" || in(set, v) }

func in(set map[string]struct{}, v string) bool {
	_, ok := set[v]
	return ok || set == nil
}

// holds tells whether data lie inside for certain.
func (c scope) holds(site, dataset string) bool { return in(c.sites, site) && in(c.datasets, dataset) }

// covers tells whether a scope lies inside.
func (c scope) covers(o scope) bool {
	return superset(c.sites, o.sites) && superset(c.datasets, o.datasets)
}

func superset(a, b map[string]struct{}) bool {
	if a == nil {
		return true
	}
	if b == nil {
		return false
	}
	for v := range b {
		if _, ok := a[v]; !ok {
			return false
		}
	}
	return true
}

// overlap returns what two scopes have in common; ok is false for nothing.
func (c scope) overlap(o scope) (both scope, ok bool) {
	sites, someSites := intersection(c.sites, o.sites)
	datasets, someDatasets := intersection(c.datasets, o.datasets)
	return scope{sites, datasets}, someSites && someDatasets
}

func intersection(a, b map[string]struct{}) (both map[string]struct{}, some bool) {
	switch {
	case a == nil:
		return b, true
	case b == nil:
		return a, true
	}
	both = map[string]struct{}{}
	for v := range a {
		if _, ok := b[v]; ok {
			both[v] = struct{}{}
		}
	}
	return both, len(both) > 0
}

// newLock keeps a lock that is logged.
func (s *State) newLock(act *Act, b *LockBody) *lock {
	l := &lock{act: act, order: len(s.locks.all), label: b.Label, kind: b.Type, scope: s.scope(&b.Scope), members: b.Members, known: true}
	s.locks.all = append(s.locks.all, l)
	return l
}

// lockBaseline makes the last lock of a baseline that locks anything hold, for all
// data and without members that are known.
func (s *State) lockBaseline(b *baseline) {
	for i := range b.body.Locks {
		was := &b.body.Locks[i]
		l := &lock{act: b.act, order: len(s.locks.all), label: was.Label, kind: was.Type}
		s.locks.all = append(s.locks.all, l)
		if l.kind != LockInterim {
			b.lock = l
			s.lock(l)
		}
	}
}

// lock lets a lock take effect. It replaces the locks whose data it locks all of,
// and closes the unlocks whose data it locks again. What is left of a lock that
// covers more stays locked.
func (s *State) lock(l *lock) {
	if l.kind == LockInterim {
		return
	}
	s.locks.holding = slices.DeleteFunc(s.locks.holding, func(old *lock) bool {
		replaced := l.scope.covers(old.scope)
		for _, u := range old.unlocks {
			opened, _ := u.scope.overlap(old.scope)
			if u.closed == nil && (replaced || l.scope.covers(opened)) {
				u.closed = l
			}
		}
		old.unlocks = slices.DeleteFunc(old.unlocks, func(u *unlock) bool { return u.closed != nil })
		if replaced {
			old.holds, old.by = false, l
		}
		return replaced
	})
	l.holds = true
	s.locks.holding = append(s.locks.holding, l)
	s.hold(l)
}

// hold replaces the members inside the lock's scope by the lock's. What the lock
// lists beside its scope it does not lock.
func (s *State) hold(l *lock) {
	for _, site := range s.locks.sitesOf(l.scope) {
		for k := range s.locks.members[site] {
			if in(l.scope.datasets, k.dataset) {
				delete(s.locks.members[site], k)
			}
		}
	}
	for k, list := range s.membersOf(l) {
		if !l.scope.touches(k.site, k.dataset) {
			continue
		}
		if s.locks.members[k.site] == nil {
			s.locks.members[k.site] = map[seriesKey][]*extract{}
		}
		s.locks.members[k.site][k] = list
	}
}

// sitesOf returns the sites of locked members inside a scope, sorted. Data of the
// whole trial are inside where all sites are.
func (l *locks) sitesOf(c scope) []string {
	var out []string
	if c.sites == nil {
		for site := range l.members {
			out = append(out, site)
		}
	} else {
		for site := range c.sites {
			if l.members[site] != nil {
				out = append(out, site)
			}
		}
	}
	slices.Sort(out)
	return out
}

// membersOf returns the lock's members that are logged data, by what they are.
func (s *State) membersOf(l *lock) map[seriesKey][]*extract {
	out := map[seriesKey][]*extract{}
	for _, id := range l.members {
		if x, ok := s.records[id].what.(*extract); ok {
			out[x.series.seriesKey] = append(out[x.series.seriesKey], x)
		}
	}
	return out
}

// unlock opens a part of the lock that it names, if that is in effect.
func (s *State) unlock(act *Act) {
	b, ok := act.Statement.Predicate.Body.(*UnlockBody)
	if !ok {
		return
	}
	u := &unlock{act: act, lock: s.lockNamed(b.Lock), scope: s.scope(&b.Scope)}
	if u.lock != nil && u.lock.holds {
		u.lock.unlocks = append(u.lock.unlocks, u)
	} else {
		u.lock = nil
	}
	s.locks.unlocks = append(s.locks.unlocks, u)
}

// lockNamed returns the lock of an id, nil where there is none.
func (s *State) lockNamed(id ID) *lock {
	switch w := s.records[id].what.(type) {
	case *lock:
		return w
	case *baseline:
		return w.lock
	}
	return nil
}

// covering tells whether data are locked, and whether each lock in effect that
// touches them is opened for them.
func (s *State) covering(site, dataset string) (locked, opened bool) {
	opened = true
	for _, l := range s.locks.holding {
		if !l.scope.touches(site, dataset) {
			continue
		}
		locked = true
		opened = opened && slices.ContainsFunc(l.unlocks, func(u *unlock) bool {
			return u.closed == nil && u.scope.holds(site, dataset)
		})
	}
	return locked, locked && opened
}

// unlockOpen tells whether any lock in effect is open.
func (s *State) unlockOpen() bool {
	return slices.ContainsFunc(s.locks.holding, func(l *lock) bool {
		return slices.ContainsFunc(l.unlocks, func(u *unlock) bool { return u.closed == nil })
	})
}

// relocks tells whether a lock locks again what one with known members locks.
func (s *State) relocks(l *lock) bool {
	return slices.ContainsFunc(s.locks.holding, func(old *lock) bool {
		_, both := l.scope.overlap(old.scope)
		return old.known && both
	})
}

// outside returns what changed between what is locked now and what l locks, and
// lies outside every unlock, in plain words.
func (s *State) outside(l *lock) []string {
	type change struct {
		key seriesKey
		how string
	}
	var changes []change
	next := s.membersOf(l)
	for _, site := range s.locks.sitesOf(l.scope) {
		for k, old := range s.locks.members[site] {
			list, kept := next[k]
			switch {
			case !in(l.scope.datasets, k.dataset):
			case !kept:
				changes = append(changes, change{k, "removed"})
			case !sameMembers(old, list):
				changes = append(changes, change{k, "changed"})
			}
		}
	}
	for k, list := range next {
		switch old, had := s.locks.members[k.site][k]; {
		case had && !l.scope.holds(k.site, k.dataset) && !sameMembers(old, list):
			changes = append(changes, change{k, "changed"})
		case !had && s.heldBefore(k):
			changes = append(changes, change{k, "added"})
		}
	}
	changes = slices.DeleteFunc(changes, func(c change) bool {
		_, opened := s.covering(c.key.site, c.key.dataset)
		return opened
	})
	slices.SortFunc(changes, func(a, b change) int { return cmp.Or(a.key.compare(&b.key), cmp.Compare(a.how, b.how)) })
	out := make([]string, len(changes))
	for i := range changes {
		out[i] = changes[i].key.String() + ": " + changes[i].how
	}
	return out
}

// heldBefore tells whether a lock in effect with known members would hold data.
func (s *State) heldBefore(k seriesKey) bool {
	return slices.ContainsFunc(s.locks.holding, func(l *lock) bool {
		return l.known && l.scope.touches(k.site, k.dataset)
	})
}

// sameMembers tells whether two locks hold the same data of one series, which are
// several where a dataset has no name: by their contents where all have a digest of
// it, else by their files.
func sameMembers(a, b []*extract) bool {
	if len(a) == 1 && len(b) == 1 {
		return a[0].same(b[0])
	}
	digests := func(list []*extract, of func(*extract) [32]byte) [][32]byte {
		out := make([][32]byte, len(list))
		for i, x := range list {
			out[i] = of(x)
		}
		slices.SortFunc(out, func(x, y [32]byte) int { return slices.Compare(x[:], y[:]) })
		return out
	}
	same := func(of func(*extract) [32]byte) bool { return slices.Equal(digests(a, of), digests(b, of)) }
	bare := func(x *extract) bool { return !x.hasTable }
	if slices.ContainsFunc(a, bare) || slices.ContainsFunc(b, bare) {
		return same(func(x *extract) [32]byte { return x.file })
	}
	return same(func(x *extract) [32]byte { return x.table })
}
