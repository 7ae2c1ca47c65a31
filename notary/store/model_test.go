package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// model is the store as a person would say it: every statement with where it
// was logged, in the order of arrival, the mark, and how far the log is placed.
type model struct {
	t       *testing.T
	s       *Store
	world   // stored statements, oldest first
	made    int
	mark    notary.Mark
	upTo    uint64
	dropped []*notary.Record
}

func (m *model) find(id trial.ID) *notary.Record {
	for _, r := range m.records {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// any draws a statement that the model holds, or skips.
func (m *model) any(t *rapid.T) *notary.Record {
	if len(m.records) == 0 {
		t.Skip("nothing stored")
	}
	return m.records[rapid.IntRange(0, len(m.records)-1).Draw(t, "statement")]
}

func (m *model) Put(t *rapid.T) {
	var batch []*notary.Record
	for range rapid.IntRange(0, 6).Draw(t, "new") {
		m.made++
		r := drawRecord(t, fmt.Sprint("m", m.made))
		r.Registry = rapid.SliceOfN(rapid.SampledFrom([]string{"nct:1", "nct:2"}), 0, 2).Draw(t, "registry")
		if len(r.Registry) == 0 {
			r.Registry = nil
		}
		batch = append(batch, r)
	}
	for range rapid.IntRange(0, 2).Draw(t, "again") {
		if len(m.records) > 0 {
			again := *m.any(t)
			again.Logged, again.Envelope.Sig, again.LeafHash = false, []byte("another"), [32]byte{1}
			batch = append(batch, &again)
		}
	}
	broken := rapid.IntRange(0, 9).Draw(t, "broken") == 0
	if broken {
		batch = append(batch, newRecord("broken", func(r *notary.Record) { r.Site = "\x00" }))
	}
	if _, err := m.s.Put(m.t.Context(), batch); (err != nil) != broken {
		t.Fatal(err)
	}
	if broken {
		return
	}
	for _, r := range batch {
		if m.find(r.ID) == nil {
			m.records = append(m.records, r)
		}
	}
}

func (m *model) Place(t *rapid.T) {
	var placed []notary.Placed
	next := maps.Collect(func(yield func(trial.ID, *notary.Record) bool) {
		for _, r := range m.records {
			c := *r
			if !yield(r.ID, &c) {
				return
			}
		}
	})
	var want error
	for range rapid.IntRange(1, 5).Draw(t, "batch") {
		r := next[m.any(t).ID]
		index := uint64(rapid.IntRange(0, 60).Draw(t, "index"))
		placed = append(placed, notary.Placed{ID: r.ID, Index: index, LogTime: logTime(index)})
		if want != nil || r.Logged && r.Index <= index {
			continue
		}
		for _, other := range next {
			if other.Logged && other.Index == index {
				want = ErrIndexTaken
			}
		}
		r.Logged, r.Index, r.LogTime = true, index, logTime(index)
	}
	if err := m.s.Place(m.t.Context(), placed); !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if want == nil {
		for i, r := range m.records {
			m.records[i] = next[r.ID]
		}
	}
}

func (m *model) Drop(t *rapid.T) {
	var drop []trial.ID
	var want error
	for range rapid.IntRange(1, 3).Draw(t, "batch") {
		r := m.any(t)
		drop = append(drop, r.ID)
		if r.Logged {
			want = ErrPlaced
		}
	}
	if err := m.s.Drop(m.t.Context(), append(drop, trial.ID{0xdd})); !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if want != nil {
		return
	}
	m.records = slices.DeleteFunc(m.records, func(r *notary.Record) bool {
		gone := slices.Contains(drop, r.ID)
		if gone {
			m.dropped = append(m.dropped, r)
		}
		return gone
	})
}

func (m *model) AdvanceMark(t *rapid.T) {
	from := m.mark
	if rapid.IntRange(0, 2).Draw(t, "stale") == 0 {
		from = mark(uint64(rapid.IntRange(0, 9).Draw(t, "from")))
	}
	to := mark(from.Size + uint64(rapid.IntRange(0, 3).Draw(t, "step")))
	var want error
	if from != m.mark {
		want = notary.ErrMarkConflict
	}
	if err := m.s.AdvanceMark(m.t.Context(), from, to); !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	if want == nil {
		m.mark = to
	}
}

func (m *model) SetPlacedUpTo(t *rapid.T) {
	m.upTo = rapid.Uint64Range(0, 1<<62).Draw(t, "size")
	if err := m.s.SetPlacedUpTo(m.t.Context(), m.upTo); err != nil {
		t.Fatal(err)
	}
}

func (m *model) Reopen(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "reopen") > 0 {
		t.Skip("opening takes long under the race detector")
	}
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(m.s.Path())
	if err != nil {
		t.Fatal(err)
	}
	m.s = s
	m.s.maxRecent, s.maxInRow = 3, 180 // some payloads are larger
}

func (m *model) List(t *rapid.T) {
	q := drawQuery(t)
	got, err := m.s.List(m.t.Context(), q)
	if want := m.list(q); err != nil || !slices.Equal(ids(got), ids(want)) {
		t.Fatalf("%+v: got %v, %v, want %v", q, ids(got), err, ids(want))
	}
}

func (m *model) Get(t *rapid.T) {
	want := m.any(t)
	if got, err := m.s.Get(m.t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, asRead(want)) {
		t.Fatalf("Get: got %+v, %v, want %+v", got, err, want)
	}
	if got, err := m.s.ByLeaf(m.t.Context(), want.LeafHash); err != nil || !reflect.DeepEqual(got, asRead(want)) {
		t.Fatalf("ByLeaf: got %+v, %v, want %+v", got, err, want)
	}
	for _, r := range m.dropped {
		if _, err := m.s.Get(m.t.Context(), r.ID); !errors.Is(err, notary.ErrNotFound) {
			t.Fatalf("dropped: got %v, want ErrNotFound", err)
		}
	}
}

func (m *model) MarkBefore(t *rapid.T) {
	index := uint64(rapid.IntRange(0, 70).Draw(t, "index"))
	var want *notary.Record
	for _, r := range m.records {
		if r.Logged && r.Charter.IsZero() && r.Kind == trial.KindTimeMark && r.Index < index && (want == nil || r.Index > want.Index) {
			want = r
		}
	}
	got, err := m.s.MarkBefore(m.t.Context(), index)
	if want == nil {
		if !errors.Is(err, notary.ErrNotFound) {
			t.Fatalf("got %v, want ErrNotFound", err)
		}
	} else if err != nil || !reflect.DeepEqual(got, asRead(want)) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

func (m *model) Trials(t *rapid.T) {
	number := rapid.SampledFrom([]string{"nct:1", "nct:2", "nct:3"}).Draw(t, "number")
	var want []trial.ID
	for _, r := range m.list(notary.Query{After: -1, Limit: 1000}) {
		if !r.Charter.IsZero() && slices.Contains(r.Registry, number) && !slices.Contains(want, r.Charter) {
			want = append(want, r.Charter)
		}
	}
	if got, err := m.s.Trials(m.t.Context(), number); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}

// Check is run after every step.
func (m *model) Check(t *rapid.T) {
	var want []*notary.Record
	for _, r := range m.records {
		if !r.Logged {
			want = append(want, r)
		}
	}
	if got, err := m.s.Pending(m.t.Context()); err != nil || !slices.EqualFunc(got, want, func(a, b *notary.Record) bool {
		return a.ID == b.ID && bytes.Equal(a.Envelope.Payload, b.Envelope.Payload) && !a.Logged
	}) {
		t.Fatalf("pending: got %v, %v, want %v", ids(got), err, ids(want))
	}
	if n, err := m.s.CountPending(m.t.Context()); err != nil || n != int64(len(want)) {
		t.Fatalf("pending: counted %d, %v, want %d", n, err, len(want))
	}
	if got, ok, err := m.s.LoadMark(m.t.Context()); err != nil || got != m.mark || ok != (m.mark != notary.Mark{}) {
		t.Fatalf("mark: got %v, %v, %v, want %v", got, ok, err, m.mark)
	}
	if got, err := m.s.PlacedUpTo(m.t.Context()); err != nil || got != m.upTo {
		t.Fatalf("placed: got %d, %v, want %d", got, err, m.upTo)
	}
}

// wipe empties the store: making a new one takes longer than a whole check.
func wipe(t *rapid.T, s *Store) {
	for _, table := range []string{"runs", "pieces", "entries", "pending", "statements", "mark", "meta"} {
		if _, err := s.w.Exec("DELETE FROM " + table); err != nil {
			t.Fatal(err)
		}
	}
	s.lookups.state = nil
	s.maxRecent, s.maxInRow = 3, 180 // some payloads are larger
}

// TestAgainstModel runs drawn sequences of calls on a store and on the model.
func TestAgainstModel(t *testing.T) {
	s := newStore(t)
	rapid.Check(t, func(rt *rapid.T) {
		wipe(rt, s)
		m := &model{t: t, s: s}
		defer func() { s = m.s }()
		rt.Repeat(map[string]func(*rapid.T){
			"": m.Check, "Put": m.Put, "Place": m.Place, "Drop": m.Drop, "AdvanceMark": m.AdvanceMark,
			"SetPlacedUpTo": m.SetPlacedUpTo, "Reopen": m.Reopen, "List": m.List, "Get": m.Get,
			"MarkBefore": m.MarkBefore, "Trials": m.Trials,
		})
		if err := m.s.Check(t.Context()); err != nil {
			rt.Fatal(err)
		}
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
