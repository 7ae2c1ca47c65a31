package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trialnotary/trialnotary/notary"
)

func mark(size uint64) notary.Mark {
	return notary.Mark{Size: size, Root: [32]byte{byte(size), byte(size >> 8), 0xaa}}
}

// newFileMark returns a mark in a file that holds m.
func newFileMark(tb testing.TB, m notary.Mark) *FileMark {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "mark")
	if err := CreateFileMark(path, m); err != nil {
		tb.Fatal(err)
	}
	f, err := OpenFileMark(path)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// markStores are the stores that must behave alike, each with a second opener of
// the same mark.
var markStores = map[string]func(tb testing.TB) (first, second notary.MarkStore){
	"database": func(tb testing.TB) (notary.MarkStore, notary.MarkStore) {
		tb.Helper()
		s := newStore(tb)
		return s, openStore(tb, s.Path())
	},
	"file": func(tb testing.TB) (notary.MarkStore, notary.MarkStore) {
		tb.Helper()
		f := newFileMark(tb, notary.Mark{})
		again, err := OpenFileMark(f.Path())
		if err != nil {
			tb.Fatal(err)
		}
		return f, again
	},
	"both": func(tb testing.TB) (notary.MarkStore, notary.MarkStore) {
		tb.Helper()
		s, f := newStore(tb), newFileMark(tb, notary.Mark{})
		return NewMarks(s, f), NewMarks(openStore(tb, s.Path()), f)
	},
}

func TestMarkStores(t *testing.T) {
	for name, open := range markStores {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			holds := func(want notary.Mark, wantOK bool) {
				t.Helper()
				for _, s := range []notary.MarkStore{a, b} {
					if got, ok, err := s.LoadMark(t.Context()); err != nil || ok != wantOK || got != want {
						t.Fatalf("got %v, %v, %v, want %v, %v", got, ok, err, want, wantOK)
					}
				}
			}
			holds(notary.Mark{}, false)
			none := notary.Mark{}
			for _, step := range []struct {
				name     string
				s        notary.MarkStore
				from, to notary.Mark
				want     error  // a sentinel
				says     string // or a text
				holds    notary.Mark
			}{
				{"from a mark where there is none", a, mark(1), mark(2), notary.ErrMarkConflict, "", none},
				{"to none", a, none, none, nil, "invalid mark: got none", none},
				{"beyond the largest", a, none, notary.Mark{Size: math.MaxUint64}, nil, "invalid mark: got size", none},
				{"first", a, none, mark(0), nil, "", mark(0)},
				{"from none again", b, none, mark(5), notary.ErrMarkConflict, "", mark(0)},
				{"second", b, mark(0), mark(5), nil, "", mark(5)},
				{"behind the other", a, mark(0), mark(6), notary.ErrMarkConflict, "", mark(5)},
				{"the same", a, mark(5), mark(5), nil, "", mark(5)},
				{"back", a, mark(5), mark(4), nil, "invalid mark: got size 4, want at least 5", mark(5)},
				{"another root", a, mark(5), notary.Mark{Size: 5, Root: mark(6).Root}, nil, "another root for size 5", mark(5)},
				{"from another root", a, notary.Mark{Size: 5, Root: mark(6).Root}, mark(9), notary.ErrMarkConflict, "", mark(5)},
				{"the same of a mark that is not held", a, mark(7), mark(7), notary.ErrMarkConflict, "", mark(5)},
				{"on", a, mark(5), mark(math.MaxInt64), nil, "", mark(math.MaxInt64)},
			} {
				err := step.s.AdvanceMark(t.Context(), step.from, step.to)
				switch {
				case step.want == nil && step.says == "" && err != nil,
					step.want != nil && !errors.Is(err, step.want),
					step.says != "" && (err == nil || !strings.Contains(err.Error(), step.says)):
					t.Errorf("%s: got %v, want %v %s", step.name, err, step.want, step.says)
				}
				holds(step.holds, step.holds != none)
			}
		})
	}
}

// TestMarkRace lets many callers of two openers take the same steps: each step
// is taken by exactly one. Of two combinators over the same two places, one may
// complete the step that the other is taking, which then nobody has won.
func TestMarkRace(t *testing.T) {
	const steps, callers = 10, 6
	for name, open := range markStores {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			for i := range uint64(steps) {
				from := mark(i)
				if i == 0 {
					from = notary.Mark{}
				}
				var won atomic.Int32
				var all sync.WaitGroup
				for c := range callers {
					all.Go(func() {
						s := a
						if c%2 == 1 {
							s = b
						}
						err := s.AdvanceMark(t.Context(), from, mark(i+1))
						if err == nil {
							won.Add(1)
						} else if !errors.Is(err, notary.ErrMarkConflict) {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if n := won.Load(); n > 1 || n < 1 && name != "both" {
					t.Fatalf("step %d: got %d winners, want 1", i, n)
				}
				if got, _, err := a.LoadMark(t.Context()); err != nil || got != mark(i+1) {
					t.Fatalf("step %d: got %v, %v", i, got, err)
				}
			}
		})
	}
}

func TestMarkSurvivesReopen(t *testing.T) {
	s := newStore(t)
	if err := s.AdvanceMark(t.Context(), notary.Mark{}, mark(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetPlacedUpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, s.Path())
	if got, ok, err := s.LoadMark(t.Context()); err != nil || !ok || got != mark(3) {
		t.Errorf("got %v, %v, %v, want %v", got, ok, err, mark(3))
	}
	if got, err := s.PlacedUpTo(t.Context()); err != nil || got != 2 {
		t.Errorf("got %d, %v, want 2", got, err)
	}
}

func TestPlacedUpTo(t *testing.T) {
	s := newStore(t)
	for i, size := range []uint64{0, 7, 3, math.MaxInt64} {
		if i > 0 {
			if err := s.SetPlacedUpTo(t.Context(), size); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.PlacedUpTo(t.Context()); err != nil || got != size {
			t.Errorf("got %d, %v, want %d", got, err, size)
		}
	}
	if err := s.SetPlacedUpTo(t.Context(), math.MaxUint64); err == nil || !strings.Contains(err.Error(), "invalid size") {
		t.Errorf("got %v, want an error saying invalid size", err)
	}
}

// faultyMark is a second place that fails as disks do: before it wrote, or after.
type faultyMark struct {
	*FileMark
	before, after error
}

func (f *faultyMark) AdvanceMark(ctx context.Context, from, to notary.Mark) error {
	if f.before != nil {
		return f.before
	}
	return errors.Join(f.FileMark.AdvanceMark(ctx, from, to), f.after)
}

// TestMarksInterrupted stops a step at every point at which a crash can. The
// error is never that of a signed checkpoint, and the next load goes on.
func TestMarksInterrupted(t *testing.T) {
	crash := errors.New("crash")
	for _, first := range []bool{true, false} {
		from := notary.Mark{}
		if !first {
			from = mark(5)
		}
		for name, fault := range map[string]faultyMark{
			"before the second write": {before: crash},
			"after the second write":  {after: crash},
		} {
			t.Run(fmt.Sprintf("%s, first step %v", name, first), func(t *testing.T) {
				s, f := newStore(t), newFileMark(t, from)
				if !first {
					if err := s.AdvanceMark(t.Context(), notary.Mark{}, from); err != nil {
						t.Fatal(err)
					}
				}
				fault.FileMark = f
				if err := NewMarks(s, &fault).AdvanceMark(t.Context(), from, mark(8)); !errors.Is(err, crash) {
					t.Fatalf("got %v, want the crash", err)
				}
				// The old mark is gone for who still believes in it.
				if err := NewMarks(s, f).AdvanceMark(t.Context(), from, mark(9)); !errors.Is(err, notary.ErrMarkConflict) {
					t.Errorf("got %v, want ErrMarkConflict", err)
				}
				for _, m := range []notary.MarkStore{NewMarks(s, f), s, f} {
					if got, ok, err := m.LoadMark(t.Context()); err != nil || !ok || got != mark(8) {
						t.Errorf("got %v, %v, %v, want %v", got, ok, err, mark(8))
					}
				}
				if err := NewMarks(s, f).AdvanceMark(t.Context(), mark(8), mark(9)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Run("read only", func(t *testing.T) {
		s, f := newStore(t), newFileMark(t, notary.Mark{})
		if err := s.AdvanceMark(t.Context(), notary.Mark{}, mark(8)); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := NewReadOnlyMarks(s, f).LoadMark(t.Context()); err != nil || !ok || got != mark(8) {
			t.Errorf("got %v, %v, %v, want %v", got, ok, err, mark(8))
		}
		if _, ok, err := f.LoadMark(t.Context()); err != nil || ok {
			t.Errorf("the file was written: %v, %v", ok, err)
		}
	})
	t.Run("completing fails", func(t *testing.T) {
		s, f := newStore(t), newFileMark(t, notary.Mark{})
		if err := s.AdvanceMark(t.Context(), notary.Mark{}, mark(8)); err != nil {
			t.Fatal(err)
		}
		m := NewMarks(s, &faultyMark{FileMark: f, before: crash})
		if _, _, err := m.LoadMark(t.Context()); !errors.Is(err, crash) {
			t.Errorf("got %v, want the crash", err)
		}
	})
}

// TestMarksDisagree restores one volume or the other from an older moment.
func TestMarksDisagree(t *testing.T) {
	for _, tc := range []struct {
		name   string
		db     []uint64 // the steps of the database
		file   notary.Mark
		older  string // which one is named, "" where neither can be
		behind string
	}{
		{"file two steps behind", []uint64{3, 7, 12}, mark(3), "mark", "lacks 9 entries"},
		{"file anew", []uint64{3, 7}, notary.Mark{}, "mark", "lacks 7 entries"},
		{"database behind", []uint64{3, 7}, mark(12), "notary.db", "lacks 5 entries"},
		{"database anew", nil, mark(12), "notary.db", "lacks 12 entries"},
		{"database anew, empty log", nil, mark(0), "notary.db", "lacks 0 entries"},
		{"file behind, on another branch", []uint64{3, 7}, notary.Mark{Size: 3, Root: mark(4).Root}, "mark", "lacks 4 entries"},
		{"same size, another root", []uint64{3, 7}, notary.Mark{Size: 7, Root: mark(3).Root}, "", "different roots for size 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, f := newStore(t), newFileMark(t, tc.file)
			held := notary.Mark{}
			for _, size := range tc.db {
				if err := s.AdvanceMark(t.Context(), held, mark(size)); err != nil {
					t.Fatal(err)
				}
				held = mark(size)
			}
			m := NewMarks(s, f)
			_, _, err := m.LoadMark(t.Context())
			if !errors.Is(err, ErrMarksDisagree) || !strings.Contains(err.Error(), tc.behind) ||
				!strings.Contains(err.Error(), s.Path()) || !strings.Contains(err.Error(), f.Path()) {
				t.Fatalf("got %v, want ErrMarksDisagree saying %q and naming both", err, tc.behind)
			}
			if tc.older != "" && !strings.Contains(err.Error(), tc.older+" holds size ") {
				t.Errorf("got %v, want %s named", err, tc.older)
			}
			if tc.older != "" && strings.Index(err.Error(), tc.older+" holds") > strings.LastIndex(err.Error(), " and ") {
				t.Errorf("got %v, want %s named first", err, tc.older)
			}
			if err := m.AdvanceMark(t.Context(), held, mark(100)); !errors.Is(err, ErrMarksDisagree) {
				t.Errorf("advance: got %v, want ErrMarksDisagree", err)
			}
			if got, _, _ := f.LoadMark(t.Context()); got != tc.file {
				t.Errorf("the file was changed to %v", got)
			}
			if got, _, _ := s.LoadMark(t.Context()); got != held {
				t.Errorf("the database was changed to %v", got)
			}
		})
	}
}
