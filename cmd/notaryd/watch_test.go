package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/trialnotary/trialnotary/notary"
)

// TestWatchTellsChanges logs each turn of a condition and of the log once.
func TestWatchTellsChanges(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	conditions := []notary.Condition{{Name: "log", OK: true}, {Name: "clock", OK: true}}
	var gauges notary.Gauges
	w := &watcher{
		logger: zap.New(core), bad: make(map[string]bool),
		health: func() []notary.Condition { return conditions },
		gauges: func() notary.Gauges { return gauges },
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		after              time.Duration
		clock              bool
		entries, published uint64
		want               string
	}{
		{0, true, 5, 5, ""},
		{time.Second, false, 5, 5, "not healthy"},
		{time.Second, false, 9, 5, ""},                          // entries begin to wait
		{4 * time.Second, false, 10, 5, ""},                     // not long
		{time.Second, false, 11, 7, ""},                         // a checkpoint came
		{4900 * time.Millisecond, true, 12, 7, "healthy again"}, // not long since
		{100 * time.Millisecond, true, 12, 7, "a checkpoint is late"},
		{time.Minute, true, 12, 7, ""},
		{time.Second, true, 12, 12, "checkpoints are published again"},
		{time.Hour, true, 12, 12, ""}, // there is nothing to publish
		{time.Second, true, 13, 12, ""},
	} {
		now = now.Add(step.after)
		conditions[1].OK = step.clock
		gauges.Entries, gauges.Published = step.entries, step.published
		w.look(now)
		var got []string
		for _, line := range logs.TakeAll() {
			got = append(got, line.Message)
		}
		if strings.Join(got, ", ") != step.want {
			t.Errorf("step %d: got lines %q, want %q", i, got, step.want)
		}
	}
}

// logLines reads a log.
func logLines(t *testing.T, log []byte) []map[string]any {
	t.Helper()
	var out []map[string]any
	for line := range bytes.Lines(log) {
		fields := make(map[string]any)
		if err := json.Unmarshal(line, &fields); err != nil {
			if bytes.HasPrefix(line, []byte("notaryd: ")) {
				continue // for whoever started it by hand
			}
			t.Fatalf("a line is no JSON: %s", line)
		}
		out = append(out, fields)
	}
	return out
}

// TestLogOfAServersLife reads what a server's process logs of its start, of a
// start after a kill, of a start that it refuses, and of its stop.
func TestLogOfAServersLife(t *testing.T) {
	s := trialForLoad(t)
	told := func(p *process, message string) map[string]any {
		t.Helper()
		for _, line := range logLines(t, p.stderr.Bytes()) {
			if line["msg"] == message {
				return line
			}
		}
		return nil
	}
	killed := s.spawn(t)
	killed.kill(t)
	stopped := s.spawn(t)
	stopped.once.Do(func() {
		if err := errors.Join(stopped.cmd.Process.Signal(syscall.SIGTERM), stopped.cmd.Wait()); err != nil {
			t.Fatalf("stopping: %v\n%s", err, stopped.stderr)
		}
	})
	serving := told(stopped, "serving")
	for _, field := range []string{"origin", "grpc", "http", "version", "entries", "took"} {
		if serving[field] == nil {
			t.Errorf("the line of a start has no %s: %v", field, serving)
		}
	}
	if told(stopped, "stopping")["cause"] == nil || told(stopped, "stopped")["entries"] != serving["entries"] {
		t.Errorf("the log of a stop: %s", stopped.stderr)
	}
	// Another copy of the log than the database knows.
	if err := os.Rename(s.config.Log.Dir+"/checkpoint", s.config.Log.Dir+"/checkpoint.away"); err != nil {
		t.Fatal(err)
	}
	refused := s.command(t)
	refused.cmd.Stdout = nil
	if err := refused.cmd.Run(); err == nil {
		t.Fatal("a server started without a checkpoint")
	}
	if line := told(refused, "not started"); line["error"] == nil || line["level"] != "error" {
		t.Errorf("the log of a refused start: %s", refused.stderr)
	}
}
