package main

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary"
)

const (
	// watchEvery is how often the server looks at itself.
	watchEvery = time.Second
	// lateCheckpoint is how long entries may wait for a checkpoint before the log
	// tells. The usual wait is times.checkpoint, a tenth of a second.
	lateCheckpoint = 5 * time.Second
)

// watcher logs what happens to the server without anybody's call: a condition of
// health that turns, and a checkpoint that is late. It logs each change once.
type watcher struct {
	logger *zap.Logger
	health func() []notary.Condition
	gauges func() notary.Gauges

	bad       map[string]bool
	published uint64
	waits     time.Time // since when entries wait; zero if none do
	late      bool
}

func (s *server) newWatcher() *watcher {
	return &watcher{logger: s.logger, health: s.rpc.Health, gauges: s.parts.service.Gauges, bad: make(map[string]bool)}
}

// watch looks until ctx ends.
func (s *server) watch(ctx context.Context) {
	defer close(s.watched)
	w := s.newWatcher()
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		w.look(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *watcher) look(now time.Time) {
	for _, c := range w.health() {
		switch {
		case !c.OK && !w.bad[c.Name]:
			w.logger.Error("not healthy", zap.String("condition", c.Name), zap.String("detail", c.Detail))
		case c.OK && w.bad[c.Name]:
			w.logger.Info("healthy again", zap.String("condition", c.Name), zap.String("detail", c.Detail))
		}
		w.bad[c.Name] = !c.OK
	}
	w.lookAtLog(now)
}

// lookAtLog tells when entries wait for longer than they ever should, and when
// they no longer do.
func (w *watcher) lookAtLog(now time.Time) {
	g := w.gauges()
	waiting := g.Entries - min(g.Published, g.Entries)
	switch {
	case waiting == 0:
		w.waits = time.Time{}
	case w.waits.IsZero() || g.Published != w.published:
		w.waits = now
	}
	w.published = g.Published
	late := waiting > 0 && now.Sub(w.waits) >= lateCheckpoint
	switch {
	case late && !w.late:
		w.logger.Warn("a checkpoint is late", zap.Uint64("waiting", waiting), zap.Uint64("published", g.Published), zap.Duration("since", now.Sub(w.waits)))
	case !late && w.late:
		w.logger.Info("checkpoints are published again", zap.Uint64("published", g.Published))
	}
	w.late = late
}
