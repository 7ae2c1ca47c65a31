package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
)

// TestCheckLeavesTheLogAlone: while a check rests between its pieces, statements are
// stored and the write-ahead log can be emptied.
func TestCheckLeavesTheLogAlone(t *testing.T) {
	s := openStore(t, filled(t)(t))
	// Any work makes it rest for longer than this test.
	ctx, cancel := context.WithCancel(notary.WithShare(t.Context(), 1e-12))
	ended := make(chan error, 1)
	go func() { ended <- s.Check(ctx) }()
	for i := range 20 {
		if _, err := s.Put(t.Context(), []*notary.Record{newRecord(fmt.Sprint("beside a check ", i))}); err != nil {
			t.Fatal(err)
		}
		// It may be in the middle of a piece: that is short.
		for began := time.Now(); ; {
			err := s.TruncateLog(t.Context())
			if err == nil {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
