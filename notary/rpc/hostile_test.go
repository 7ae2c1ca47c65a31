package rpc

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// hold measures what a test makes the process hold: heap in use and goroutines.
type hold struct {
	heap       uint64
	goroutines int
}

func held() hold {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return hold{m.HeapAlloc, runtime.NumGoroutine()}
}

// within demands that not more than so much was added, now or soon.
func (h hold) within(t *testing.T, what string, bytes uint64, goroutines int) {
	t.Helper()
	var now hold
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if now = held(); now.heap <= h.heap+bytes && now.goroutines <= h.goroutines+goroutines {
			return
		}
	}
	t.Errorf("%s: the process holds %d KiB and %d goroutines more, want at most %d and %d", what,
		(int64(now.heap)-int64(h.heap))>>10, now.goroutines-h.goroutines, bytes>>10, goroutines)
}

// others demands that an honest caller is answered on both listeners, on
// connections of its own.
func (w *world) others(t *testing.T, while string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(w.asCtx("sponsor"), 30*time.Second)
	defer cancel()
	if _, err := w.grpc().GetStatement(ctx, &notaryv1.GetStatementRequest{StatementId: w.protocol.String()}); err != nil {
		t.Errorf("%s: gRPC answers another caller %v", while, err)
	}
	probe, err := grpc.NewClient(w.healthAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	defer func() { must(t, probe.Close()) }()
	if _, err := grpc_health_v1.NewHealthClient(probe).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Errorf("%s: a probe gets %v", while, err)
	}
	web := w.web()
	web.Timeout = 30 * time.Second
	if a := w.do(web, "GET", "/v1/statements/"+w.protocol.String(), nil, w.as("sponsor")...); a.status != 200 {
		t.Errorf("%s: HTTP answers another caller %d %s", while, a.status, a.body)
	}
}

// rawH1 connects to the HTTP listener for HTTP/1.1.
func (w *world) rawH1() *tls.Conn {
	w.t.Helper()
	c := w.tls()
	c.NextProtos = []string{"http/1.1"}
	conn, err := tls.Dial("tcp", w.httpAddr, c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// impatient is a server whose callers have little time.
func impatient(c *Config) {
	c.Limits.ReadTimeout, c.Limits.CallTimeout, c.Limits.IdleTimeout = 500*time.Millisecond, 500*time.Millisecond, time.Second
}

const mib = 1 << 20

// TestSlowCallers sends headers, bodies and messages slowly or not to the end,
// and reads no answers, over HTTP/1.1, HTTP/2 and gRPC: each is cut off or
// refused by name, and others are answered meanwhile.
func TestSlowCallers(t *testing.T) {
	w := newWorld(t, impatient)
	before := held()
	good := fmt.Sprintf("Authorization: %s\r\nContent-Type: application/json\r\n", w.as("sponsor")[1])

	headers := w.rawH1()
	_, err := io.WriteString(headers, "GET /checkpoint HTTP/1.1\r\nHost: localhost\r\nX-Slow: a")
	must(t, err)
	body := w.rawH1()
	_, err = io.WriteString(body, "POST /v1/verify HTTP/1.1\r\nHost: localhost\r\n"+good+"Content-Length: 100\r\n\r\n{")
	must(t, err)
	chunked := w.rawH1()
	_, err = io.WriteString(chunked, "POST /v1/verify HTTP/1.1\r\nHost: localhost\r\n"+good+"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
	must(t, err)
	h2 := w.rawH2(w.httpAddr)
	must(t, h2.open(1, "/v1/verify", "content-type", "application/json", "authorization", w.as("sponsor")[1]))
	call := w.rawH2(w.grpcAddr)
	must(t, call.open(1, notaryv1.NotaryService_Verify_FullMethodName, w.grpcFields("sponsor")...))
	must(t, call.framer.WriteData(1, false, []byte{0, 0, 0, 1, 0, 'x'}))

	w.others(t, "slow callers wait")
	if !closed(headers, 30*time.Second) {
		t.Error("slow headers over HTTP/1.1 are waited for")
	}
	for name, conn := range map[string]*tls.Conn{"slow body": body, "slow chunks": chunked} {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s over HTTP/1.1: %v", name, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusGatewayTimeout || !bytes.Contains(text, []byte("DEADLINE_EXCEEDED")) {
			t.Errorf("%s over HTTP/1.1: got %d %s", name, resp.StatusCode, text)
		}
	}
	if got := h2.await(1, ":status"); got != "504" {
		t.Errorf("slow body over HTTP/2: got status %s", got)
	}
	if got := call.await(1, "grpc-status"); got != "4" { // DEADLINE_EXCEEDED
		t.Errorf("slow message over gRPC: got status %s", got)
	}
	before.within(t, "slow callers", 16*mib, 100)
}

// TestSlowReaders call and never read what they are answered.
func TestSlowReaders(t *testing.T) {
	w := newWorld(t, impatient)
	w.tiles.large = bytes.Repeat([]byte("x"), 8*mib)
	before := held()
	h1 := w.rawH1()
	_, err := io.WriteString(h1, "GET /tile/entries/000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	must(t, err)
	// A window of 0: the answers can never be sent.
	none := http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}
	tiles, calls := w.rawH2(w.httpAddr, none), w.rawH2(w.grpcAddr, none)
	for i := range uint32(32) {
		must(t, tiles.framer.WriteHeaders(http2.HeadersFrameParam{
			StreamID: 2*i + 1, EndHeaders: true, EndStream: true,
			BlockFragment: tiles.encode("/tile/entries/000", ":method", "GET"),
		}))
		must(t, calls.open(2*i+1, notaryv1.NotaryService_GetTrustMaterial_FullMethodName, w.grpcFields("sponsor")...))
		must(t, calls.framer.WriteData(2*i+1, true, message(&notaryv1.GetTrustMaterialRequest{Trial: w.trialA.String()})))
	}
	w.others(t, "answers are not read")
	before.within(t, "slow readers", 32*mib, 150)
	eventually(t, "an answer over HTTP/1.1 that nobody reads is cut off", func() bool {
		w.srv.limiter.mu.Lock()
		defer w.srv.limiter.mu.Unlock()
		return w.srv.limiter.strangers[classRead] == 0
	})
}

// TestHugeMessages sends 100 MB where a few are allowed. Nothing of it is kept.
func TestHugeMessages(t *testing.T) {
	w := newWorld(t)
	before := held()
	const huge = 100_000_000
	zeros := func() io.Reader { return io.LimitReader(zeroReader{}, huge) }
	for _, path := range []string{"/v1/statements", "/v1/verify"} {
		for name, length := range map[string]int64{"with a length": huge, "chunked": -1} {
			for _, user := range []string{"sponsor", ""} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.httpAddr+path, zeros())
				must(t, err)
				req.ContentLength = length
				req.Header.Set("Content-Type", "application/json")
				want, reason := 401, "UNAUTHENTICATED"
				if user != "" {
					req.Header.Set("Authorization", w.as(user)[1])
					want, reason = 400, "TOO_LARGE"
				}
				resp, err := w.web().Do(req)
				if err != nil {
					t.Errorf("%s %s as %q: %v", path, name, user, err)
					continue
				}
				text, _ := io.ReadAll(resp.Body)
				must(t, resp.Body.Close())
				if resp.StatusCode != want || !bytes.Contains(text, []byte(reason)) {
					t.Errorf("%s %s as %q: got %d %s, want %s", path, name, user, resp.StatusCode, text, reason)
				}
			}
		}
	}
	for user, want := range map[string]string{"sponsor": "8", "": "16"} { // RESOURCE_EXHAUSTED, UNAUTHENTICATED
		r := w.rawH2(w.grpcAddr)
		must(t, r.open(1, notaryv1.NotaryService_Verify_FullMethodName, w.grpcFields(user)...))
		prefix := make([]byte, 5)
		binary.BigEndian.PutUint32(prefix[1:], huge)
		must(t, r.framer.WriteData(1, false, prefix))
		if got := r.await(1, "grpc-status"); got != want {
			t.Errorf("a message of 100 MB as %q: got status %s, want %s", user, got, want)
		}
	}
	// Between the limit and twice the limit the refusal is ours.
	large := &notaryv1.VerifyRequest{Trial: w.trialA.String(), Receipt: strings.Repeat("x", 5*mib)}
	_, err := w.grpc().Verify(w.asCtx("sponsor"), large)
	if st := status.Convert(err); reasonIn(st) != "MESSAGE_TOO_LARGE" {
		t.Errorf("a message of 5 MiB: got %v, want MESSAGE_TOO_LARGE", err)
	}
	for method, reason := range map[string]string{notaryv1.NotaryService_Verify_FullMethodName: "BAD_REQUEST", "/notary.v1.NotaryService/GetCheckpoint": "BAD_REQUEST"} {
		garbage := &rawMessage{bytes.Repeat([]byte{0xff}, 100)}
		err := w.dial().Invoke(w.asCtx("sponsor"), method, garbage, new(notaryv1.VerifyResponse), grpc.ForceCodecV2(rawCodec{newCodec(1<<20, new(buffers))}))
		if got := reasonIn(status.Convert(err)); got != reason {
			t.Errorf("bytes that are no message: got %v, want %s", err, reason)
		}
	}
	w.others(t, "100 MB were sent")
	before.within(t, "huge messages", 16*mib, 100)
}

// rawMessage is bytes that rawCodec sends as they are.
type rawMessage struct{ bytes []byte }

type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(*rawMessage); ok {
		return mem.BufferSlice{mem.SliceBuffer(m.bytes)}, nil
	}
	return c.CodecV2.Marshal(v)
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// TestCompressionBombs are refused before they are unpacked: this API takes
// nothing compressed.
func TestCompressionBombs(t *testing.T) {
	w := newWorld(t)
	before := held()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := io.CopyN(z, zeroReader{}, 32*mib)
	must(t, err)
	must(t, z.Close())
	for _, user := range []string{"sponsor", ""} {
		r := w.rawH2(w.grpcAddr)
		must(t, r.open(1, notaryv1.NotaryService_Verify_FullMethodName, append(w.grpcFields(user), "grpc-encoding", "gzip")...))
		frame := make([]byte, 5, 5+bomb.Len())
		frame[0] = 1
		binary.BigEndian.PutUint32(frame[1:], uint32(bomb.Len()))
		// The beginning is enough, and fits one frame.
		_ = r.framer.WriteData(1, false, append(frame, bomb.Bytes()[:min(bomb.Len(), 8<<10)]...)) // may be refused already
		// 12 is UNIMPLEMENTED: no decompressor is there at all.
		if got := r.await(1, "grpc-status"); got != "12" && got != "16" {
			t.Errorf("gRPC as %q: got status %s", user, got)
		}
	}
	for _, encoding := range []string{"gzip", "deflate", "br", "zstd"} {
		a := w.do(w.web(), "POST", "/v1/verify", bomb.Bytes()[:1000], append(w.as("sponsor"), "Content-Type", "application/json", "Content-Encoding", encoding)...)
		if a.status != 415 || !bytes.Contains(a.body, []byte("UNSUPPORTED_MEDIA_TYPE")) {
			t.Errorf("HTTP with %s: got %d %s", encoding, a.status, a.body)
		}
	}
	w.others(t, "a bomb was sent")
	before.within(t, "compression bombs", 16*mib, 100)
}
