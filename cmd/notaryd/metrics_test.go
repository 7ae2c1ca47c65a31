package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
)

// shownTrial is the demo's trial on a server that shows metrics, and what else
// change asks for.
func shownTrial(tb testing.TB, change func(*Config)) *story {
	tb.Helper()
	s := &story{dir: filepath.Join(tb.TempDir(), "n"), out: io.Discard}
	ctx := context.WithoutCancel(tb.Context())
	tb.Cleanup(func() {
		if err := s.end(ctx); err != nil {
			tb.Error(err)
		}
	})
	show := func(ctx context.Context) error {
		if err := s.stop(ctx); err != nil {
			return err
		}
		s.config.Listen.Metrics = "127.0.0.1:0"
		if change != nil {
			change(s.config)
		}
		s.stopLogger()
		s.logger, s.stopLogger = newLogger(s.config.LogLevel, s.logFile)
		return s.serve(ctx)
	}
	for _, step := range []func(context.Context) error{s.createNotary, show, s.openTrial, s.enrolPeople} {
		if err := step(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

// scrape returns the samples of the running server, by name with labels.
func (s *story) scrape(t *testing.T) (samples map[string]float64, text string) {
	t.Helper()
	resp, err := http.Get("http://" + s.server.parts.shown.addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scraping: status %d, %v: %s", resp.StatusCode, err, body)
	}
	samples = make(map[string]float64)
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		samples[line[:at]] = v
	}
	return samples, string(body)
}

// TestMetrics compares what a scrape says with what happened.
func TestMetrics(t *testing.T) {
	s := shownTrial(t, func(c *Config) { c.Times.Mark = time.Hour }) // one mark, however slow the machine is
	ctx := t.Context()
	if err := s.submitDatasets(ctx); err != nil {
		t.Fatal(err)
	}
	got, _ := s.scrape(t)
	entries := float64(s.server.parts.log.Size())
	for name, want := range map[string]float64{
		"trialnotary_log_entries":              entries,
		"trialnotary_published_entries":        entries,
		"trialnotary_unpublished_entries":      0,
		"trialnotary_high_water_mark_entries":  entries,
		"trialnotary_placed_entries":           entries,
		"trialnotary_pending_statements":       0,
		"trialnotary_submissions_in_flight":    0,
		"trialnotary_submissions_queued":       0,
		"trialnotary_submissions_waiting":      0,
		"trialnotary_receipts_held_back_total": 0,
		// All entries but the time mark were submitted.
		`trialnotary_submissions_total{outcome="logged"}`:                           entries - 1,
		`trialnotary_submissions_total{outcome="refused"}`:                          0,
		`trialnotary_calls_total{code="OK",method="Submit",transport="grpc"}`:       entries - 1,
		`trialnotary_call_duration_seconds_count{method="Submit",transport="grpc"}`: entries - 1,
		`trialnotary_healthy{condition="log"}`:                                      1,
		`trialnotary_refusals_total{reason="BAD_SIGNATURE"}`:                        0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: got %v, %v, want %v", name, v, ok, want)
		}
	}
	for _, name := range []string{
		"trialnotary_checkpoint_age_seconds", "trialnotary_time_mark_age_seconds", `trialnotary_free_bytes{volume="log"}`,
		`trialnotary_free_bytes{volume="database"}`, `trialnotary_file_bytes{file="database"}`,
		`trialnotary_certificate_expiry_timestamp_seconds{certificate="server"}`, "trialnotary_connections",
		`trialnotary_certificate_expiry_timestamp_seconds{certificate="client-ca"}`, `trialnotary_healthy{condition="certificate"}`,
		"trialnotary_connections_accepted_total", "go_goroutines", "process_cpu_seconds_total",
	} {
		if got[name] <= 0 {
			t.Errorf("%s: got %v, want a positive number", name, got[name])
		}
	}
	for _, stage := range notary.Stages() {
		if got[`trialnotary_stage_duration_seconds_count{stage="`+string(stage)+`"}`] == 0 {
			t.Errorf("stage %s was not measured", stage)
		}
	}
	for _, r := range rpc.Reasons() {
		if _, ok := got[`trialnotary_refusals_total{reason="`+string(r.Reason)+`"}`]; !ok {
			t.Errorf("refusals for %s are not counted from the start", r.Reason)
		}
	}
}

// TestMetricsListener serves nothing else, and holds no crowd of connections.
func TestMetricsListener(t *testing.T) {
	s := shownTrial(t, nil)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	closed := make(chan struct{}, 100)
	for range cap(closed) {
		conn, err := dialer.DialContext(t.Context(), "tcp", s.server.parts.shown.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			_, _ = conn.Read(make([]byte, 1)) // nothing comes but the end
			closed <- struct{}{}
		}()
	}
	for range cap(closed) - maxScrapers/4 {
		<-closed
	}
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/metrics", http.StatusOK}, {"GET", "/", http.StatusNotFound}, {"GET", "/debug/pprof/", http.StatusNotFound},
		{"GET", "/v1/checkpoint", http.StatusNotFound}, {"POST", "/metrics", http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+s.server.parts.shown.addr+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: got status %d, want %d", c.method, c.path, resp.StatusCode, c.status)
		}
	}
}
