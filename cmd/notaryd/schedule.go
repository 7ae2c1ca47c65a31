package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/store"
)

// Times of the scheduled check.
const (
	// firstCheck is how long after the start a check may begin at the earliest: a
	// server that is restarted again and again has other worries.
	firstCheck = time.Minute
	// tellCheck is how often the log tells how far a check is.
	tellCheck = 10 * time.Minute
)

// scheduledChecks reads everything back now and then, with a share of one core.
// What it finds is logged as an error, and health says it; the log itself refuses
// to sign over what it finds damaged. One that a stop interrupts begins again after
// the next start.
func (s *server) scheduledChecks(ctx context.Context) {
	defer close(s.checks)
	interval := s.parts.config.Times.FullCheck
	if interval < 0 {
		return
	}
	last, err := s.parts.store.Moment(ctx, store.MomentFullCheck)
	if err != nil {
		s.logger.Error("when the last full check ended is not known", zap.Error(err))
	}
	wait := min(max(interval-time.Since(last), firstCheck), interval)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		s.fullCheck(ctx)
		wait = interval
	}
}

// fullCheck runs one check and tells what it came to.
func (s *server) fullCheck(ctx context.Context) {
	service := s.parts.service
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(tellCheck)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				now := service.CheckStatus()
				s.logger.Info("full check runs", zap.String("phase", string(now.Phase)), zap.Uint64("read", now.Read), zap.Uint64("entries", now.Size))
			}
		}
	}()
	report, err := service.Check(notary.WithShare(ctx, float64(s.parts.config.Limits.CheckShare)/100))
	close(done)
	took := zap.Duration("took", service.CheckStatus().Took)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.logger.Error("full check failed", zap.Error(err), took)
		return
	}
	s.logger.Info("full check", zap.Uint64("entries", report.Entries), zap.Int("statements", report.Statements), took)
	if err := s.parts.store.SetMoment(ctx, store.MomentFullCheck, time.Now()); err != nil {
		s.logger.Error("when the full check ended could not be stored", zap.Error(err))
	}
}
