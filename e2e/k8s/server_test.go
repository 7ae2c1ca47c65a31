package k8s

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
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestServerRuns runs what the manifests run, as an ordinary process: the Job's
// command, the server with the configuration of the ConfigMap, and the probes.
// Only folders, ports and the origin are its own.
func TestServerRuns(t *testing.T) {
	program := filepath.Join(t.TempDir(), "notaryd")
	build := exec.Command("go", "build", "-o", program, "./cmd/notaryd")
	build.Dir = root
	run(t, build)
	m, err := source(t).load(initDir, embeddedDir)
	if err != nil {
		t.Fatal(err)
	}
	volume := t.TempDir()
	create(t, m, program, volume)

	_, server, err := m.server()
	if err != nil {
		t.Fatal(err)
	}
	addr := map[string]string{}
	config := configFor(t, m, volume, addr)
	serve := exec.Command(program, "serve", "--config="+config)
	var output bytes.Buffer
	serve.Stdout, serve.Stderr = &output, &output
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- serve.Wait() }()
	for _, p := range []*corev1.Probe{server.StartupProbe, server.ReadinessProbe, server.LivenessProbe} {
		if err := probe(t.Context(), addr["health"], p.GRPC); err != nil {
			_ = serve.Process.Kill()
			t.Fatalf("probe: %v; the server ended with %v\n%s", err, <-exited, output.Bytes())
		}
	}
	checkCertificate(t, volume, addr["grpc"])
	checkCertificate(t, volume, addr["https"])
	if err := scrape(t.Context(), addr[scraped]); err != nil {
		t.Errorf("scraping: %v", err)
	}

	// What the kubelet does, and how long it would wait.
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("stopping: %v\n%s", err, output.Bytes())
		}
	case <-time.After(time.Minute):
		_ = serve.Process.Kill()
		t.Fatalf("the server did not stop within the pod's grace period\n%s", output.Bytes())
	}
}

// create runs the Job's command twice: the second one must change nothing.
func create(t *testing.T, m *manifests, program, volume string) {
	t.Helper()
	j, err := one[*batchv1.Job](m)
	if err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("$(ORIGIN)", origin, "$(NAMESPACE)", j.Namespace, "/var/lib/notaryd", volume)
	var args []string
	for _, a := range j.Spec.Template.Spec.Containers[0].Args {
		args = append(args, values.Replace(a))
	}
	refused := exec.Command(program, strings.Split(strings.ReplaceAll(strings.Join(args, "\n"), origin, placeholder), "\n")...)
	if out, err := refused.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("origin")) {
		t.Errorf("init took the placeholder for an origin: %v\n%s", err, out)
	}
	run(t, exec.Command(program, args...))
	key, err := os.ReadFile(filepath.Join(volume, "notary/keys/log.key"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, args...).CombinedOutput(); err == nil {
		t.Errorf("init ran a second time:\n%s", out)
	}
	if again, err := os.ReadFile(filepath.Join(volume, "notary/keys/log.key")); err != nil || !bytes.Equal(again, key) {
		t.Errorf("the second init changed the log's key: %v", err)
	}
}

const origin = "notary-of-k8s-test.example"

// configFor writes the ConfigMap's file for this machine and fills in the
// addresses by the name of their container port.
func configFor(t *testing.T, m *manifests, volume string, addr map[string]string) string {
	t.Helper()
	s, text, err := m.config()
	if err != nil {
		t.Fatal(err)
	}
	pairs := []string{placeholder, origin, "/var/lib/notaryd", volume}
	for name, in := range map[string]string{"grpc": s.Listen.GRPC, "https": s.Listen.HTTP, "health": s.Listen.Health, scraped: s.Listen.Metrics} {
		addr[name] = freeAddr(t)
		pairs = append(pairs, in, addr[name])
	}
	file := filepath.Join(t.TempDir(), "notaryd.yaml")
	if err := os.WriteFile(file, []byte(strings.NewReplacer(pairs...).Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape asks for the metrics as Prometheus does.
func scrape(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Contains(body, []byte("\ntrialnotary_healthy{condition=\"log\"} 1\n")) {
		err = fmt.Errorf("got status %d and no healthy log", resp.StatusCode)
	}
	return err
}

// probe asks as the kubelet does, until the server serves.
func probe(ctx context.Context, addr string, p *corev1.GRPCAction) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	var service string
	if p.Service != nil {
		service = *p.Service
	}
	req := &grpc_health_v1.HealthCheckRequest{Service: service}
	res, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, req, grpc.WaitForReady(true))
	if err != nil {
		return err
	}
	if res.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("health of %q: got %v, want SERVING", service, res.GetStatus())
	}
	return nil
}

// checkCertificate dials a port under the names that clients inside the cluster
// use, trusting the private CA alone.
func checkCertificate(t *testing.T, volume, addr string) {
	t.Helper()
	ca, err := os.ReadFile(filepath.Join(volume, "notary/tls/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the CA's certificate cannot be read")
	}
	for name, ok := range map[string]bool{
		"notaryd": true, "notaryd.trial-notary": true, "notaryd.trial-notary.svc": true,
		"notaryd.trial-notary.svc.cluster.local": true, origin: true, "notaryd.elsewhere.svc": false,
	} {
		conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, ServerName: name, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13})
		if (err == nil) != ok {
			t.Errorf("dialling %s as %s: got %v, want success %t", addr, name, err, ok)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}
