package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/benchtest"
)

func scrape(tb testing.TB, m *Metrics) string {
	tb.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		tb.Fatalf("scraping: status %d, %v", w.Code, err)
	}
	return string(body)
}

func TestCounts(t *testing.T) {
	m := NewMetrics("v1.2.3")
	o := &Observer{Metrics: m}
	ctx := t.Context()
	o.Stage(ctx, notary.StageParse, time.Now(), 30*time.Microsecond)
	o.Stage(ctx, "no such stage", time.Now(), time.Second)
	o.Batch(nil, notary.StageStore, time.Now(), time.Millisecond)
	o.Outcome(notary.OutcomeLogged)
	for _, c := range []rpc.Call{
		{Method: submitMethod}, {Method: submitMethod, HTTP: true}, {Method: "HTTP tiles", HTTP: true}, {Method: "HTTP", HTTP: true},
		{Method: "/grpc.health.v1.Health/Check"}, {Method: streamMethod, Statement: true},
	} {
		began, id := o.Begin(ctx, c)
		if id != "" || o.Traced(began) {
			t.Error("a call is traced without a Tracer")
		}
		o.End(began, c, codes.OK, "", time.Millisecond)
	}
	o.End(ctx, rpc.Call{Method: submitMethod}, codes.Code(99), "", time.Minute)
	o.Refused("KEY_REVOKED")
	o.Refused("NOT_OF_THE_LIST")
	text := scrape(t, m)
	for _, want := range []string{
		`trialnotary_build_info{goversion="go`, `version="v1.2.3"} 1`,
		`trialnotary_stage_duration_seconds_bucket{stage="parse",le="2.5e-05"} 0`,
		`trialnotary_stage_duration_seconds_bucket{stage="parse",le="5e-05"} 1`,
		`trialnotary_stage_duration_seconds_count{stage="store"} 1`,
		`trialnotary_stage_duration_seconds_count{stage="verify"} 0`,
		`trialnotary_submissions_total{outcome="logged"} 1`, `trialnotary_submissions_total{outcome="overloaded"} 0`,
		`trialnotary_calls_total{code="OK",method="Submit",transport="grpc"} 1`,
		`trialnotary_calls_total{code="OK",method="Submit",transport="http"} 1`,
		`trialnotary_calls_total{code="UNKNOWN",method="Submit",transport="grpc"} 1`,
		`trialnotary_calls_total{code="OK",method="tiles",transport="http"} 1`,
		`trialnotary_calls_total{code="OK",method="other",transport="http"} 1`,
		`trialnotary_calls_total{code="OK",method="Health/Check",transport="grpc"} 1`,
		`trialnotary_call_duration_seconds_count{method="Submit",transport="grpc"} 2`,
		`trialnotary_refusals_total{reason="KEY_REVOKED"} 1`, `trialnotary_refusals_total{reason="OTHER"} 1`,
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape has no %s", want)
		}
	}
	for _, wrong := range []string{"no such stage", "NOT_OF_THE_LIST", "SubmitStream"} {
		if strings.Contains(text, wrong) {
			t.Errorf("the scrape has %s", wrong)
		}
	}
}

// TestMethodsAreBounded holds the number of series whatever names come.
func TestMethodsAreBounded(t *testing.T) {
	m := NewMetrics("")
	for i := range 1000 {
		m.call(rpc.Call{Method: fmt.Sprintf("/a.B/C%d", i)}, codes.Code(i%17), time.Millisecond)
	}
	if n := strings.Count(scrape(t, m), "trialnotary_calls_total{"); n > 17*(maxMethods+1) {
		t.Errorf("got %d series, want a bound", n)
	}
}

// TestSnapshot shows what a scrape reads, and leaves out what is not known.
func TestSnapshot(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := Snapshot{Pending: -1}
	m := NewMetrics("")
	m.Watch(func(context.Context) Snapshot { return s })
	text := scrape(t, m)
	for _, absent := range []string{
		"pending_statements", "checkpoint_age", "time_mark_age", "free_bytes", "certificate_expiry", "full_check_ok", "full_check_success", "healthy",
	} {
		if strings.Contains(text, "trialnotary_"+absent) {
			t.Errorf("the scrape has %s, which is not known", absent)
		}
	}
	s = Snapshot{
		Now: at,
		Service: notary.Gauges{Entries: 9, Published: 7, Placed: 8, InFlight: 3, Queued: 1, Awaiting: 2, Callers: 4, LastMark: at.Add(-time.Minute), BadReceipts: 5,
			Views: 2, ViewBytes: 4096, Refolds: 3, Folded: 40, FoldTime: 1500 * time.Millisecond},
		Mark: 7, Published: at.Add(-1500 * time.Millisecond), Pending: 6,
		Free: map[string]uint64{"log": 1 << 30}, Bytes: map[string]uint64{"wal": 4096},
		Expiry: map[string]time.Time{"server": at}, Connections: rpc.Connections{Open: 2, Accepted: 3, Closed: 4},
		Health: []notary.Condition{{Name: "log", OK: true}, {Name: "clock", Detail: "NCT01234567"}},
		Check: notary.CheckStatus{
			Ended: at, Took: 2 * time.Second, Report: notary.CheckReport{Entries: 7}, Phase: notary.CheckingLog, Err: errors.New("NCT01234567"),
		},
		Checked: at,
	}
	text = scrape(t, m)
	for _, want := range []string{
		"log_entries 9", "published_entries 7", "unpublished_entries 2", "high_water_mark_entries 7", "placed_entries 8",
		"checkpoint_age_seconds 1.5", "time_mark_age_seconds 60", "submissions_in_flight 3", "submissions_queued 1",
		"submissions_awaiting_index 2", "submissions_waiting 4", "pending_statements 6", "receipts_held_back_total 5",
		`free_bytes{volume="log"} 1.073741824e+09`, `file_bytes{file="wal"} 4096`,
		`certificate_expiry_timestamp_seconds{certificate="server"} 1.7723664e+09`,
		"connections 2", "connections_accepted_total 3", "connections_closed_total 4",
		`healthy{condition="log"} 1`, `healthy{condition="clock"} 0`,
		"full_check_success_timestamp_seconds 1.7723664e+09", "full_check_duration_seconds 2", "full_check_entries 7", "full_check_ok 0",
		"full_check_running 1",
		"trial_views 2", "trial_view_bytes 4096", "trial_folds_total 3", "trial_statements_folded_total 40", "trial_fold_seconds_total 1.5",
	} {
		if !strings.Contains(text, "\ntrialnotary_"+want+"\n") {
			t.Errorf("the scrape has no trialnotary_%s", want)
		}
	}
	if strings.Contains(text, "NCT01234567") {
		t.Error("the scrape has the detail of a condition")
	}
}

// BenchmarkObserver is what a submission costs beside its work: its own seven
// stages with the clock that is read for each, its outcome and its call. CPU time,
// since the machine may have other work.
func BenchmarkObserver(b *testing.B) {
	tracer := func(ratio float64) *Tracer {
		_, t := receive(b, ratio)
		b.Cleanup(func() { _ = t.Close(context.Background()) })
		return t
	}
	for name, o := range map[string]*Observer{
		"metrics": {Metrics: NewMetrics("")}, "metrics and 1 percent traced": {Metrics: NewMetrics(""), Tracer: tracer(0.01)},
		"metrics and all traced": {Metrics: NewMetrics(""), Tracer: tracer(1)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			call := rpc.Call{Method: submitMethod}
			own := []notary.Stage{
				notary.StageParse, notary.StageVerify, notary.StageAdmit, notary.StagePublish, notary.StageProve, notary.StageSelfCheck, notary.StageEvidence,
			}
			used := benchtest.CPU()
			for b.Loop() {
				began := time.Now()
				call.Began = began
				ctx, _ := o.Begin(b.Context(), call)
				ctx = context.WithValue(context.WithValue(ctx, depth{}, 1), depth{}, 2) // about as deep as a call's
				for _, s := range own {
					now := time.Now()
					o.Stage(ctx, s, began, now.Sub(began))
					began = now
				}
				_ = o.Traced(ctx)
				o.Outcome(notary.OutcomeLogged)
				o.End(ctx, call, codes.OK, trial.Reason(""), time.Since(call.Began))
			}
			b.ReportMetric(float64(benchtest.CPU()-used)/float64(b.N), "cpu-ns/op")
		})
	}
}

type depth struct{}
