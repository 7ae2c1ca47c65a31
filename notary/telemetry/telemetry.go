// Package telemetry shows the notary to its operator: metrics for Prometheus and
// traces for an OpenTelemetry collector.
//
// It owns what metrics and spans are called and what they carry. It promises that
// nothing in them names a trial, a site, a user, an address, a file or a
// statement: every label and attribute is from a fixed list, and the only text of
// a caller that is used is the trace id of one that is authenticated. It knows
// what it observes through the interfaces that notary and rpc declare; both work
// without it, and only cmd/notaryd imports it.
package telemetry

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/trial"
)

// Observer tells Metrics and Tracer what a service and a server did. Either may be
// nil.
type Observer struct {
	Metrics *Metrics
	Tracer  *Tracer
}

// Stage implements notary.Observer.
func (o *Observer) Stage(ctx context.Context, s notary.Stage, began time.Time, took time.Duration) {
	if o.Metrics != nil {
		o.Metrics.stage(s, took)
	}
	if o.Tracer != nil {
		o.Tracer.stage(ctx, s, began, took)
	}
}

// Traced implements notary.Observer.
func (o *Observer) Traced(ctx context.Context) bool { return o.Tracer != nil && recording(ctx) }

// Batch implements notary.Observer.
func (o *Observer) Batch(traced []context.Context, s notary.Stage, began time.Time, took time.Duration) {
	if o.Metrics != nil {
		o.Metrics.stage(s, took)
	}
	if o.Tracer != nil && len(traced) > 0 {
		o.Tracer.batch(traced, s, began, took)
	}
}

// Outcome implements notary.Observer.
func (o *Observer) Outcome(outcome notary.Outcome) {
	if o.Metrics != nil {
		o.Metrics.outcomes[outcome].Inc()
	}
}

// Begin implements rpc.Observer.
func (o *Observer) Begin(ctx context.Context, c rpc.Call) (context.Context, string) {
	if o.Tracer == nil {
		return ctx, ""
	}
	return o.Tracer.begin(ctx, c)
}

// End implements rpc.Observer.
func (o *Observer) End(ctx context.Context, c rpc.Call, code codes.Code, reason trial.Reason, took time.Duration) {
	if o.Metrics != nil && !c.Statement { // those are counted by their outcomes
		o.Metrics.call(c, code, took)
	}
	if o.Tracer != nil {
		o.Tracer.end(ctx, code, reason)
	}
}

// Refused implements rpc.Observer.
func (o *Observer) Refused(reason trial.Reason) {
	if o.Metrics != nil {
		o.Metrics.refused(reason)
	}
}

var (
	_ notary.Observer = (*Observer)(nil)
	_ rpc.Observer    = (*Observer)(nil)
)
