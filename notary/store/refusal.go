package store

import (
	"context"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// Refusal is one refused call as it is recorded: who, when, what and why, and
// nothing of what the call carried.
type Refusal struct {
	Time      time.Time // kept in microseconds, UTC
	RequestID string
	User      string // "" is not authenticated
	Address   string
	Method    string
	Reason    trial.Reason
	Statement trial.ID // zero where none is known
}

// RecordRefusal records refusals in one transaction and forgets the oldest
// above the bound. Texts are cut to 256 bytes.
func (s *Store) RecordRefusal(ctx context.Context, refusals ...Refusal) error { panic("") }

// Refusals returns the newest refusals first, at most limit of them.
func (s *Store) Refusals(ctx context.Context, limit int) ([]Refusal, error) { panic("") }
