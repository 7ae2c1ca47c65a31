package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// List implements notary.Store. A caller whose grant is for sites also sees the
// trial's statements of authority: they are every member's.
//
// The log time never falls along the log, so a time filter is a range of
// indexes. What a query may see is a handful of sources, each of which one index
// gives in log order: they are merged here, because one SQL statement for all of
// them has no order that an index gives, and would read a whole trial to show
// its first page.
func (s *Store) List(ctx context.Context, q notary.Query) ([]*notary.Record, error) {
	const what = "listing statements"
	if q.Limit < 1 {
		return nil, s.failed(what, fmt.Errorf("invalid limit: got %d, want at least 1", q.Limit))
	}
	var digest trial.ID
	if q.Digest != "" {
		var err error
		if digest, err = trial.ParseID(q.Digest); err != nil {
			return nil, s.failed(what, fmt.Errorf("invalid digest: %w", err))
		}
	}
	var records []*notary.Record
	err := s.inRead(ctx, what, func(tx *sql.Tx) error {
		l := lister{ctx: ctx, tx: tx, store: s, read: &s.read, q: q, digest: digest}
		ok, err := l.bound()
		if err != nil || !ok {
			return err
		}
		if q.Digest != "" {
			numbers, err := s.find(ctx, tx, byDigest, digest[:])
			if err != nil || len(numbers) == 0 {
				return err
			}
			l.numbers = jsonNumbers(numbers)
		}
		if err := l.collect(); err != nil {
			return err
		}
		records, err = l.fetch()
		return err
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// lister answers one query over one moment of the store.
type lister struct {
	ctx   context.Context
	tx    *sql.Tx
	store *Store
	read  *readStatements
	q     notary.Query
	// numbers are, as JSON, the statements that may have the digest.
	numbers string
	// digest is the one of the query, if that has one.
	digest trial.ID
	// after < index < below is the range; found are the lowest indexes in it
	// so far, sorted, at most q.Limit.
	after, below int64
	found        []int64
}

// stmt returns a statement of the transaction, which closes it.
func (l *lister) stmt(prepared *sql.Stmt) *sql.Stmt { return l.tx.StmtContext(l.ctx, prepared) }

// bound turns indexes and times into one range; ok is false where it is empty.
func (l *lister) bound() (ok bool, err error) {
	l.after, l.below = max(l.q.After, -1), math.MaxInt64
	if l.q.Below != 0 {
		l.below = int64(min(l.q.Below, math.MaxInt64))
	}
	for _, edge := range []struct {
		at   time.Time
		from bool
	}{{l.q.From, true}, {l.q.Until, false}} {
		if edge.at.IsZero() {
			continue
		}
		index, err := l.firstSince(edge.at)
		if err != nil {
			return false, err
		}
		if edge.from {
			l.after = max(l.after, index-1)
		} else {
			l.below = min(l.below, index)
		}
	}
	return l.after < l.below-1, nil
}

// firstSince returns the first index whose log time is at or after t, or one
// beyond every index. The log time never falls along the log, and entries of the
// time before the first mark have none.
func (l *lister) firstSince(t time.Time) (int64, error) {
	micro := t.UnixMicro()
	if t.Nanosecond()%1000 != 0 {
		micro++ // stored times are whole: the next one is the first at or after t
	}
	var last int64
	if err := l.stmt(l.read.lastIndex).QueryRowContext(l.ctx).Scan(&last); err != nil {
		return 0, err
	}
	timeFrom := l.stmt(l.read.timeFrom)
	low, high := int64(0), last+1 // the index is low at least and high at most
	for low < high {
		middle := low + (high-low)/2
		var index int64
		var at sql.NullInt64
		if err := timeFrom.QueryRowContext(l.ctx, middle).Scan(&index, &at); err != nil {
			return 0, err
		}
		if at.Valid && at.Int64 >= micro {
			high = middle
		} else {
			low = index + 1
		}
	}
	if low > last {
		return math.MaxInt64, nil
	}
	return low, nil
}

// collect finds the lowest indexes of every source.
func (l *lister) collect() error {
	scopes, all := scopesOf(l.q)
	if !all {
		for _, sc := range scopes {
			if err := l.collectTrial(sc); err != nil {
				return err
			}
		}
		return nil
	}
	switch {
	case l.q.Digest != "":
		return l.fromFound(pathFound, l.numbers, l.q.Site, l.q.Kind)
	case l.q.Site == "" && l.q.Kind == "":
		return l.from(pathAll)
	}
	// No index is by site or kind alone: trials are few, so each is a source.
	charters, err := l.distinct(l.read.charters)
	if err != nil {
		return err
	}
	for _, charter := range charters {
		if err := l.collectTrial(scope{charter: present(charter), allSites: true}); err != nil {
			return err
		}
	}
	return nil
}

// collectTrial adds what a scope shows of its trial.
func (l *lister) collectTrial(sc scope) error {
	if l.q.Digest != "" {
		return l.collectDigest(sc)
	}
	if sc.allSites || sc.sees(l.q.Site) {
		return l.fromSite(sc.charter, l.q.Site)
	}
	if err := l.from(pathAuthority, sc.charter, l.q.Site, l.q.Kind); err != nil {
		return err
	}
	if l.q.Site != "" {
		return nil
	}
	for _, site := range append([]string{""}, sc.sites...) {
		if err := l.fromOneSite(sc.charter, site); err != nil {
			return err
		}
	}
	return nil
}

// fromSite adds a trial's statements of one site, or of all for "".
func (l *lister) fromSite(charter []byte, site string) error {
	switch {
	case site != "":
		return l.fromOneSite(charter, site)
	case l.q.Kind == "":
		return l.from(pathTrial, charter)
	}
	sites, err := l.distinct(l.read.sites, charter)
	if err != nil {
		return err
	}
	for _, site := range sites {
		if err := l.from(pathTrialSiteKind, charter, string(site), l.q.Kind); err != nil {
			return err
		}
	}
	return nil
}

// fromOneSite adds a trial's statements of one site; "" is the trial-wide ones.
func (l *lister) fromOneSite(charter []byte, site string) error {
	if l.q.Kind != "" {
		return l.from(pathTrialSiteKind, charter, site, l.q.Kind)
	}
	kinds, err := l.distinct(l.read.kinds, charter, site)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := l.from(pathTrialSiteKind, charter, site, string(kind)); err != nil {
			return err
		}
	}
	return nil
}

// collectDigest adds a trial's statements about one file. They are few, so the
// other conditions are read from each.
func (l *lister) collectDigest(sc scope) error {
	if sc.allSites {
		return l.fromFound(pathTrialFound, l.numbers, sc.charter, l.q.Site, l.q.Kind)
	}
	sites, err := json.Marshal(append([]string{""}, sc.sites...))
	if err != nil {
		return err
	}
	return l.fromFound(pathTrialFoundSites, l.numbers, sc.charter, l.q.Site, l.q.Kind, string(sites))
}

// from adds the lowest indexes that one path gives.
func (l *lister) from(p path, conditions ...any) error {
	indexes, err := l.indexes(p, l.q.Limit, conditions...)
	if err != nil {
		return err
	}
	l.add(indexes)
	return nil
}

// fromFound does so for one that begins with what a lookup gave. That may be wrong,
// so each statement is asked for the digest.
func (l *lister) fromFound(p path, conditions ...any) error {
	candidates, err := l.indexes(p, -1, conditions...)
	if err != nil {
		return err
	}
	var indexes []int64
	for i := 0; i < len(candidates) && len(indexes) < l.q.Limit; i++ {
		ok, err := l.hasDigest(candidates[i])
		if err != nil {
			return err
		}
		if ok {
			indexes = append(indexes, candidates[i])
		}
	}
	l.add(indexes)
	return nil
}

// hasDigest tells whether a statement is about the file that is asked for.
func (l *lister) hasDigest(index int64) (bool, error) {
	var id, payload []byte
	var at place
	if err := l.stmt(l.read.payloadAt).QueryRowContext(l.ctx, index).Scan(&id, &payload, &at.at, &at.size); err != nil {
		return false, err
	}
	subjects, err := l.store.subjects(id, payload, at)
	if errors.Is(err, notary.ErrStoreDamaged) {
		r := new(notary.Record)
		copy(r.ID[:], id)
		return false, &notary.UnreadableError{Record: r, Err: err}
	}
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(subjects, func(s trial.Subject) bool { return s.Digests.Is(trial.DigestSHA256, l.digest) }), nil
}

// indexes returns the lowest indexes that a path gives, at most limit where that is
// not negative.
func (l *lister) indexes(p path, limit int, conditions ...any) ([]int64, error) {
	for i, c := range conditions {
		if k, ok := c.(trial.Kind); ok {
			conditions[i] = string(k)
		}
	}
	args := append([]any{l.after, l.below, limit}, conditions...)
	rows, err := l.stmt(l.read.paths[p]).QueryContext(l.ctx, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var indexes []int64
	for rows.Next() {
		var index int64
		if err := rows.Scan(&index); err != nil {
			return nil, err
		}
		indexes = append(indexes, index)
	}
	return indexes, rows.Err()
}

// add keeps the lowest of all indexes found.
func (l *lister) add(indexes []int64) {
	l.found = append(l.found, indexes...)
	slices.Sort(l.found)
	l.found = slices.Compact(l.found) // authority also stands among its site's
	if len(l.found) >= l.q.Limit {
		l.found = l.found[:l.q.Limit]
		// Later sources need not look behind what is full already.
		l.below = l.found[l.q.Limit-1]
	}
}

// distinct returns the charters of all trials (the empty one is of the time
// marks), the sites of a trial or the kinds of a site.
func (l *lister) distinct(prepared *sql.Stmt, of ...any) ([][]byte, error) {
	rows, err := l.stmt(prepared).QueryContext(l.ctx, of...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var values [][]byte
	for rows.Next() {
		var v []byte
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}

func jsonNumbers(numbers []int64) string {
	list := []byte{'['}
	for i, n := range numbers {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, n, 10)
	}
	return string(append(list, ']'))
}

// fetch reads the records that were found, in log order, until they are as many
// bytes as the query wants.
func (l *lister) fetch() (records []*notary.Record, err error) {
	if len(l.found) == 0 {
		return nil, nil
	}
	rows, err := l.stmt(l.read.byIndexes).QueryContext(l.ctx, jsonNumbers(l.found))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	scan := l.store.scanRecord
	if l.q.Unreadable {
		scan = l.store.scanAnyRecord
	}
	var size int64
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		// They come in the order of the numbers, which is the log's.
		if want := uint64(l.found[len(records)]); r.Index != want {
			return nil, fmt.Errorf("%w: got the statement of entry %d, want that of entry %d, which the index names",
				notary.ErrStoreDamaged, r.Index, want)
		}
		records = append(records, r)
		if size += int64(len(r.Envelope.Payload)); l.q.MaxBytes > 0 && size > l.q.MaxBytes {
			return records, nil
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(records) != len(l.found) {
		return nil, fmt.Errorf("%w: got %d statements, want %d that the index names",
			notary.ErrStoreDamaged, len(records), len(l.found))
	}
	return records, nil
}
