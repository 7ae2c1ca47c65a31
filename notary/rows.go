package notary

import (
	"context"
	"fmt"
	"slices"

	"github.com/trialnotary/trialnotary/trial"
)

// rowsAtOnce is how many statements a check reads in one look-up.
const rowsAtOnce = 256

// rows reads a store's placed statements in log order, a piece at a time: a long
// read would keep the database's write-ahead log from being emptied.
type rows struct {
	store Store
	below uint64
	piece []*Record
	after int64 // the highest index read, plus one
	done  bool
}

// at returns the statement at index, if there is one. The indexes asked for ascend
// by one.
func (r *rows) at(ctx context.Context, index uint64) (row *Record, ok bool, err error) {
	if len(r.piece) == 0 && !r.done {
		if err := r.read(ctx); err != nil {
			return nil, false, err
		}
	}
	if len(r.piece) == 0 || r.piece[0].Index != index {
		return nil, false, nil
	}
	row, r.piece = r.piece[0], r.piece[1:]
	return row, true, nil
}

func (r *rows) read(ctx context.Context) error {
	piece, err := r.store.List(ctx, Query{After: r.after - 1, Below: r.below, Limit: rowsAtOnce})
	if err != nil {
		return err
	}
	r.piece, r.done = piece, len(piece) < rowsAtOnce
	if len(piece) > 0 {
		r.after = int64(piece[len(piece)-1].Index) + 1
	}
	return nil
}

// projected demands that what the database selects a statement by is what the
// statement says, and returns the log entry that it gives. Whether it may change
// its trial's authority follows from more than itself, and is not judged.
func projected(st *trial.Statement, rec *Record) ([]byte, error) {
	key, err := trial.ParsePublicKeyDER(rec.SignerDER)
	if err != nil {
		return nil, fmt.Errorf("%w: stored statement %s: %w", ErrDamaged, rec.ID, err)
	}
	want, entry := newRecord(&rec.Envelope, st, key, rec.Authority)
	for _, field := range []struct {
		name  string
		equal bool
	}{
		{"leaf hash", rec.LeafHash == want.LeafHash},
		{"charter", rec.Charter == want.Charter},
		{"site", rec.Site == want.Site},
		{"kind", rec.Kind == want.Kind},
		{"version", rec.Version == want.Version},
		{"superseded statement", rec.Supersedes == want.Supersedes},
		{"key", rec.KeyID == want.KeyID},
		{"registry numbers", slices.Equal(rec.Registry, want.Registry)},
	} {
		if !field.equal {
			return nil, fmt.Errorf("%w: the database's %s of statement %s differs from the statement itself", ErrDamaged, field.name, rec.ID)
		}
	}
	return entry, nil
}
