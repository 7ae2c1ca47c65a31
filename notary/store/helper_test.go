package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// newStore returns an empty store and its path.
func newStore(tb testing.TB) *Store {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "notary.db")
	if err := Create(path); err != nil {
		tb.Fatal(err)
	}
	return openStore(tb, path)
}

func openStore(tb testing.TB, path string) *Store {
	tb.Helper()
	s, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// newRecord returns a record whose hashes are true; change edits it before they
// are computed.
func newRecord(name string, change ...func(*notary.Record)) *notary.Record {
	digest := sha256.Sum256([]byte("file of " + name))
	r := &notary.Record{
		Envelope: trial.Envelope{
			PayloadType: trial.PayloadType,
			Sig:         []byte("signature of " + name),
		},
		SignerDER: []byte("key of a site"),
		Charter:   trial.ID{1},
		Kind:      trial.KindDataset,
		Subjects:  []trial.Subject{{Name: name + ".json", Digests: trial.SHA256(digest)}},
	}
	for _, c := range change {
		c(r)
	}
	if r.Envelope.Payload == nil {
		r.Envelope.Payload = payload(name, r.Subjects)
	}
	r.ID = sha256.Sum256(r.Envelope.Payload)
	r.KeyID = sha256.Sum256(r.SignerDER)
	r.LeafHash = receipt.LeafHash(receipt.Entry(&r.Envelope, &trial.PublicKey{DER: r.SignerDER}))
	return r
}

// payload is as much of a statement as the store reads, and what else it is to hold.
func payload(more string, subjects []trial.Subject) []byte {
	type subject struct {
		Name    string        `json:"name"`
		Digests trial.Digests `json:"digest"`
	}
	doc := struct {
		Subjects []subject `json:"subject"`
		More     string    `json:"predicate"`
	}{More: more}
	for _, s := range subjects {
		doc.Subjects = append(doc.Subjects, subject(s))
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return text
}

// hexDigest is one digest, given in hexadecimal.
func hexDigest(name, text string) trial.Digests {
	d, err := trial.ParseDigests(map[string]string{name: text})
	if err != nil {
		panic(err)
	}
	return d
}

// asRead is a record as it is read again.
func asRead(r *notary.Record) *notary.Record {
	read := *r
	read.Subjects = nil
	return &read
}

// logTime is the log time of the entries at an index: every third one follows a
// new time mark, and the first two stand before any.
func logTime(index uint64) time.Time {
	if index < 2 {
		return time.Time{}
	}
	return time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC).Add(time.Duration(index/3) * time.Minute)
}

// putPlaced stores records and places them from an index on.
func putPlaced(tb testing.TB, s *Store, from uint64, records ...*notary.Record) {
	tb.Helper()
	if _, err := s.Put(tb.Context(), records); err != nil {
		tb.Fatal(err)
	}
	var placed []notary.Placed
	for i, r := range records {
		index := from + uint64(i)
		r.Logged, r.Index, r.LogTime = true, index, logTime(index)
		placed = append(placed, notary.Placed{ID: r.ID, Index: index, LogTime: logTime(index)})
	}
	if err := s.Place(tb.Context(), placed); err != nil {
		tb.Fatal(err)
	}
}

// execForeign changes a store as another program would.
func execForeign(tb testing.TB, path string, queries ...string) {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			tb.Fatal(q, err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
}

// rootPage returns the page at which a table of a file begins.
func rootPage(file []byte, table string) int {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("rootpage-%d.db", os.Getpid()))
	defer os.Remove(path)
	if err := os.WriteFile(path, file, 0o600); err != nil {
		panic(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		panic(err)
	}
	defer db.Close()
	var page int
	if err := db.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = ?", table).Scan(&page); err != nil {
		panic(err)
	}
	return page
}
