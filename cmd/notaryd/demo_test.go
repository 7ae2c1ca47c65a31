package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDemo tells the whole story, as `notaryd demo --once` does.
func TestDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	var out bytes.Buffer
	if err := demo(context.WithoutCancel(t.Context()), dir, true, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"Every step held.", "refuses to start", "KEY_REVOKED", "entries are missing"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the story does not say %q:\n%s", want, out.String())
		}
	}
	for _, name := range []string{"vs-701.json", "vs-704.json", "protocol-1.0.txt", "protocol-2.0.txt"} {
		if _, err := os.Stat(filepath.Join(dir, "receipts", name+".receipt.json")); err != nil {
			t.Error(err)
		}
	}
}

// TestDemoKeepsServing tells the story and then answers until it is stopped.
func TestDemoKeepsServing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, told := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := demo(ctx, dir, false, told)
		_ = told.CloseWithError(err)
		ended <- err
	}()
	page := regexp.MustCompile(`https://\S+/docs`)
	var text strings.Builder
	buffer := make([]byte, 4096)
	for !strings.Contains(text.String(), "Ctrl-C") {
		n, err := out.Read(buffer)
		text.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v\n%s", err, text.String())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	ca, err := os.ReadFile(filepath.Join(dir, "tls", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}}
	defer c.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page.FindString(text.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Errorf("the API page: got status %d, want 200", answer.StatusCode)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

func TestDemoTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := notaryd(t, "demo", "--once", "--dir", dir)
	if code != exitRefused || !strings.Contains(stderr, "not empty") {
		t.Errorf("got exit status %d and %q, want %d and what is in the way", code, stderr, exitRefused)
	}
}
