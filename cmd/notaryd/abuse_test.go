package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAbusedProcess abuses a server that runs as a process of its own, with the
// limits that it has by default: its memory stays small, and others are answered.
func TestAbusedProcess(t *testing.T) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	files.Cur = files.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	s := trialForLoad(t)
	p := s.spawn(t)
	web, token := s.abuser(t)
	base := "https://" + s.config.Listen.HTTP
	honest := func(while string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for path, authorization := range map[string]string{"/checkpoint": "", "/v1/trials/" + s.charter.String() + "/statements": token} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if authorization != "" {
				req.Header.Set("Authorization", authorization)
			}
			resp, err := web.Do(req)
			if err != nil {
				t.Errorf("%s: %s: %v", while, path, err)
				continue
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close() // read
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s: got %d %s", while, path, resp.StatusCode, text)
			}
		}
		web.CloseIdleConnections() // the next one is a newcomer again
	}
	honest("at the start")
	before := p.memory(t, "VmRSS")

	// Half of them say nothing at all, one in ten finishes the TLS handshake.
	n := min(10_000, int(files.Cur)-2000)
	if raceDetector {
		n /= 10
	}
	for i := range n {
		addr := []string{s.config.Listen.GRPC, s.config.Listen.HTTP}[i%2]
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+i%100))}}
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%10 == 0 {
			c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if c.HandshakeContext(t.Context()) == nil {
				_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			}
		}
	}
	honest(fmt.Sprintf("%d connections are idle", n))

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			body := io.LimitReader(neverEnding{}, 100_000_000)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/v1/statements", body)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", token)
			req.Header.Set("Content-Type", "application/json")
			resp, err := web.Do(req)
			if err != nil {
				t.Errorf("100 MB: %v", err)
				return
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close() // read
			if resp.StatusCode != http.StatusBadRequest || !bytes.Contains(text, []byte("TOO_LARGE")) {
				t.Errorf("100 MB: got %d %s", resp.StatusCode, text)
			}
		})
	}
	wg.Wait()
	honest("100 MB were sent")
	most := p.memory(t, "VmHWM")
	t.Logf("%d connections: %d MiB resident before, %d MiB at most", n, before>>10, most>>10)
	if most-before > 400<<10 && !raceDetector {
		t.Errorf("the server grew from %d MiB to %d MiB", before>>10, most>>10)
	}
}

// abuser returns an HTTP client that trusts the notary, and the authorization of
// its sponsor.
func (s *story) abuser(t *testing.T) (*http.Client, string) {
	t.Helper()
	ca, err := os.ReadFile(s.path("tls/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	token, err := os.ReadFile(s.path("tokens/sponsor"))
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}, "Bearer " + strings.TrimSpace(string(token))
}

type neverEnding struct{}

func (neverEnding) Read(b []byte) (int, error) { return len(b), nil }

// memory returns a figure of the process's memory, in KiB.
func (p *process) memory(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("the memory of a process cannot be read here: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			var kib int
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatalf("no %s in the status of the process", name)
	return 0
}
