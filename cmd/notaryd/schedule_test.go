package main

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/store"
)

// TestScheduledCheck lets checks run beside a serving notary: each tells what it
// came to, and when the last one ended is known after a restart.
func TestScheduledCheck(t *testing.T) {
	s := trialForLoad(t)
	s.config.Times.FullCheck = 10 * time.Millisecond
	core, logs := observer.New(zapcore.InfoLevel)
	s.logger = zap.New(core)
	ctx := context.WithoutCancel(t.Context())
	if err := s.serve(ctx); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return logs.FilterMessage("full check").Len() >= 2 })
	if n := logs.FilterMessage("full check failed").Len(); n > 0 {
		t.Errorf("got %v", logs.FilterMessage("full check failed").All())
	}
	// Damage that is in no file which the running server still reads.
	damaged := s.config.Log.Dir + "/tile/entries/000.p/" + s.lastPartial(t)
	content, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(content)
	flipped[10] ^= 1
	if err := os.WriteFile(damaged, flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return logs.FilterMessage("full check failed").Len() > 0 })
	// The words lead to the page's section about a file, and to no other one.
	if c := fullCheckCondition(t, s); c.OK || !strings.Contains(c.Detail, "the log: log file tile/entries/") || strings.Contains(c.Detail, "contradict") {
		t.Errorf("health says %s", c.Detail)
	}
	if err := os.WriteFile(damaged, content, 0o600); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool { return fullCheckCondition(t, s).OK })
	if err := s.stop(ctx); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(s.config.Store.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if at, err := db.Moment(ctx, store.MomentFullCheck); err != nil || at.IsZero() {
		t.Errorf("got last full check %s, %v", at, err)
	}
}

func fullCheckCondition(t *testing.T, s *story) notary.Condition {
	t.Helper()
	for _, c := range s.server.parts.service.Health(t.Context()) {
		if c.Name == notary.ConditionFullCheck {
			return c
		}
	}
	t.Fatal("health does not name the full check")
	return notary.Condition{}
}

// lastPartial returns the newest partial bundle's name, of a log of one bundle.
func (s *story) lastPartial(t *testing.T) string {
	t.Helper()
	size := s.server.parts.log.Size()
	if size == 0 || size > 255 {
		t.Fatalf("got a log of %d entries, want 1 to 255", size)
	}
	return strconv.FormatUint(size, 10)
}

// waitUntil waits for what another goroutine does. What never comes runs into the
// time limit of the test binary.
func waitUntil(t *testing.T, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !reached() {
		<-tick.C
	}
}
