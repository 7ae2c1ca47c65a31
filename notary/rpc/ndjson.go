package rpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// ndjson is the media type of SubmitStream over HTTP, in both directions.
const ndjson = "application/x-ndjson"

// maxLine is the largest line: an envelope, its id and the JSON around them.
const maxLine = trial.MaxEnvelope + 4<<10

// lines is SubmitStream over HTTP. The generated gateway ends the request stream
// in silence at the first line that it cannot read; here the whole body is read
// and checked before its first statement is submitted, so that a bad line
// submits nothing. Half-duplex: the answers follow the body.
func (f *front) lines(w *statusWriter, r *http.Request) error {
	if err := contentType(r, ndjson); err != nil {
		return err
	}
	leave, err := f.limiter.enter(callOf(r.Context()), classBatch)
	if err != nil {
		return err
	}
	defer leave()
	select {
	case f.batches <- struct{}{}:
		defer func() { <-f.batches }()
	default:
		return &trial.Refusal{Reason: reasonOverloaded, Detail: "too many batches at once: send the same bytes again"}
	}
	requests, err := f.readLines(w, r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	md := f.outgoing(ctx)
	if values := r.Header.Values(authorizationHeader); len(values) > 0 {
		md.Set(authorizationKey, values...)
	}
	stream, err := f.client.SubmitStream(metadata.NewOutgoingContext(ctx, md))
	if err != nil {
		return err
	}
	w.forwarded = true
	go func() {
		for _, req := range requests {
			if stream.Send(req) != nil {
				return // Recv says why
			}
		}
		_ = stream.CloseSend() // never fails
	}()
	f.writeLines(w, r, func() (proto.Message, error) { return stream.Recv() })
	return nil
}

// readLines reads and checks a whole body.
func (f *front) readLines(w http.ResponseWriter, r *http.Request) ([]*notaryv1.SubmitStreamRequest, error) {
	limits := f.cfg.Limits
	// One line at a time in memory: what is kept is the decoded message.
	in := bufio.NewReaderSize(http.MaxBytesReader(unwrapped(w), r.Body, limits.MaxLinesBody), 64<<10)
	seen := make(map[string]bool)
	var out []*notaryv1.SubmitStreamRequest
	for {
		line := fmt.Sprintf("line %d", len(out)+1)
		text, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF) && len(out) == 0:
			return nil, badRequest("", "the body is empty, want one JSON object a line")
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.Is(err, errLongLine), errors.Is(err, errNoNewline):
			return nil, badRequest(line, "%v", err)
		case err != nil:
			return nil, bodyError(err, limits.MaxLinesBody)
		case len(out) == limits.MaxLines:
			return nil, &trial.Refusal{Reason: trial.ReasonTooLarge, Path: line, Detail: fmt.Sprintf("want at most %d lines a request", limits.MaxLines)}
		}
		req := new(notaryv1.SubmitStreamRequest)
		if err := unmarshalStrict(text, req); err != nil {
			return nil, at(line, err)
		}
		if len(req.GetItems()) > 0 {
			return nil, badRequest(line+".items", "over HTTP a line is one statement: write each item on a line of its own")
		}
		if err := checkStreamID(req.GetId()); err != nil {
			return nil, at(line, err)
		}
		if seen[req.GetId()] {
			return nil, badRequest(line+".id", "another line of this request has the same id")
		}
		seen[req.GetId()] = true
		out = append(out, req)
	}
}

var (
	errLongLine  = fmt.Errorf("the line has more than %d bytes", maxLine)
	errNoNewline = errors.New("the line does not end with a line feed")
)

// readLine returns the next line without its line feed, or io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, errLongLine
		}
		switch {
		case err == nil:
			return bytes.TrimSuffix(append(line, part...), []byte("\n")), nil
		case errors.Is(err, bufio.ErrBufferFull):
			line = append(line, part...)
		case errors.Is(err, io.EOF) && len(line)+len(part) > 0:
			return nil, errNoNewline
		default:
			return nil, err
		}
	}
}

// writeLines writes one answer a line, as {"result": …}, and what ended the stream
// early as a last line {"error": Status}.
func (f *front) writeLines(w *statusWriter, r *http.Request, next func() (proto.Message, error)) {
	rc := http.NewResponseController(w)
	patience := func() { _ = rc.SetWriteDeadline(time.Now().Add(f.patience())) }
	defer patience() // for the end of the body
	defer f.hurry(rc)()
	line := func(name string, value []byte) bool {
		patience() // a slow reader gets this long a line
		w.Header().Set("Content-Type", ndjson)
		_, err := fmt.Fprintf(w, "{%q:%s}\n", name, value)
		if err != nil || rc.Flush() != nil {
			return false
		}
		_ = rc.SetWriteDeadline(time.Time{}) // HTTP/2 would end the answer while there is nothing to say
		return true
	}
	for {
		resp, err := next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			st, _ := status.FromError(err)
			if errorInfo(st) == nil {
				st = f.refuse(r.Context(), err)
			}
			if w.status == 0 {
				f.writeStatus(w, st)
				return
			}
			b, _ := protojson.Marshal(st.Proto()) // was unmarshalled a moment ago
			line("error", b)
			return
		}
		b, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(resp)
		if err != nil || !line("result", b) {
			return // the caller went away: cancelling the stream ends the rest
		}
		w.status = http.StatusOK
	}
}
