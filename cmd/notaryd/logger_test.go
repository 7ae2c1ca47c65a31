package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

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

// TestLibrariesCannotFillTheLog: whoever opens connections that speak no TLS has
// gRPC and HTTP write a line for each. Our own lines are never left out.
func TestLibrariesCannotFillTheLog(t *testing.T) {
	var out lines
	clock := &stillClock{now: time.Unix(1_800_000_000, 0)}
	logger, stop := newLogger("info", &out)
	logger = logger.WithOptions(zap.WithClock(clock))
	for i := range 1000 {
		logger.Named([]string{"grpc", "http"}[i%2]).With(zap.Int("n", i)).Info("handshake failed")
		logger.Info("ours")
	}
	clock.now = clock.now.Add(time.Second)
	logger.Named("grpc").Info("a second later")
	stop()
	got := out.String()
	if n := strings.Count(got, "handshake failed"); n != chatterLines {
		t.Errorf("got %d lines of libraries in one second, want %d", n, chatterLines)
	}
	if n := strings.Count(got, `"ours"`); n != 1000 {
		t.Errorf("got %d of our own 1000 lines", n)
	}
	if want := fmt.Sprintf(`"a second later","omitted":%d`, 1000-chatterLines); !strings.Contains(got, want) {
		t.Errorf("got %s, want it to end with %s", got[len(got)-200:], want)
	}
}

// stillClock is a clock that stands.
type stillClock struct{ now time.Time }

func (c *stillClock) Now() time.Time                       { return c.now }
func (*stillClock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }
