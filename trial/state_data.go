package trial

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"time"
)

// data is the part of the state about datasets.
type data struct {
	series map[seriesKey]*series
	order  []*series // as they began
	bySite map[string][]*series
	// migrated: a declared backfill was too far behind the log already.
	migrated bool
}

func (d *data) begin() {
	d.series, d.bySite = map[seriesKey]*series{}, map[string][]*series{}
}

// seriesKey is what successive extracts of the same data have in common.
type seriesKey struct {
	site, source, dataset string
	derived               bool
}

// series are the successive extracts of the same data.
type series struct {
	seriesKey
	newest *extract
	// The rest is of source data, which come at a cadence.
	count       uint64
	first, last time.Time // log times
	lastIndex   uint64
	// since is when the cadence was kept last: by an extract that is no backfill, or
	// by a backfill as long as there is no other.
	since   time.Time
	routine bool // there is one that is no backfill
}

// extract is a logged dataset. A trial has many, so it holds little.
type extract struct {
	series *series
	act    *Act // while it waits for an endorsement, which few charters ask for
	// file identifies the bytes, and table the content where every file has a
	// content digest.
	file, table [32]byte
	hasTable    bool
	superseded  bool    // a later dataset names it as the one it replaces
	locks       []*lock // that it derives from, in log order
}

// noteData keeps what later acts may ask of data.
func (s *State) noteData(act *Act, b *DataBody) *extract {
	st := act.Statement
	p := &st.Predicate
	x := &extract{series: s.seriesOf(st, b), locks: s.reached(p.Lineage)}
	x.digest(st.Subjects)
	if act.Status == StatusPending {
		x.act = act
	}
	if old, ok := s.records[p.Supersedes].what.(*extract); ok {
		old.superseded = true
	}
	r := x.series
	r.newest = x
	if isSource(p.Kind, b) {
		if r.count == 0 {
			r.first = act.Time
		}
		r.count++
		r.last, r.lastIndex = act.Time, act.Index
		if !b.Migration || !r.routine {
			r.since, r.routine = act.Time, !b.Migration
		}
	}
	s.data.migrated = s.data.migrated || b.Migration && s.tooFarBehind(act)
	return x
}

// isSource tells whether data come from their source at a cadence.
func isSource(k Kind, b *DataBody) bool {
	return k == KindDataset && b.Purpose != PurposeSubmission
}

func keyOf(st *Statement, b *DataBody) seriesKey {
	p := &st.Predicate
	return seriesKey{p.Site, b.SourceSystem, b.Dataset, p.Kind == KindDerivedDataset}
}

func (s *State) seriesOf(st *Statement, b *DataBody) *series {
	k := keyOf(st, b)
	r := s.data.series[k]
	if r == nil {
		// A statement's strings share memory with all of it.
		k.site, k.source, k.dataset = strings.Clone(k.site), strings.Clone(k.source), strings.Clone(k.dataset)
		r = &series{seriesKey: k}
		s.data.series[k] = r
		s.data.order = append(s.data.order, r)
		s.data.bySite[k.site] = append(s.data.bySite[k.site], r)
	}
	return r
}

// digest keeps what tells data from other data: the digests of the one file, or a
// digest of those of all.
func (x *extract) digest(subjects []Subject) {
	files, tables := make([][32]byte, 0, 1), make([][32]byte, 0, 1)
	for i := range subjects {
		d := subjects[i].Digests
		if sum, ok := d.Get(DigestTable); ok {
			tables = append(tables, sum)
		}
		sum, ok := d.Get(DigestSHA256)
		if !ok && len(d) > 0 {
			sum = d[0].Sum // of a manifest
		}
		files = append(files, sum)
	}
	x.file = sumOf(files)
	if x.hasTable = len(tables) > 0 && len(tables) == len(files); x.hasTable {
		x.table = sumOf(tables)
	}
}

// sumOf returns one digest for several, whatever their order.
func sumOf(sums [][32]byte) [32]byte {
	if len(sums) == 1 {
		return sums[0]
	}
	slices.SortFunc(sums, func(a, b [32]byte) int { return slices.Compare(a[:], b[:]) })
	h := sha256.New()
	for _, s := range sums {
		h.Write(s[:])
	}
	return [32]byte(h.Sum(nil))
}

// same tells whether two extracts hold the same data: by their content where both
// have a digest of it, else by their files.
func (x *extract) same(y *extract) bool {
	if x.hasTable && y.hasTable {
		return x.table == y.table
	}
	return x.file == y.file
}

// current tells whether an extract is the current version of its data: nothing
// says that it replaces it, and where the dataset has a name nothing came later
// under the same site, source and name.
func (x *extract) current() bool {
	return !x.superseded && (x.series.dataset == "" || x.series.newest == x)
}

// maxReached bounds how many locks a statement is known to derive from. The
// newest stay.
const maxReached = 256

// reached returns the locks that a lineage leads to, directly or through other
// data. What it names must be logged already, so that there are no circles.
func (s *State) reached(lineage []ID) []*lock {
	var out []*lock
	shared := false // with an extract
	for _, id := range lineage {
		var more []*lock
		switch w := s.records[id].what.(type) {
		case *lock:
			more = []*lock{w}
		case *baseline:
			if w.lock != nil {
				more = []*lock{w.lock}
			}
		case *extract:
			more = w.locks
		}
		switch {
		case len(more) == 0 || slices.Equal(out, more):
		case len(out) == 0:
			out, shared = more, true
		default:
			if shared {
				out, shared = slices.Clone(out), false
			}
			out = mergeLocks(out, more)
		}
	}
	return out
}

// mergeLocks returns the locks of both in log order, each once, the newest where
// they are too many.
func mergeLocks(a, b []*lock) []*lock {
	a = append(a, b...)
	slices.SortFunc(a, func(x, y *lock) int { return cmp.Compare(x.order, y.order) })
	a = slices.Compact(a)
	return a[max(0, len(a)-maxReached):]
}

// ended tells whether no more extracts are due of a site, or of the trial where
// site is "".
func (s *State) ended(site string) bool {
	if s.conduct.ended != nil {
		return true
	}
	at := s.conduct.sites[site]
	return site != "" && at != nil && (at.lastVisit != nil || at.closed != nil)
}

// gapLimit is the longest time between two extracts that is not late.
func (s *State) gapLimit() time.Duration {
	return s.period(ParameterCadenceDays) + s.period(ParameterGraceDays)
}

// late returns the series of a site whose next extract is overdue at a time, or of
// all sites where site is "".
func (s *State) late(site string, at time.Time) []*series {
	list := s.data.order
	if site != "" {
		list = s.data.bySite[site]
	}
	limit := s.gapLimit()
	var out []*series
	for _, r := range list {
		if !r.since.IsZero() && at.Sub(r.since) > limit && !s.ended(r.site) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *series) int { return a.compare(&b.seriesKey) })
	return out
}

func (k *seriesKey) compare(o *seriesKey) int {
	return cmp.Or(cmp.Compare(k.site, o.site), cmp.Compare(k.dataset, o.dataset), cmp.Compare(k.source, o.source))
}

// String names data in plain words, such as "AE of site 704 from Example EDC".
func (k *seriesKey) String() string {
	name := k.dataset
	if name == "" {
		name = "data"
	}
	if k.site == "" {
		name += " of the trial"
	} else {
		name += " of site " + k.site
	}
	if k.source != "" {
		name += " from " + k.source
	}
	return name
}
