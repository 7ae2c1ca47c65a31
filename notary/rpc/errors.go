package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/trial"
)

// Domain is the domain of every google.rpc.ErrorInfo of this API.
const Domain = "trialnotary.github.io"

// How long a caller should wait before it sends the same bytes again.
const (
	retryOverloaded = time.Second
	retryStopped    = 30 * time.Second
)

// errDraining ends a stream of a server that is shutting down.
var errDraining = errors.New("the server is shutting down")

// notYours is the refusal of something that exists and that the caller may not
// see. It looks exactly like notary.ErrNotFound from outside; only the record of
// refusals tells them apart.
type notYours struct{}

func (notYours) Error() string { return "not visible to the caller" }
func (notYours) Unwrap() error { return notary.ErrNotFound }

// refuse turns an error into the status that the caller gets and records it.
// Submit, every item of SubmitStream and every HTTP refusal pass through here.
func (s *Server) refuse(ctx context.Context, err error) *status.Status {
	c := callOf(ctx)
	st := toStatus(err, c.id)
	reason := trial.Reason(reasonIn(st))
	if errors.As(err, new(notYours)) {
		reason = reasonNotPermitted
	}
	if s.cfg.Observer != nil {
		s.cfg.Observer.Refused(reason)
	}
	switch st.Code() {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		if p, ok := errors.AsType[*notary.PanicError](err); ok {
			s.log.Error("panic", zap.String("request_id", c.id), zap.String("method", c.method),
				zap.String("type", p.Type), zap.ByteString("stack", p.Stack))
		}
		s.log.Error("internal error", zap.String("request_id", c.id), zap.String("method", c.method), zap.Error(err))
	case codes.ResourceExhausted:
		// What is above a limit is logged with its call, and not kept.
	case codes.Unavailable:
		if errors.As(err, new(*limitError)) {
			break
		}
		// Nobody was refused anything: the caller sends it again.
		s.log.Warn("unavailable", zap.String("request_id", c.id), zap.String("method", c.method), zap.Error(err))
	case codes.Canceled, codes.DeadlineExceeded:
	default:
		s.refusals.record(Refused{
			Time: s.now(), RequestID: c.id, User: c.name(), Address: c.address, Method: c.method,
			Reason: reason, Statement: statementOf(err),
		})
	}
	return st
}

// statementOf returns the statement that an error is about, if any.
func statementOf(err error) trial.ID {
	if about, ok := errors.AsType[*statementError](err); ok {
		return about.id
	}
	return trial.ID{}
}

// toStatus is the one place where errors become statuses.
func toStatus(err error, requestID string) *status.Status {
	var refusal *trial.Refusal
	var limit *limitError
	var unreadable *notary.UnreadableError
	var own interface{ GRPCStatus() *status.Status }
	switch {
	case errors.As(err, &refusal):
		return refusalStatus(refusal)
	case errors.As(err, &limit):
		return statusOf(limit.reason, "", limit.detail, retryAfter(limit.wait))
	case errors.Is(err, notary.ErrNotFound):
		return statusOf(reasonNotFound, "", detailNotFound)
	case errors.Is(err, notary.ErrNotReceipt):
		return statusOf(reasonNotReceipt, "receipt", err.Error())
	case errors.Is(err, notary.ErrNotEvidence):
		return statusOf(reasonNotReceipt, "evidence", err.Error())
	case errors.Is(err, notary.ErrOverloaded):
		return statusOf(reasonOverloaded, "", "too many submissions in flight: send the same bytes again", retryAfter(retryOverloaded))
	case errors.Is(err, notary.ErrStoreFull):
		return statusOf(reasonStorageFull, "", "the notary's disk is full, and it takes no new statements: send the same bytes again later", retryAfter(retryStopped))
	case errors.Is(err, notary.ErrLogStopped):
		return statusOf(reasonLogStopped, "", "the log takes no entries at present: send the same bytes again", retryAfter(retryStopped))
	case errors.Is(err, errViewChanged):
		return statusOf(reasonUnavailable, "", errViewChanged.Error(), retryAfter(retryOverloaded))
	case errors.Is(err, errDraining):
		return statusOf(reasonUnavailable, "", "the server is shutting down: send the same bytes again", retryAfter(retryOverloaded))
	case errors.Is(err, notary.ErrUnavailable):
		return statusOf(reasonUnavailable, "", "the notary cannot answer now: send the same bytes again", retryAfter(retryOverloaded))
	case errors.As(err, &unreadable): // not of a submission, which may be sent again
		return statusOf(reasonUnreadable, "", fmt.Sprintf("the notary's copy of statement %s is damaged: its operator has to restore it", unreadable.Record.ID))
	case errors.Is(err, context.DeadlineExceeded):
		return statusOf(reasonDeadline, "", "the call took too long; a submission may have been logged: send the same bytes again")
	case errors.Is(err, context.Canceled):
		return statusOf(reasonCancelled, "", "the call was cancelled; a submission may have been logged: send the same bytes again")
	case errors.As(err, &own):
		// Nothing below this package knows statuses: this one is grpc's own, of
		// a stream that broke or of the health and reflection services.
		return ownStatus(own.GRPCStatus(), requestID)
	}
	return internalStatus(requestID)
}

const detailNotFound = "not found, or not visible to this caller"

// refusalStatus maps a refusal. Where the reason is that something is not there
// nothing more is said: what is not the caller's must look the same.
func refusalStatus(r *trial.Refusal) *status.Status {
	if r.Reason == reasonNotFound || r.Reason == trial.ReasonUnknownTrial {
		return statusOf(reasonNotFound, "", detailNotFound)
	}
	var more []protoadapt.MessageV1
	if codeOf(r.Reason) == codes.Unavailable {
		more = append(more, retryAfter(retryOverloaded))
	}
	return statusOf(r.Reason, r.Path, r.Detail, more...)
}

// ownStatus passes on grpc's own refusals; what has no reason of ours says
// nothing of the inside.
func ownStatus(st *status.Status, requestID string) *status.Status {
	switch st.Code() {
	case codes.Canceled:
		return toStatus(context.Canceled, requestID)
	case codes.DeadlineExceeded:
		return toStatus(context.DeadlineExceeded, requestID)
	case codes.NotFound:
		return statusOf(reasonNotFound, "", st.Message())
	case codes.ResourceExhausted:
		return statusOf(reasonMessageTooLarge, "", st.Message())
	case codes.InvalidArgument, codes.Unimplemented:
		return statusOf(reasonBadRequest, "", st.Message())
	case codes.Unavailable:
		return statusOf(reasonUnavailable, "", "the connection is closing: send the same bytes again", retryAfter(retryOverloaded))
	default:
		return internalStatus(requestID)
	}
}

// internalStatus tells the caller nothing but what to quote when asking.
func internalStatus(requestID string) *status.Status {
	return statusOf(reasonInternal, "", "internal error; the operator finds it under request "+requestID,
		&errdetails.RequestInfo{RequestId: requestID})
}

func retryAfter(d time.Duration) *errdetails.RetryInfo {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(d)}
}

// statusOf builds a status of a reason.
func statusOf(reason trial.Reason, path, detail string, more ...protoadapt.MessageV1) *status.Status {
	info := &errdetails.ErrorInfo{Reason: string(reason), Domain: Domain}
	message := detail
	if path = clip(path); path != "" {
		info.Metadata = map[string]string{"path": path}
		message = path + ": " + detail
	}
	st := status.New(codeOf(reason), message)
	if c := st.Code(); path != "" && (c == codes.InvalidArgument || c == codes.FailedPrecondition) {
		more = append(more, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: path, Description: detail, Reason: string(reason)},
		}})
	}
	with, err := st.WithDetails(append([]protoadapt.MessageV1{info}, more...)...)
	if err != nil { // only for code OK, which no reason has
		return st
	}
	return with
}

// errorInfo returns the ErrorInfo of a status, or nil.
func errorInfo(st *status.Status) *errdetails.ErrorInfo {
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}
