package main

import (
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary/store"
)

func TestClockConfirm(t *testing.T) {
	config := newNotary(t)
	today := time.Now().UTC()
	for _, test := range []struct {
		date string
		code int
		says string
	}{
		{today.Format(time.DateOnly), exitOK, "confirmed"},
		{today.AddDate(10, 0, 0).Format(time.DateOnly), exitRefused, "set the clock right first"},
		{today.AddDate(0, 0, -2).Format(time.DateOnly), exitRefused, "set the clock right first"},
		{"yesterday", exitUsage, "invalid date"},
		{today.Format(time.RFC3339), exitUsage, "invalid date"},
	} {
		code, stdout, stderr := notaryd(t, "clock", "confirm", "--config", config, test.date)
		if code != test.code || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("%s: got exit status %d, %s%s, want %d and %q", test.date, code, stdout, stderr, test.code, test.says)
		}
	}
	c, err := LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(c.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if at, err := s.Moment(t.Context(), store.MomentConfirmed); err != nil || at.Sub(today).Abs() > time.Hour {
		t.Errorf("got confirmed time %s, %v, want now", at, err)
	}
}

// TestSinceBoot: it grows, and by no more than time does.
func TestSinceBoot(t *testing.T) {
	began, first := time.Now(), sinceBoot()
	if second := sinceBoot(); first <= 0 || second < first || second-first > time.Since(began)+time.Second {
		t.Errorf("got %s and then %s", first, second)
	}
}
