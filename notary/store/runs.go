package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
)

const (
	// maxRecent is Store.maxRecent: how many statements a start reads again, at most.
	maxRecent = 1 << 14
	// fanout runs of one level become one of the next. Runs of the last level
	// stay as they are, so that no write waits for a merge of more than half a
	// million pairs, or of some more where statements have a few files each: see
	// levelOf. Each pair is thus written twice; with more levels of fewer runs a
	// lookup would read less, and every statement would cost more.
	fanout    = 16
	lastLevel = 1
	// piecePairs is how many pairs a piece has: a page of the file.
	piecePairs = 500
	// pieceBits are the low bits of a piece's number: its place in the run.
	pieceBits = 20
)

func (r *run) pieceID(at int) int64 { return r.id<<pieceBits | int64(at) }

// pieceRange returns the lowest and the highest number that a piece of the run has.
func (r *run) pieceRange() (low, high int64) { return r.pieceID(0), r.pieceID(1<<pieceBits - 1) }

// mayHold yields the pieces that may hold a key: equal keys may begin in the piece
// before the first that starts with them.
func (r *run) mayHold(key uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		at, _ := slices.BinarySearch(r.first, key)
		for at = max(at-1, 0); at < len(r.first) && r.first[at] <= key; at++ {
			if !yield(at) {
				return
			}
		}
	}
}

// encodeKeys writes keys as the column first has them.
func encodeKeys(keys []uint64) []byte {
	text := make([]byte, 0, 8*len(keys))
	for _, key := range keys {
		text = binary.BigEndian.AppendUint64(text, key)
	}
	return text
}

func comparePairs(a, b pair) int {
	if a.key != b.key {
		return cmp.Compare(a.key, b.key)
	}
	return cmp.Compare(a.n, b.n)
}

// grown is a state with the pairs of new statements, whose numbers are above after
// and end with last. Where enough came together they are written as runs.
func (s *Store) grown(ctx context.Context, tx *sql.Tx, fresh [lookupKinds][]pair, after, last int64) (*lookupState, error) {
	old := s.lookups.get()
	if old == nil || old.top < after {
		// The transaction has the new statements already.
		return s.loadLookups(ctx, tx)
	}
	next := &lookupState{newest: old.newest, runs: old.runs, top: max(old.top, last), unread: old.unread}
	written := false
	for kind := range lookupKinds { // byLeaf first
		recent := old.recent[kind]
		next.recent[kind] = append(recent, fresh[kind]...) // behind the end of the old state's
		// Every statement has a leaf hash, but few may have a file's digest. Those few
		// are written with it, or a start would read all statements again for them.
		if len(next.recent[kind]) < s.maxHeld(kind) && !written {
			continue
		}
		written = true
		pairs := sortedPairs(next.recent[kind])
		next.recent[kind] = make([]pair, 0, len(pairs))
		if err := s.addRun(ctx, tx, next, run{kind: kind, level: s.levelOf(len(pairs)), upto: last}, pairs); err != nil {
			return nil, fmt.Errorf("writing a run: %w", err)
		}
		if kind == byDigest {
			if err := s.keepUnread(ctx, tx, next.unread); err != nil {
				return nil, fmt.Errorf("writing what a run lacks: %w", err)
			}
		}
	}
	return next, nil
}

// maxHeld is how many pairs are held in memory before they become a run. Those of
// digests may be many more than the statements that a start reads again for them: so
// those of statements about folders are written once, as a run that is never merged.
func (s *Store) maxHeld(kind lookupKind) int {
	if kind == byDigest {
		return s.maxRecent * fanout
	}
	return s.maxRecent
}

// levelOf returns the lowest level of a run with so many pairs. A batch may bring
// any number of them, and runs that are much too large for their level would make
// every merge above as much too large.
func (s *Store) levelOf(pairs int) int {
	level := 0
	for ; pairs >= s.maxRecent*fanout/4 && level < lastLevel; level++ {
		pairs /= fanout
	}
	return level
}

// addRun writes a run and merges it with those of its level once they are enough.
func (s *Store) addRun(ctx context.Context, tx *sql.Tx, state *lookupState, r run, pairs []pair) error {
	if err := s.writeRun(ctx, tx, state, r, pairs); err != nil {
		return err
	}
	var equal []run
	for _, other := range state.runs {
		if other.kind == r.kind && other.level == r.level {
			equal = append(equal, other)
		}
	}
	if len(equal) < fanout || r.level == lastLevel {
		return nil
	}
	merged := run{kind: r.kind}
	pairs = nil
	for _, one := range equal {
		of, err := s.readRun(ctx, tx, &one)
		if err != nil {
			return err
		}
		pairs = append(pairs, of...)
		merged.upto = max(merged.upto, one.upto)
	}
	pairs = sortedPairs(pairs)
	merged.level = max(r.level+1, s.levelOf(len(pairs)))
	// The new one first: a run's number is never used again.
	if err := s.addRun(ctx, tx, state, merged, pairs); err != nil {
		return err
	}
	for _, one := range equal {
		if err := s.dropRun(ctx, tx, state, one.id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) writeRun(ctx context.Context, tx *sql.Tx, state *lookupState, r run, pairs []pair) error {
	r.id = state.newest + 1
	put := tx.StmtContext(ctx, s.write.putPiece)
	var piece []byte
	for of := range slices.Chunk(pairs, piecePairs) {
		piece = piece[:0]
		for _, p := range of {
			piece = appendPair(piece, p)
		}
		if _, err := put.ExecContext(ctx, r.pieceID(len(r.first)), piece); err != nil {
			return err
		}
		r.first = append(r.first, of[0].key)
	}
	if _, err := tx.StmtContext(ctx, s.write.putRun).ExecContext(ctx, r.id, int(r.kind), r.level, r.upto, encodeKeys(r.first)); err != nil {
		return err
	}
	state.runs, state.newest = append(slices.Clip(state.runs), r), r.id
	return nil
}

func (s *Store) readRun(ctx context.Context, tx *sql.Tx, r *run) ([]pair, error) {
	low, high := r.pieceRange()
	rows, err := tx.StmtContext(ctx, s.write.pieces).QueryContext(ctx, low, high)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	pairs := make([]pair, 0, len(r.first)*piecePairs)
	for rows.Next() {
		var piece sql.RawBytes
		if err := rows.Scan(&piece); err != nil {
			return nil, err
		}
		for i := range len(piece) / pairSize {
			pairs = append(pairs, pairAt(piece, i))
		}
	}
	return pairs, rows.Err()
}

func (s *Store) dropRun(ctx context.Context, tx *sql.Tx, state *lookupState, id int64) error {
	low, high := (&run{id: id}).pieceRange()
	if _, err := tx.StmtContext(ctx, s.write.dropPieces).ExecContext(ctx, low, high); err != nil {
		return err
	}
	if _, err := tx.StmtContext(ctx, s.write.dropRun).ExecContext(ctx, id); err != nil {
		return err
	}
	state.runs = slices.DeleteFunc(slices.Clone(state.runs), func(r run) bool { return r.id == id })
	return nil
}

// without is a state without the pairs of a statement that is dropped: nothing of
// it shall stay in the file, and a few bytes of a hash are enough to test a guess.
func (s *Store) without(ctx context.Context, tx *sql.Tx, state *lookupState, n int64) (*lookupState, error) {
	if state == nil {
		state = s.lookups.get()
	}
	if state == nil {
		var err error
		if state, err = s.loadLookups(ctx, tx); err != nil {
			return nil, err
		}
	}
	var gone statementPairs
	if _, err := s.eachStatement(ctx, tx, n-1, 1, 0, func(of statementPairs) { gone = of }); err != nil {
		return nil, err
	}
	if gone.unread != nil {
		return nil, leftAlone{fmt.Errorf("%w; restore it before it is dropped", gone.unread)}
	}
	next := &lookupState{newest: state.newest, runs: slices.Clone(state.runs), top: state.top}
	next.unread = slices.DeleteFunc(slices.Clone(state.unread), func(other int64) bool { return other == n })
	for kind := range lookupKinds {
		next.recent[kind] = slices.DeleteFunc(slices.Clone(state.recent[kind]), func(p pair) bool { return p.n == n })
		for _, p := range gone.pairs[kind] {
			if err := s.cut(ctx, tx, next, kind, p); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}

// cut takes a pair out of the pieces that have it, and out of the list of their
// first keys.
func (s *Store) cut(ctx context.Context, tx *sql.Tx, state *lookupState, kind lookupKind, gone pair) error {
	for i := range state.runs {
		r := &state.runs[i]
		if r.kind != kind || gone.n > r.upto {
			continue
		}
		if err := cutRun(ctx, tx, r, gone); err != nil {
			return err
		}
	}
	return nil
}

func cutRun(ctx context.Context, tx *sql.Tx, r *run, gone pair) error {
	first := slices.Clone(r.first)
	// From the end: of a piece in which nothing is left the list has the next one's key.
	for _, at := range slices.Backward(slices.Collect(r.mayHold(gone.key))) {
		kept, err := cutPiece(ctx, tx, r.pieceID(at), gone)
		if err != nil {
			return err
		}
		switch {
		case len(kept) > 0:
			first[at] = pairAt(kept, 0).key
		case at+1 < len(first):
			first[at] = first[at+1]
		default:
			first[at] = math.MaxUint64 // nothing is left behind it
		}
	}
	if slices.Equal(first, r.first) {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE runs SET first = ? WHERE run = ?`, encodeKeys(first), r.id); err != nil {
		return err
	}
	r.first = first
	return nil
}

func cutPiece(ctx context.Context, tx *sql.Tx, id int64, gone pair) (kept []byte, err error) {
	var piece []byte
	if err := tx.QueryRowContext(ctx, `SELECT pairs FROM pieces WHERE piece = ?`, id).Scan(&piece); err != nil {
		return nil, err
	}
	kept = []byte{} // no NULL
	for i := range len(piece) / pairSize {
		if p := pairAt(piece, i); p != gone {
			kept = appendPair(kept, p)
		}
	}
	if len(kept) < len(piece) {
		_, err = tx.ExecContext(ctx, `UPDATE pieces SET pairs = ? WHERE piece = ?`, kept, id)
	}
	return kept, err
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
