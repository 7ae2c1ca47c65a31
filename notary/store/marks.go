package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/trialnotary/trialnotary/notary"
)

// ErrMarksDisagree means that the two copies of the high-water mark differ by
// more than an interrupted step: one of them was restored from an older moment.
var ErrMarksDisagree = errors.New("the two copies of the high-water mark disagree")

// PathMark is a mark store that can be named to an operator.
type PathMark interface {
	notary.MarkStore
	Path() string
}

// Marks keeps the high-water mark in the database and in a second place, and
// demands that both agree, so that restoring the volume of either from an older
// moment is seen.
//
// A step goes to the database first, which keeps the mark that it replaced, and
// then to the second place; only then does AdvanceMark return, and only then may
// a checkpoint be signed. A crash between the two writes thus leaves exactly one
// picture: the second place holds the mark that the database names as replaced.
// That picture is completed at the next load, by bringing the second place
// forward. It is safe to take the larger mark whatever made the picture: the
// larger one is what was signed at most, and a log that cannot reproduce it is
// refused. Every other difference is refused with ErrMarksDisagree. Taking the
// larger mark there would be wrong: if both volumes were restored, each to
// another moment, neither holds what was signed last.
//
// What remains unseen is both volumes restored to one moment, or to two that are
// one step apart. Clients that keep the newest checkpoint see that.
type Marks struct {
	db     *Store
	second PathMark
	// readOnly leaves an interrupted step as it is.
	readOnly bool
	// mu keeps a load from completing a step that an advance of this process is
	// taking.
	mu sync.Mutex
}

var _ notary.MarkStore = (*Marks)(nil)

// NewMarks combines the two. The caller closes db.
func NewMarks(db *Store, second PathMark) *Marks { return &Marks{db: db, second: second} }

// NewReadOnlyMarks combines the two and writes neither: a step that was interrupted
// counts as taken.
func NewReadOnlyMarks(db *Store, second PathMark) *Marks {
	return &Marks{db: db, second: second, readOnly: true}
}

// LoadMark implements notary.MarkStore. It fails with ErrMarksDisagree, naming
// the older copy and the entries that it lacks.
func (m *Marks) LoadMark(ctx context.Context) (notary.Mark, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.load(ctx)
}

func (m *Marks) load(ctx context.Context) (notary.Mark, bool, error) {
	first, ok, err := m.db.lastStep(ctx)
	if err != nil {
		return notary.Mark{}, false, err
	}
	second, okSecond, err := m.second.LoadMark(ctx)
	if err != nil {
		return notary.Mark{}, false, err
	}
	// Both may have moved on between the two readings, by another process.
	if again, _, err := m.db.lastStep(ctx); err != nil || again != first {
		if err != nil {
			return notary.Mark{}, false, err
		}
		return m.load(ctx)
	}
	switch {
	case ok == okSecond && first.mark == second:
		return second, ok, nil
	case ok && second == first.previous && m.readOnly:
		return first.mark, true, nil
	case ok && second == first.previous:
		if err := m.second.AdvanceMark(ctx, second, first.mark); err != nil {
			return notary.Mark{}, false, fmt.Errorf("completing an interrupted step: %w", err)
		}
		return first.mark, true, nil
	default:
		return notary.Mark{}, false, m.disagree(first.mark, second)
	}
}

// disagree names the copy that is older.
func (m *Marks) disagree(first, second notary.Mark) error {
	if first.Size == second.Size && first != (notary.Mark{}) && second != (notary.Mark{}) {
		return fmt.Errorf("%w: %s and %s hold different roots for size %d",
			ErrMarksDisagree, m.db.Path(), m.second.Path(), first.Size)
	}
	older, newer := m.second.Path(), m.db.Path()
	low, high := second, first
	if first.Size < second.Size || first == (notary.Mark{}) {
		older, newer, low, high = newer, older, first, second
	}
	return fmt.Errorf("%w: %s holds size %d and %s holds size %d: the first is older and lacks %d entries",
		ErrMarksDisagree, older, low.Size, newer, high.Size, high.Size-low.Size)
}

// AdvanceMark implements notary.MarkStore. After an error, load again: the
// database may be one step ahead.
func (m *Marks) AdvanceMark(ctx context.Context, from, to notary.Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	got, _, err := m.load(ctx)
	if err != nil {
		return err
	}
	if got != from {
		return fmt.Errorf("%w: got size %d, want %d", notary.ErrMarkConflict, got.Size, from.Size)
	}
	if err := m.db.AdvanceMark(ctx, from, to); err != nil {
		return err
	}
	return m.second.AdvanceMark(context.WithoutCancel(ctx), from, to)
}
