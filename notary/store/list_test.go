package store

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// mayScan are the queries whose answer is the whole table, or its end.
var mayScan = map[string][]string{
	sqlPending:  {"SCAN p"},
	sqlUsers:    {"SCAN u"},
	sqlRefusals: {"SCAN refusals"},
	sqlCharters: {"SCAN c"},
	sqlSites:    {"SCAN c"},
	sqlKinds:    {"SCAN c"},
	// What is written is no table.
	sqlPutNewEntries: {fmt.Sprintf("SCAN %d-ROW VALUES CLAUSE", entriesAtOnce)},
}

// maySort are the queries that sort what one digest or one number matches, or
// the few rows of one statement.
var maySort = map[string]bool{
	sqlTrials: true, pathFound.query(): true, pathTrialFound.query(): true, pathTrialFoundSites.query(): true,
}

// TestPathsUseIndexes asks SQLite how it would answer every statement that is
// prepared: none may read a whole table, and no list may sort.
func TestPathsUseIndexes(t *testing.T) {
	s := newStore(t)
	items := append(s.read.items(), s.write.items()...)
	for _, i := range items {
		rows, err := s.w.Query("EXPLAIN QUERY PLAN "+i.query, slices.Repeat([]any{1}, entriesAtOnce*entryColumns)...)
		if err != nil {
			t.Fatal(i.query, err)
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "VIRTUAL TABLE") &&
				!strings.HasPrefix(detail, "SCAN CONSTANT ROW") && !slices.Contains(mayScan[i.query], detail) {
				t.Errorf("%s\n\t%s", i.query, detail)
			}
			if strings.Contains(detail, "TEMP B-TREE FOR ORDER BY") && !maySort[i.query] {
				t.Errorf("%s\n\t%s", i.query, detail)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPathPlans names the index of each path, so that a change of the schema
// that SQLite answers in another way is seen.
func TestPathPlans(t *testing.T) {
	s := newStore(t)
	for p, want := range map[path]string{
		pathAll:           `SEARCH e USING INTEGER PRIMARY KEY \(rowid>\? AND rowid<\?\)`,
		pathTrial:         `SEARCH e USING COVERING INDEX entries_trial \(charter=\? AND rowid>\? AND rowid<\?\)`,
		pathTrialSiteKind: `SEARCH e USING COVERING INDEX entries_trial_site_kind \(charter=\? AND site=\? AND kind=\? AND rowid>\? AND rowid<\?\)`,
		pathAuthority:     `SEARCH e USING INDEX entries_authority \(charter=\? AND rowid>\? AND rowid<\?\)`,
		// The statements that a lookup gave.
		pathFound:           `SCAN c VIRTUAL TABLE INDEX 1:`,
		pathTrialFound:      `SCAN c VIRTUAL TABLE INDEX 1:`,
		pathTrialFoundSites: `SCAN c VIRTUAL TABLE INDEX 1:`,
	} {
		var id, parent, unused int
		var detail string
		row := s.w.QueryRow("EXPLAIN QUERY PLAN "+p.query(), slices.Repeat([]any{1}, 9)...)
		if err := row.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile("^" + want + "$").MatchString(detail) {
			t.Errorf("path %d: got %s, want %s", p, detail, want)
		}
	}
}

// world is a log of statements over few trials, sites, kinds and files, so that
// every condition meets something.
type world struct{ records []*notary.Record }

var (
	worldTrials = []trial.ID{{}, {1}, {2}, {3}}
	worldSites  = []string{"", "701", "704"}
	worldKinds  = []trial.Kind{trial.KindDataset, trial.KindKeyEnrolment, trial.KindTimeMark}
	worldFiles  = []string{strings.Repeat("0a", 32), strings.Repeat("0b", 32)}
)

func drawRecord(t *rapid.T, name string) *notary.Record {
	return newRecord(name, func(r *notary.Record) {
		r.Charter = worldTrials[rapid.IntRange(0, len(worldTrials)-1).Draw(t, "trial")]
		r.Site = rapid.SampledFrom(worldSites).Draw(t, "site")
		r.Kind = rapid.SampledFrom(worldKinds).Draw(t, "kind")
		r.Authority = rapid.IntRange(0, 3).Draw(t, "authority") == 0
		r.Subjects = nil
		for i := range rapid.IntRange(1, 2).Draw(t, "subjects") {
			r.Subjects = append(r.Subjects, trial.Subject{
				Name:    fmt.Sprint("file ", i),
				Digests: hexDigest(rapid.SampledFrom([]string{"sha256", "tn-table-v1"}).Draw(t, "algorithm"), rapid.SampledFrom(worldFiles).Draw(t, "digest")),
			})
		}
	})
}

func drawQuery(t *rapid.T) notary.Query {
	q := notary.Query{
		Site:  rapid.SampledFrom(append(worldSites, "799")).Draw(t, "q.site"),
		Kind:  rapid.SampledFrom(append(worldKinds, "", "icf")).Draw(t, "q.kind"),
		After: rapid.Int64Range(-2, 30).Draw(t, "q.after"),
		Below: rapid.SampledFrom([]uint64{0, 0, 0, 5, 20, 1 << 63}).Draw(t, "q.below"),
		Limit: rapid.SampledFrom([]int{1, 2, 3, 7, 1000}).Draw(t, "q.limit"),

		MaxBytes:   rapid.SampledFrom([]int64{0, 1, 500, 3000}).Draw(t, "q.bytes"),
		Unreadable: rapid.Bool().Draw(t, "q.unreadable"),
	}
	if rapid.Bool().Draw(t, "q.one trial") {
		id := worldTrials[rapid.IntRange(0, len(worldTrials)-1).Draw(t, "q.trial")]
		q.Charter = &id
	}
	if rapid.Bool().Draw(t, "q.file") {
		q.Digest = rapid.SampledFrom(worldFiles).Draw(t, "q.digest")
	}
	edge := func(name string) time.Time {
		if rapid.Bool().Draw(t, name) {
			return time.Time{}
		}
		at := logTime(uint64(rapid.IntRange(2, 40).Draw(t, name+" index")))
		return at.Add(time.Duration(rapid.SampledFrom([]int{0, 0, -1, 1, 999, int(time.Second)}).Draw(t, name+" shift")))
	}
	q.From, q.Until = edge("q.from"), edge("q.until")
	if rapid.IntRange(0, 3).Draw(t, "q.everything") > 0 {
		q.Visible = &notary.Visible{}
		for range rapid.IntRange(0, 3).Draw(t, "grants") {
			q.Visible.Grants = append(q.Visible.Grants, notary.VisibleGrant{
				AllTrials: rapid.IntRange(0, 9).Draw(t, "all trials") == 0,
				Charter:   worldTrials[rapid.IntRange(0, len(worldTrials)-1).Draw(t, "grant")],
				AllSites:  rapid.Bool().Draw(t, "all sites"),
				Sites:     rapid.SliceOfN(rapid.SampledFrom(worldSites), 0, 2).Draw(t, "sites"),
			})
		}
	}
	return q
}

// list answers a query by looking at every statement.
func (w *world) list(q notary.Query) []*notary.Record {
	var found []*notary.Record
	for _, r := range w.records {
		if r.Logged && matches(q, r) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b *notary.Record) int { return cmp.Compare(a.Index, b.Index) })
	found = found[:min(len(found), q.Limit)]
	size := int64(0)
	for i, r := range found {
		if size += int64(len(r.Envelope.Payload)); q.MaxBytes > 0 && size > q.MaxBytes {
			return found[:i+1]
		}
	}
	return found
}

func matches(q notary.Query, r *notary.Record) bool {
	return (q.Charter == nil || *q.Charter == r.Charter) &&
		(q.Site == "" || q.Site == r.Site) &&
		(q.Kind == "" || q.Kind == r.Kind) &&
		(q.From.IsZero() || !r.LogTime.IsZero() && !r.LogTime.Before(q.From)) &&
		(q.Until.IsZero() || r.LogTime.Before(q.Until)) &&
		int64(r.Index) > q.After && (q.Below == 0 || r.Index < q.Below) &&
		(q.Digest == "" || slices.ContainsFunc(r.Subjects, func(s trial.Subject) bool { return s.Digests.Text()["sha256"] == q.Digest })) &&
		(q.Visible == nil || slices.ContainsFunc(q.Visible.Grants, func(g notary.VisibleGrant) bool { return shows(g, r) }))
}

func shows(g notary.VisibleGrant, r *notary.Record) bool {
	return g.AllTrials || !g.Charter.IsZero() && g.Charter == r.Charter &&
		(g.AllSites || r.Authority || r.Site == "" || slices.Contains(g.Sites, r.Site))
}

func ids(records []*notary.Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprint(r.Index, " ", r.ID))
	}
	return all
}

// TestListAgainstModel compares every drawn query with a slow reading, on one
// log and over all its pages.
func TestListAgainstModel(t *testing.T) {
	s := newStore(t)
	w := &world{}
	rapid.Check(t, func(rt *rapid.T) {
		// The log grows from check to check, so that later ones meet more.
		if from := len(w.records); from < 400 {
			var batch []*notary.Record
			for i := range rapid.IntRange(0, 12).Draw(rt, "more") {
				batch = append(batch, drawRecord(rt, fmt.Sprint("r", from+i)))
			}
			putPlaced(t, s, uint64(from), batch...)
			w.records = append(w.records, batch...)
		}
		for range 5 {
			q := drawQuery(rt)
			for range 4 { // pages
				got, err := s.List(t.Context(), q)
				if err != nil {
					rt.Fatal(err)
				}
				want := w.list(q)
				if !slices.Equal(ids(got), ids(want)) {
					rt.Fatalf("%+v visible %+v: got %v, want %v", q, q.Visible, ids(got), ids(want))
				}
				if len(got) == 0 {
					break
				}
				if last := got[len(got)-1]; !reflect.DeepEqual(last, asRead(want[len(want)-1])) {
					rt.Fatalf("got %+v, want %+v", last, want[len(want)-1])
				}
				q.After = int64(got[len(got)-1].Index)
			}
		}
	})
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestListRefuses(t *testing.T) {
	s := newStore(t)
	for name, q := range map[string]notary.Query{
		"invalid limit":  {After: -1},
		"invalid digest": {After: -1, Limit: 1, Digest: "0f"},
	} {
		if _, err := s.List(t.Context(), q); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error saying %q", err, name)
		}
	}
}
