package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"

	"github.com/trialnotary/trialnotary/notary"
)

// step is the high-water mark and the one that it replaced. The zero previous
// mark is none.
type step struct {
	previous, mark notary.Mark
}

// readStep returns the stored step; ok is false where no mark was ever stored.
func readStep(ctx context.Context, st *sql.Stmt) (got step, ok bool, err error) {
	var size, previousSize int64
	var root, previousRoot []byte
	err = st.QueryRowContext(ctx).Scan(&size, &root, &previousSize, &previousRoot)
	if errors.Is(err, sql.ErrNoRows) {
		return step{}, false, nil
	}
	if err != nil {
		return step{}, false, err
	}
	got.mark.Size, got.previous.Size = uint64(size), uint64(previousSize)
	copy(got.mark.Root[:], root)
	copy(got.previous.Root[:], previousRoot)
	return got, true, nil
}

// LoadMark implements notary.MarkStore.
func (s *Store) LoadMark(ctx context.Context) (notary.Mark, bool, error) {
	got, ok, err := s.lastStep(ctx)
	return got.mark, ok, err
}

func (s *Store) lastStep(ctx context.Context) (step, bool, error) {
	got, ok, err := readStep(ctx, s.read.getMark)
	return got, ok, s.failed("reading the high-water mark", err)
}

// AdvanceMark implements notary.MarkStore. It refuses a step that no log can
// take: a smaller tree, or another root for the same size. An error at the very
// end of the write leaves it open whether a crash will show the new mark: load
// it again before the next step.
func (s *Store) AdvanceMark(ctx context.Context, from, to notary.Mark) error {
	if err := checkStep(from, to); err != nil {
		return err
	}
	return s.inWrite(ctx, "advancing the high-water mark", func(ctx context.Context, tx *sql.Tx) error {
		got, ok, err := readStep(ctx, tx.StmtContext(ctx, s.write.getMark))
		if err != nil {
			return err
		}
		if got.mark != from || ok != (from != notary.Mark{}) {
			return fmt.Errorf("%w: got size %d, want %d", notary.ErrMarkConflict, got.mark.Size, from.Size)
		}
		if from == to {
			return nil
		}
		_, err = tx.StmtContext(ctx, s.write.setMark).ExecContext(ctx, int64(to.Size), to.Root[:], int64(from.Size), blob(from.Root))
		return err
	})
}

// checkStep refuses a step that no append-only log can take.
func checkStep(from, to notary.Mark) error {
	switch {
	case to == notary.Mark{}:
		return errors.New("invalid mark: got none, want a size and a root")
	case to.Size > math.MaxInt64:
		return fmt.Errorf("invalid mark: got size %d, want at most %d", to.Size, int64(math.MaxInt64))
	case to.Size < from.Size:
		return fmt.Errorf("invalid mark: got size %d, want at least %d", to.Size, from.Size)
	case to.Size == from.Size && to.Root != from.Root && from != notary.Mark{}:
		return fmt.Errorf("invalid mark: got another root for size %d", to.Size)
	}
	return nil
}

// metaPlaced is the row of meta that PlacedUpTo reads.
const metaPlaced = "placed_up_to"

// PlacedUpTo implements notary.Store.
func (s *Store) PlacedUpTo(ctx context.Context) (uint64, error) {
	var size int64
	err := s.read.getMeta.QueryRowContext(ctx, metaPlaced).Scan(&size)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return uint64(size), s.failed("reading how far the log is placed", err)
}

// SetPlacedUpTo implements notary.Store.
func (s *Store) SetPlacedUpTo(ctx context.Context, size uint64) error {
	if size > math.MaxInt64 {
		return fmt.Errorf("invalid size: got %d, want at most %d", size, int64(math.MaxInt64))
	}
	return s.inWrite(ctx, "storing how far the log is placed", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.StmtContext(ctx, s.write.setMeta).ExecContext(ctx, metaPlaced, int64(size))
		return err
	})
}
