package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
)

// lines is what a logger wrote so far.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestWarningsAreWrittenAtOnce(t *testing.T) {
	var out lines
	logger, stop := newLogger("info", &out)
	logger.Debug("not wanted")
	logger.Info("first")
	logger.Named("grpc").With(zap.Int("n", 1)).Warn("second")
	got := out.String()
	if strings.Count(got, "\n") != 2 || strings.Index(got, "first") > strings.Index(got, "second") {
		t.Errorf("after a warning got %q, want the line before it and the warning", got)
	}
	logger.Info("third")
	stop()
	if !strings.Contains(out.String(), "third") {
		t.Errorf("after stop got %q, want all lines", out.String())
	}
}
