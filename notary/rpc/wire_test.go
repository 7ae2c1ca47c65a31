package rpc

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// asWireLoad makes the test binary be the callers of BenchmarkWire: its value is
// a wireLoad.
const asWireLoad = "NOTARY_RPC_WIRE_LOAD"

// wireLoad is what the callers are told, as JSON.
type wireLoad struct {
	Address  string `json:"address"`
	CA       []byte `json:"ca"` // none: plaintext
	Token    string `json:"token"`
	Count    int    `json:"count"`
	InFlight int    `json:"inFlight"`
}

// waiting answers every submission at the next tick, as a notary does when it has
// published a checkpoint, and does nothing else.
type waiting struct {
	*fakeService
	next atomic.Pointer[chan struct{}]
	res  notary.Result
}

func (w *waiting) SubmitForm(ctx context.Context, _ *trial.Envelope, _ notary.Allow, _ notary.Form) (*notary.Result, error) {
	select {
	case <-*w.next.Load():
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	res := w.res
	res.Bundle = bytes.Clone(res.Bundle)
	return &res, nil
}

func newWaiting(b *testing.B) *waiting {
	b.Helper()
	w := &waiting{fakeService: newFakeService(), res: notary.Result{
		Record: &notary.Record{ID: trial.ID{1}, Logged: true, Index: 1 << 20},
		Bundle: bytes.Repeat([]byte("x"), 1024), EvidenceSHA256: strings.Repeat("ab", 32),
	}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	first, ended := make(chan struct{}), make(chan struct{})
	w.next.Store(&first)
	go func() {
		defer close(ended)
		t := time.NewTicker(100 * time.Millisecond)
		defer t.Stop()
		for ctx.Err() == nil {
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			next := make(chan struct{})
			close(*w.next.Swap(&next))
		}
	}()
	b.Cleanup(func() { cancel(); <-ended })
	return w
}

// BenchmarkWire measures what a call costs the server beside the statement: the
// messages, the interceptors and the connection, with callers in a process of
// their own.
func BenchmarkWire(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, inFlight := range []int{1024, 8192} {
			b.Run(fmt.Sprintf("tls=%v/inflight=%d", secure, inFlight), func(b *testing.B) {
				benchmarkWire(b, wireLoad{InFlight: inFlight}, secure)
			})
		}
	}
}

func benchmarkWire(b *testing.B, l wireLoad, secure bool) {
	b.Helper()
	service := newWaiting(b)
	w := newWorld(b, func(c *Config) {
		c.Service = service
		c.Logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel))
		if !secure {
			c.TLS = nil
		}
	})
	l.Address, l.Token, l.Count = w.grpcAddr, w.tokens["sponsor"], b.N
	if secure {
		l.CA = w.ca.cert.Raw
	}
	run := l.start(b)
	before := usedSoFar(b)
	b.ResetTimer()
	run()
	b.StopTimer()
	after := usedSoFar(b)
	for name, value := range after {
		b.ReportMetric((value-before[name])/float64(b.N), name)
	}
}

// start starts the callers; the function that it returns lets them run to their
// end.
func (l wireLoad) start(b *testing.B) (run func()) {
	b.Helper()
	order, err := json.Marshal(l)
	must(b, err)
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), os.Args[0])
	cmd.Env = append(os.Environ(), asWireLoad+"="+string(order))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	read := bufio.NewReader(out)
	line := func() {
		if _, err := read.ReadString('\n'); err != nil {
			b.Fatalf("the callers: %v", err)
		}
	}
	line() // they are ready
	return func() {
		_, err := io.WriteString(in, "go\n")
		must(b, err)
		line() // they have all answers
		must(b, cmd.Wait())
	}
}

// usedSoFar returns what this process used, by the names of metrics.
func usedSoFar(b *testing.B) map[string]float64 {
	b.Helper()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	used := map[string]float64{
		"server-CPU-µs": float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3, "sys-µs": float64(u.Stime.Nano()) / 1e3,
		"allocs": float64(m.Mallocs), "B": float64(m.TotalAlloc),
	}
	text, err := os.ReadFile("/proc/self/io")
	if err != nil { // not on Linux
		return used
	}
	var count float64
	for line := range strings.SplitSeq(string(text), "\n") {
		if n, _ := fmt.Sscanf(line, "syscr: %g", &count); n == 1 {
			used["reads"] = count
		}
		if n, _ := fmt.Sscanf(line, "syscw: %g", &count); n == 1 {
			used["writes"] = count
		}
	}
	return used
}

// runWireLoad are the callers.
func runWireLoad(order string) error {
	var l wireLoad
	if err := json.Unmarshal([]byte(order), &l); err != nil {
		return err
	}
	creds := insecure.NewCredentials()
	if len(l.CA) > 0 {
		ca, err := x509.ParseCertificate(l.CA)
		if err != nil {
			return err
		}
		pool := x509.NewCertPool()
		pool.AddCert(ca)
		creds = credentials.NewTLS(&tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13})
	}
	apis := make([]notaryv1.NotaryServiceClient, (l.InFlight+511)/512)
	for i := range apis {
		conn, err := grpc.NewClient(l.Address, grpc.WithTransportCredentials(creds))
		if err != nil {
			return err
		}
		apis[i] = notaryv1.NewNotaryServiceClient(conn)
	}
	ctx := metadata.AppendToOutgoingContext(context.Background(), authorizationKey, "Bearer "+l.Token)
	env := &notaryv1.Envelope{
		Payload: bytes.Repeat([]byte("p"), 1200), PayloadType: trial.PayloadType,
		Signatures: []*notaryv1.Signature{{Sig: make([]byte, 71)}},
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, l.InFlight)
	for i := range l.InFlight {
		wait.Go(func() {
			req := &notaryv1.SubmitRequest{Envelope: env, HeldEvidence: strings.Repeat("ab", 32)}
			for errs[i] == nil && int(next.Add(1)) <= l.Count {
				_, errs[i] = apis[i%len(apis)].Submit(ctx, req)
			}
		})
	}
	wait.Wait()
	fmt.Println("done")
	return errors.Join(errs...)
}
