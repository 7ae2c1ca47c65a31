package chronology

import (
	"cmp"
	"slices"

	"github.com/trialnotary/trialnotary/trial"
)

// Change is what became of a lock's member in a later lock.
type Change string

// The changes. SameData needs a content digest on both sides, and is none to the
// rules.
const (
	Added     Change = "added"
	Removed   Change = "removed"
	Changed   Change = "changed"
	SameData  Change = "same data, different file"
	Unchanged Change = "unchanged"
)

// LockDiff is what changed between two locks.
type LockDiff struct {
	Old, New trial.LockState
	// Unlocks are those that took effect between the two, in that order.
	Unlocks []trial.UnlockState
	// Members are by site, dataset and source. What the later lock does not
	// concern is left out: it stays locked as it was.
	Members []Member
	// Absent are members of either lock whose statements are not at hand, or are no
	// data that count.
	Absent []trial.ID
}

// Member is what both locks hold of one dataset of one source at one site.
type Member struct {
	Site, Dataset, Source string
	Derived               bool
	Old, New              []trial.Logged // one each, unless a dataset has no name
	Change                Change
	// ByContent tells that content digests were compared, else those of the files.
	ByContent bool
	// ExplainedBy are the unlocks in whose scope it lies.
	ExplainedBy []trial.UnlockState
}

// Unexplained tells whether something changed that no unlock explains.
func (m *Member) Unexplained() bool {
	return m.Change != Unchanged && m.Change != SameData && len(m.ExplainedBy) == 0
}

// Unexplained counts the members that changed and that no unlock explains.
func (d *LockDiff) Unexplained() int {
	n := 0
	for i := range d.Members {
		if d.Members[i].Unexplained() {
			n++
		}
	}
	return n
}

// LocksToCompare returns the newest lock in effect and the one before it that
// locked any of the same data; ok is false where there are no two.
func LocksToCompare(s *trial.State) (old, next trial.LockState, ok bool) {
	var locks []trial.LockState
	for _, l := range s.Locks() {
		if l.Status == trial.StatusEffective && l.Type != trial.LockInterim {
			locks = append(locks, l)
		}
	}
	slices.SortStableFunc(locks, func(a, b trial.LockState) int { return cmp.Compare(a.EffectIndex, b.EffectIndex) })
	if len(locks) == 0 {
		return old, next, false
	}
	next = locks[len(locks)-1]
	for _, l := range slices.Backward(locks[:len(locks)-1]) {
		if overlap(l.Scope.Sites, next.Scope.Sites) && overlap(l.Scope.Datasets, next.Scope.Datasets) {
			return l, next, true
		}
	}
	return old, next, false
}

// overlap tells whether two lists have something in common, where an empty one is
// all.
func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(v string) bool { return slices.Contains(b, v) })
}

func within(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }

// holds tells whether data lie inside a scope for certain.
func holds(c *trial.DataScope, k *memberKey) bool {
	return within(c.Sites, k.site) && within(c.Datasets, k.dataset)
}

type memberKey struct {
	site, dataset, source string
	derived               bool
}

// CompareLocks tells member by member what changed between two locks. find returns
// a statement that counts by its id.
func CompareLocks(s *trial.State, find func(trial.ID) (trial.Logged, bool), old, next trial.LockState) *LockDiff {
	d := &LockDiff{Old: old, New: next}
	for _, u := range s.Unlocks() {
		if u.Opened && old.EffectIndex < u.EffectIndex && u.EffectIndex < next.EffectIndex {
			d.Unlocks = append(d.Unlocks, u)
		}
	}
	members := map[memberKey]*Member{}
	add := func(ids []trial.ID, side func(*Member) *[]trial.Logged) {
		for _, id := range ids {
			l, ok := find(id)
			body, isData := (*trial.DataBody)(nil), false
			if ok {
				body, isData = l.Statement.Predicate.Body.(*trial.DataBody)
			}
			if !isData {
				d.Absent = append(d.Absent, id)
				continue
			}
			p := &l.Statement.Predicate
			k := memberKey{p.Site, body.Dataset, body.SourceSystem, p.Kind == trial.KindDerivedDataset}
			if members[k] == nil {
				members[k] = &Member{Site: k.site, Dataset: k.dataset, Source: k.source, Derived: k.derived}
			}
			list := side(members[k])
			*list = append(*list, l)
		}
	}
	add(old.Members, func(m *Member) *[]trial.Logged { return &m.Old })
	add(next.Members, func(m *Member) *[]trial.Logged { return &m.New })
	for k, m := range members {
		if len(m.New) == 0 && !holds(&next.Scope, &k) {
			continue
		}
		m.Change, m.ByContent = change(m.Old, m.New)
		for _, u := range d.Unlocks {
			if holds(&u.Scope, &k) {
				m.ExplainedBy = append(m.ExplainedBy, u)
			}
		}
		d.Members = append(d.Members, *m)
	}
	slices.SortFunc(d.Members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Dataset, b.Dataset), cmp.Compare(a.Source, b.Source), cmp.Compare(word(a.Derived), word(b.Derived)))
	})
	return d
}

func word(derived bool) int {
	if derived {
		return 1
	}
	return 0
}

// change compares what two locks hold of one series, as the rules do.
func change(old, next []trial.Logged) (c Change, byContent bool) {
	switch {
	case len(old) == 0:
		return Added, false
	case len(next) == 0:
		return Removed, false
	}
	oldFiles, oldTables := digests(old)
	files, tables := digests(next)
	same := slices.Equal(oldFiles, files)
	byContent = oldTables != nil && tables != nil
	switch {
	case same:
		return Unchanged, byContent
	case byContent && slices.Equal(oldTables, tables):
		return SameData, true
	}
	return Changed, byContent
}

// digests returns the sorted digests of files, and of their contents where each has
// one.
func digests(list []trial.Logged) (files, tables [][32]byte) {
	whole := true
	for _, l := range list {
		for i := range l.Statement.Subjects {
			d := l.Statement.Subjects[i].Digests
			table, ok := d.Get(trial.DigestTable)
			whole = whole && ok
			tables = append(tables, table)
			file, ok := d.Get(trial.DigestSHA256)
			if !ok && len(d) > 0 {
				file = d[0].Sum // of a manifest
			}
			files = append(files, file)
		}
	}
	compare := func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(files, compare)
	slices.SortFunc(tables, compare)
	if !whole {
		tables = nil
	}
	return files, tables
}
