package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// A lookup leads from a hash to the statements that have it: from a leaf hash, or
// from the SHA-256 of a file. It is kept as sorted runs and not as an index of
// SQLite, because hashes have no order: each would go to a page of its own, and
// from some hundred thousand on that page would be written for this one hash
// alone. A statement about a thousand files wrote megabytes.
//
// A pair holds the first eight bytes of the hash and the statement's number. What
// it leads to is read and compared, so two hashes that begin alike, or a statement
// that was dropped, cost a look and no more. Pairs of the last statements are in
// memory alone: they are read from the statements again when the store is opened.
type pair struct {
	key uint64
	n   int64
}

const pairSize = 16

// lookupKind is what a lookup leads from.
type lookupKind int

const (
	byLeaf lookupKind = iota
	byDigest
	lookupKinds
)

// run is one sorted run of pairs in the file, cut into pieces.
type run struct {
	id    int64
	kind  lookupKind
	level int
	upto  int64    // the highest number of the statements that it covers
	first []uint64 // the first key of each piece
}

// lookupState is one state of the lookups. It is never changed: appending to
// recent writes behind the end that others see.
type lookupState struct {
	newest int64 // the highest run, which every change of the runs replaces
	top    int64 // the highest number of the statements that it covers
	runs   []run
	recent [lookupKinds][]pair
	// unread are the statements whose payloads could not be read, so that nobody
	// knows by which files they are to be found. Whoever looks for a file looks at
	// each of them.
	unread []int64
}

// lookups hold the newest state. It changes while the one write connection is
// held.
type lookups struct {
	mu    sync.Mutex
	state *lookupState
}

func (l *lookups) get() *lookupState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// set is for a write that was committed; nil leaves the state as it is.
func (l *lookups) set(state *lookupState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if state != nil {
		l.state = state
	}
}

// begin is for the first one who needs a state. A write that came meanwhile has
// read its own, from a later moment.
func (l *lookups) begin(state *lookupState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == nil {
		l.state = state
	}
}

func keyOf(hash []byte) uint64 {
	if len(hash) < 8 { // a damaged row must not panic
		return 0
	}
	return binary.BigEndian.Uint64(hash)
}

// pairsOf adds what leads to a statement.
func pairsOf(pairs *[lookupKinds][]pair, n int64, leaf []byte, subjects []trial.Subject) {
	pairs[byLeaf] = append(pairs[byLeaf], pair{keyOf(leaf), n})
	for _, s := range subjects {
		if digest, ok := s.Digests.Get(trial.DigestSHA256); ok {
			pairs[byDigest] = append(pairs[byDigest], pair{keyOf(digest[:]), n})
		}
	}
}

// find returns the numbers of statements that may have a hash.
func (s *Store) find(ctx context.Context, tx *sql.Tx, kind lookupKind, hash []byte) ([]int64, error) {
	state, err := s.lookupsOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	key := keyOf(hash)
	var numbers []int64
	for _, p := range state.recent[kind] {
		if p.key == key {
			numbers = append(numbers, p.n)
		}
	}
	piece := tx.StmtContext(ctx, s.read.piece)
	for i := range state.runs {
		r := &state.runs[i]
		if r.kind != kind {
			continue
		}
		for at := range r.mayHold(key) {
			var pairs []byte
			if err := piece.QueryRowContext(ctx, r.pieceID(at)).Scan(&pairs); err != nil {
				return nil, fmt.Errorf("%w: piece %d of run %d: %w", notary.ErrStoreDamaged, at, r.id, err)
			}
			numbers = appendFound(numbers, pairs, key)
		}
	}
	if kind == byDigest {
		numbers = append(numbers, state.unread...)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// appendFound adds the numbers that a piece has for a key.
func appendFound(numbers []int64, pairs []byte, key uint64) []int64 {
	low, high := 0, len(pairs)/pairSize
	for low < high {
		if mid := (low + high) / 2; pairAt(pairs, mid).key < key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for ; low < len(pairs)/pairSize && pairAt(pairs, low).key == key; low++ {
		numbers = append(numbers, pairAt(pairs, low).n)
	}
	return numbers
}

func pairAt(pairs []byte, i int) pair {
	at := pairs[i*pairSize:]
	return pair{binary.BigEndian.Uint64(at), int64(binary.BigEndian.Uint64(at[8:]))}
}

func appendPair(b []byte, p pair) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, p.key), uint64(p.n))
}

// lookupsOf returns the lookups as of a transaction. Those in memory may be of
// another moment; then they are read.
func (s *Store) lookupsOf(ctx context.Context, tx *sql.Tx) (*lookupState, error) {
	state := s.lookups.get()
	var newest, top int64
	if err := tx.StmtContext(ctx, s.read.newestRun).QueryRowContext(ctx).Scan(&newest, &top); err != nil {
		return nil, err
	}
	if state != nil && state.newest == newest && top <= state.top {
		return state, nil
	}
	loaded, err := s.loadLookups(ctx, tx)
	if err == nil {
		s.lookups.begin(loaded)
	}
	return loaded, err
}

// loadLookups reads the runs, and the statements that are in none.
func (s *Store) loadLookups(ctx context.Context, tx *sql.Tx) (*lookupState, error) {
	state := &lookupState{}
	rows, err := tx.QueryContext(ctx, `SELECT run, kind, level, upto, first FROM runs ORDER BY run`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var upto [lookupKinds]int64
	for rows.Next() {
		var r run
		var first []byte
		if err := rows.Scan(&r.id, &r.kind, &r.level, &r.upto, &first); err != nil {
			return nil, err
		}
		if r.kind < 0 || r.kind >= lookupKinds || len(first)%8 != 0 {
			return nil, fmt.Errorf("%w: run %d is none", notary.ErrStoreDamaged, r.id)
		}
		for ; len(first) > 0; first = first[8:] {
			r.first = append(r.first, keyOf(first))
		}
		upto[r.kind] = max(upto[r.kind], r.upto)
		state.top = max(state.top, r.upto)
		state.runs, state.newest = append(state.runs, r), r.id
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if err := s.loadUnread(ctx, tx, state); err != nil {
		return nil, err
	}
	return state, s.loadRecent(ctx, tx, state, upto)
}

// loadUnread reads the payloads again that could not be read when a run was written:
// the file may have been restored.
func (s *Store) loadUnread(ctx context.Context, tx *sql.Tx, state *lookupState) error {
	var unread []int64
	rows, err := tx.QueryContext(ctx, `SELECT n FROM unread ORDER BY n`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return err
		}
		unread = append(unread, n)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, n := range unread {
		_, err := s.eachStatement(ctx, tx, n-1, 1, 0, func(of statementPairs) {
			if of.unread != nil {
				state.unread = append(state.unread, of.n)
			}
			state.recent[byDigest] = append(state.recent[byDigest], of.pairs[byDigest]...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keepUnread is for a run of digests, which is the last to tell of its statements.
func (s *Store) keepUnread(ctx context.Context, tx *sql.Tx, unread []int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM unread`); err != nil {
		return err
	}
	for _, n := range unread {
		if _, err := tx.ExecContext(ctx, `INSERT INTO unread (n) VALUES (?)`, n); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) loadRecent(ctx context.Context, tx *sql.Tx, state *lookupState, upto [lookupKinds]int64) error {
	_, err := s.eachStatement(ctx, tx, slices.Min(upto[:]), -1, upto[byDigest], func(of statementPairs) {
		state.top = max(state.top, of.n)
		if of.unread != nil {
			state.unread = append(state.unread, of.n)
		}
		for kind := range lookupKinds {
			if of.n > upto[kind] {
				state.recent[kind] = append(state.recent[kind], of.pairs[kind]...)
			}
		}
	})
	return err
}

// statementPairs are the pairs that lead to a statement.
type statementPairs struct {
	n      int64
	pairs  [lookupKinds][]pair
	unread error // why the payload could not be read: pairs of digests are missing
}

// eachStatement reads the pairs of the statements above a number, of at most limit
// where that is not negative, and returns how many it read. Those of digests are
// left out of statements up to a number.
//
// A payload that is damaged is no reason to take no statement: see
// lookupState.unread. Any other error of reading one may be gone the next time.
func (s *Store) eachStatement(ctx context.Context, tx *sql.Tx, above int64, limit int, noDigests int64, add func(statementPairs)) (read int, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT n, leaf, id, payload, payload_at, payload_size
		FROM statements WHERE n > ? ORDER BY n LIMIT ?`, above, limit)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for ; rows.Next(); read++ {
		var of statementPairs
		var leaf, id, payload []byte
		var at place
		if err := rows.Scan(&of.n, &leaf, &id, &payload, &at.at, &at.size); err != nil {
			return read, err
		}
		var subjects []trial.Subject
		if of.n > noDigests {
			subjects, err = s.subjects(id, payload, at)
			switch {
			case errors.Is(err, notary.ErrStoreDamaged):
				of.unread = err
			case err != nil && !isNoRows(err): // it was dropped meanwhile
				return read, err
			}
		}
		pairsOf(&of.pairs, of.n, leaf, subjects)
		add(of)
	}
	return read, rows.Err()
}

// subjects reads what files a statement is about. It is never wrong about them: a
// payload that is not the statement's is damage.
func (s *Store) subjects(id, inRow []byte, at place) ([]trial.Subject, error) {
	payload, err := s.provenPayload(id, inRow, at)
	if err != nil {
		return nil, err
	}
	// One that cannot be read in all that is signed was taken so: it names no file.
	subjects, _ := trial.ReadSubjects(payload)
	return subjects, nil
}

// byLeafHash returns the statement that has a leaf hash, or sql.ErrNoRows.
func (s *Store) byLeafHash(ctx context.Context, tx *sql.Tx, leaf []byte) (*notary.Record, error) {
	numbers, err := s.find(ctx, tx, byLeaf, leaf)
	if err != nil {
		return nil, err
	}
	get := tx.StmtContext(ctx, s.read.byNumber)
	for _, n := range numbers {
		r, err := s.scanRecord(get.QueryRowContext(ctx, n))
		if err == nil && bytes.Equal(r.LeafHash[:], leaf) {
			return r, nil
		}
		if err != nil && !isNoRows(err) {
			return nil, err
		}
	}
	return nil, sql.ErrNoRows
}
