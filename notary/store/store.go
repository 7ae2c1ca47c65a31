// Package store keeps statements, the index over them, the high-water mark,
// users and refusals in one SQLite file.
package store

import (
	"context"

	"github.com/trialnotary/trialnotary/notary"
)

// Store is a notary.Store over one SQLite file.
type Store struct{ notary.Store }

// Create makes an empty store and refuses an existing file.
func Create(path string) error { panic("") }

// Open opens a store and refuses a missing file, one that is not a store, and
// one of a newer schema.
func Open(path string) (*Store, error) { panic("") }

// TruncateLog moves the write-ahead log into the database file and empties it.
func (s *Store) TruncateLog(ctx context.Context) error { panic("") }
