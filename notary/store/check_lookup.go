package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// checkedPairs bounds the pairs that a check of the lookups holds at once: 32 MiB.
const checkedPairs = 1 << 21

// checkLookups holds the lookups against the statements that they lead to. A pair
// that leads nowhere is no damage: whoever follows one looks at the statement.
func (s *Store) checkLookups(ctx context.Context, problems *[]string) error {
	for above, more := int64(0), true; more; {
		var want [lookupKinds][]pair
		for more && len(want[byLeaf])+len(want[byDigest]) < checkedPairs {
			ok, err := s.piece(ctx, problems, func(tx *sql.Tx) (_ []string, err error) {
				above, more, err = s.expectPairs(ctx, tx, above, &want)
				return nil, err
			})
			if err != nil || !ok {
				return err
			}
		}
		for kind := range lookupKinds {
			want[kind] = sortedPairs(want[kind])
			ok, err := s.piece(ctx, problems, func(tx *sql.Tx) ([]string, error) {
				return s.checkLookup(ctx, tx, kind, want[kind])
			})
			if err != nil || !ok {
				return err
			}
		}
	}
	return nil
}

// expectPairs adds the pairs of the next statements above a number.
func (s *Store) expectPairs(ctx context.Context, tx *sql.Tx, above int64, want *[lookupKinds][]pair) (last int64, more bool, err error) {
	read, err := s.eachStatement(ctx, tx, above, 2000, 0, func(of statementPairs) {
		above = of.n
		for kind := range lookupKinds {
			want[kind] = append(want[kind], of.pairs[kind]...)
		}
	})
	return above, read > 0, err
}

// checkLookup looks for pairs, which are sorted, over one moment of the file.
func (s *Store) checkLookup(ctx context.Context, tx *sql.Tx, kind lookupKind, want []pair) ([]string, error) {
	state, err := s.lookupsOf(ctx, tx)
	if err != nil {
		return nil, err
	}
	held := make([]bool, len(want))
	mark := func(p pair) {
		i, ok := slices.BinarySearchFunc(want, p, comparePairs)
		for ; ok && i < len(want) && want[i] == p; i++ { // a statement may name one file twice
			held[i] = true
		}
	}
	for _, p := range state.recent[kind] {
		mark(p)
	}
	var problems []string
	for i := range state.runs {
		r := &state.runs[i]
		if r.kind != kind {
			continue
		}
		found, err := checkRun(ctx, tx, r, mark)
		problems = append(problems, found...)
		if err != nil {
			return problems, err
		}
	}
	for i, p := range want {
		found := held[i] || kind == byDigest && slices.Contains(state.unread, p.n)
		if found || len(problems) >= maxProblems {
			continue
		}
		missing, err := texts(ctx, tx, `SELECT 'statement ' || lower(hex(id)) || ': not found by its `+kind.String()+`' FROM statements WHERE n = ?`, p.n)
		if err != nil {
			return problems, err
		}
		problems = append(problems, missing...)
	}
	return problems, nil
}

// String names the hash.
func (k lookupKind) String() string {
	if k == byLeaf {
		return "leaf hash"
	}
	return "file digests"
}

// checkRun marks the pairs of a run, and says which of its pieces are out of order.
func checkRun(ctx context.Context, tx *sql.Tx, r *run, mark func(pair)) ([]string, error) {
	var problems []string
	at := 0
	low, high := r.pieceRange()
	rows, err := tx.QueryContext(ctx, `SELECT piece, pairs FROM pieces WHERE piece BETWEEN ? AND ? ORDER BY piece`, low, high)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for ; rows.Next(); at++ {
		var id int64
		var pairs []byte
		if err := rows.Scan(&id, &pairs); err != nil {
			return problems, err
		}
		// A pair that was cut out may have been the first.
		ordered := at < len(r.first) && id == r.pieceID(at) && (len(pairs) == 0 || pairAt(pairs, 0).key >= r.first[at])
		for i := range len(pairs) / pairSize {
			ordered = ordered && (i == 0 || comparePairs(pairAt(pairs, i-1), pairAt(pairs, i)) <= 0)
			mark(pairAt(pairs, i))
		}
		if !ordered && len(problems) < maxProblems {
			problems = append(problems, fmt.Sprintf("piece %d: out of order", id))
		}
	}
	if at != len(r.first) {
		problems = append(problems, fmt.Sprintf("run %d: got %d pieces, want %d", r.id, at, len(r.first)))
	}
	return problems, rows.Err()
}
