package rpc

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/proto"
)

// raw is an HTTP/2 connection on which a test sends any frame that it likes. A
// goroutine reads everything that the server sends, so that only a test that
// wants to is a slow reader.
type raw struct {
	tb     testing.TB
	conn   net.Conn
	framer *http2.Framer
	block  bytes.Buffer
	enc    *hpack.Encoder

	mu      sync.Mutex
	headers map[uint32]map[string]string // of the answers, by stream
	bodies  map[uint32]int               // their bytes
	resets  map[uint32]http2.ErrCode
	goAway  *http2.GoAwayFrame
	ended   chan struct{} // closed when the server closed the connection
}

// rawH2 connects to an address with the given settings.
func (w *world) rawH2(addr string, settings ...http2.Setting) *raw {
	w.t.Helper()
	c := w.tls()
	c.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &raw{
		tb: w.t, conn: conn, framer: http2.NewFramer(conn, conn), ended: make(chan struct{}),
		headers: make(map[uint32]map[string]string), bodies: make(map[uint32]int), resets: make(map[uint32]http2.ErrCode),
	}
	r.enc = hpack.NewEncoder(&r.block)
	r.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err = io.WriteString(conn, http2.ClientPreface)
	must(w.t, err)
	must(w.t, r.framer.WriteSettings(settings...))
	go r.read()
	w.t.Cleanup(func() { _ = conn.Close(); <-r.ended })
	return r
}

func (r *raw) read() {
	defer close(r.ended)
	for {
		frame, err := r.framer.ReadFrame()
		if err != nil && !errors.As(err, new(http2.StreamError)) {
			return
		}
		r.mu.Lock()
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if r.headers[f.StreamID] == nil {
				r.headers[f.StreamID] = make(map[string]string)
			}
			for _, h := range f.Fields {
				r.headers[f.StreamID][h.Name] = h.Value
			}
		case *http2.DataFrame:
			r.bodies[f.StreamID] += len(f.Data())
		case *http2.RSTStreamFrame:
			r.resets[f.StreamID] = f.ErrCode
		case *http2.GoAwayFrame:
			r.goAway = f
		}
		r.mu.Unlock()
	}
}

// encode returns the header block of a request: name, value, name, value.
func (r *raw) encode(path string, fields ...string) []byte {
	r.block.Reset()
	method := "POST"
	if len(fields) > 1 && fields[0] == ":method" {
		method, fields = fields[1], fields[2:]
	}
	fields = append([]string{":method", method, ":scheme", "https", ":authority", "localhost", ":path", path}, fields...)
	for i := 0; i < len(fields); i += 2 {
		_ = r.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // to memory
	}
	return bytes.Clone(r.block.Bytes())
}

// open begins a request. It fails once the server has closed the connection.
func (r *raw) open(stream uint32, path string, fields ...string) error {
	return r.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: r.encode(path, fields...), EndHeaders: true,
	})
}

// grpcFields are the headers of a gRPC call of a user; "" is nobody.
func (w *world) grpcFields(user string) []string {
	fields := []string{"content-type", "application/grpc", "te", "trailers"}
	if user != "" {
		fields = append(fields, "authorization", "Bearer "+w.tokens[user])
	}
	return fields
}

// message is a gRPC message on the wire.
func message(m proto.Message) []byte {
	b, _ := proto.Marshal(m)
	out := make([]byte, 5, 5+len(b))
	binary.BigEndian.PutUint32(out[1:], uint32(len(b)))
	return append(out, b...)
}

// await waits for a field of a stream's answer.
func (r *raw) await(stream uint32, field string) string {
	r.tb.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		value, ok := r.headers[stream][field]
		r.mu.Unlock()
		if ok {
			return value
		}
		if time.Now().After(end) {
			r.tb.Fatalf("stream %d: no %s", stream, field)
		}
	}
}
