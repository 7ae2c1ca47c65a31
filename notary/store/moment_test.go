package store

import (
	"testing"
	"time"
)

func TestMoments(t *testing.T) {
	s := newStore(t)
	if at, err := s.Moment(t.Context(), MomentConfirmed); err != nil || !at.IsZero() {
		t.Errorf("new store: got %s, %v, want none", at, err)
	}
	for _, want := range []time.Time{time.Date(2036, 1, 2, 3, 4, 5, 6000, time.UTC), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} {
		if err := s.SetMoment(t.Context(), MomentConfirmed, want); err != nil {
			t.Fatal(err)
		}
		if at, err := s.Moment(t.Context(), MomentConfirmed); err != nil || !at.Equal(want) {
			t.Errorf("got %s, %v, want %s", at, err, want)
		}
	}
	if at, err := s.Moment(t.Context(), MomentFullCheck); err != nil || !at.IsZero() {
		t.Errorf("another moment: got %s, %v, want none", at, err)
	}
}
