package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

func (w *world) client(name string) tls.Certificate {
	return w.ca.leaf(w.t, name, x509.ExtKeyUsageClientAuth, time.Time{})
}

// TestIdentity combines certificates and tokens over both transports.
func TestIdentity(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, cert, token string
		want              codes.Code
	}{
		{"certificate", "cert-sponsor", "", ok},
		{"token", "", "sponsor", ok},
		{"both, the same user", "cert-sponsor", "sponsor", ok},
		{"both, different users", "cert-site", "sponsor", noAuth},
		{"unknown certificate", "cert-nobody", "", noAuth},
		{"unknown certificate and a token", "cert-nobody", "sponsor", noAuth},
		{"certificate of a stranger", "cert-stranger", "", notFound},
		{"neither", "", "", noAuth},
		{"certificate without a name", "-", "", noAuth},
	}
	for _, tt := range tests {
		var certs []tls.Certificate
		if tt.cert != "" {
			certs = append(certs, w.client(strings.TrimPrefix(tt.cert, "-")))
		}
		_, err := w.grpc(certs...).ListStatements(w.asCtx(tt.token), &notaryv1.ListStatementsRequest{Trial: w.trialA.String()})
		if status.Code(err) != tt.want {
			t.Errorf("%s over gRPC: got %v, want %v", tt.name, err, tt.want)
		}
		a := w.do(w.web(certs...), "GET", "/v1/trials/"+w.trialA.String()+"/statements", nil, w.as(tt.token)...)
		if err != nil {
			sameStatus(t, status.Convert(err), a)
		} else if a.status != 200 {
			t.Errorf("%s over HTTP: got %d %s, want 200", tt.name, a.status, a.body)
		}
		if tile := w.do(w.web(certs...), "GET", "/checkpoint", nil, w.as(tt.token)...); (tile.status == 401) != (tt.want == noAuth && tt.name != "neither") {
			t.Errorf("%s for the checkpoint: got %d", tt.name, tile.status)
		}
	}
}

// TestUsersFail never takes a caller whose look-up failed for an anonymous one.
func TestUsersFail(t *testing.T) {
	w := newWorld(t)
	w.users.fail = fmt.Errorf("database gone")
	if _, err := w.grpc().GetCheckpoint(w.asCtx("sponsor"), &notaryv1.GetCheckpointRequest{}); status.Code(err) != codes.Internal {
		t.Errorf("got %v, want Internal", err)
	}
}

// TestTLS refuses old versions, strangers' certificates and server certificates
// as clients', and speaks HTTP/1.1 and HTTP/2.
func TestTLS(t *testing.T) {
	w := newWorld(t)
	for _, addr := range []string{w.grpcAddr, w.httpAddr} {
		old := w.tls()
		old.MaxVersion = tls.VersionTLS12
		if conn, err := tls.Dial("tcp", addr, old); err == nil {
			must(t, conn.Close())
			t.Errorf("%s took TLS 1.2", addr)
		}
	}
	other := newAuthority(t)
	for name, cert := range map[string]tls.Certificate{
		"of another CA":      other.leaf(t, "cert-sponsor", x509.ExtKeyUsageClientAuth, time.Time{}),
		"that is a server's": w.ca.leaf(t, "cert-sponsor", x509.ExtKeyUsageServerAuth, time.Time{}),
		"that expired":       w.ca.leaf(t, "cert-sponsor", x509.ExtKeyUsageClientAuth, time.Now().Add(-time.Minute)),
	} {
		force := w.tls()
		force.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		conn, err := grpc.NewClient(w.grpcAddr, grpc.WithTransportCredentials(credentials.NewTLS(force)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := notaryv1.NewNotaryServiceClient(conn).GetCheckpoint(context.Background(), &notaryv1.GetCheckpointRequest{}); err == nil {
			t.Errorf("a certificate %s was taken", name)
		}
		must(t, conn.Close())
	}
	for proto, next := range map[string][]string{"h2": {"h2", "http/1.1"}, "http/1.1": {"http/1.1"}} {
		c := w.tls()
		c.NextProtos = next
		conn, err := tls.Dial("tcp", w.httpAddr, c)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().NegotiatedProtocol; got != proto {
			t.Errorf("got %q, want %q", got, proto)
		}
		must(t, conn.Close())
	}
}

// TestExpiresMeanwhile checks a certificate at every call, not once a
// connection.
func TestExpiresMeanwhile(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(c *Config) { c.Clock = func() time.Time { return now } })
	client := w.grpc(w.ca.leaf(t, "cert-sponsor", x509.ExtKeyUsageClientAuth, now.Add(time.Hour)))
	req := &notaryv1.ListStatementsRequest{Trial: w.trialA.String()}
	if _, err := client.ListStatements(w.asCtx(""), req); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if _, err := client.ListStatements(w.asCtx(""), req); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v, want Unauthenticated", err)
	}
}

func TestPlaintext(t *testing.T) {
	w := newWorld(t)
	cfg := w.srv.cfg
	cfg.TLS = nil
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Shutdown(context.Background())
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := srv.Serve(Listeners{HTTP: l}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestToken(t *testing.T) {
	token, hash := NewToken()
	got, err := HashToken(token)
	if err != nil || got != hash {
		t.Fatalf("got %x (%v), want %x", got, err, hash)
	}
	if again, _ := NewToken(); again == token {
		t.Error("two tokens are equal")
	}
	for _, bad := range []string{
		"", "tn_", token[3:], token + "A", token[:len(token)-1], "TN_" + token[3:], " " + token, token + "\n",
		token[:len(token)-1] + "=", token[:10] + "\n" + token[11:], "tn_" + strings.Repeat("+", 43), "tn_" + strings.Repeat("A", 42) + "B",
	} {
		if _, err := HashToken(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("HashToken(%q): got %v", bad, err)
		}
	}
	for _, bad := range []string{"", token, "Bearer", "Bearer  " + token, "Basic " + token, "Bearer " + token + " "} {
		if _, err := parseBearer(bad); err == nil {
			t.Errorf("parseBearer(%q) was accepted", bad)
		}
	}
}

// TestCertificates follows replaced files and keeps the last good ones.
func TestCertificates(t *testing.T) {
	dir := t.TempDir()
	first, second := newAuthority(t), newAuthority(t)
	files := []string{filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "ca")}
	at := time.Now().Add(-time.Hour)
	write := func(a *authority, name string) {
		leaf := a.leaf(t, name, x509.ExtKeyUsageServerAuth, time.Time{})
		key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: leaf.Leaf.Raw}, {Type: "PRIVATE KEY", Bytes: key}, {Type: "CERTIFICATE", Bytes: a.cert.Raw}} {
			if err := os.WriteFile(files[i], pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			must(t, os.Chtimes(files[i], at, at))
		}
	}
	if _, err := LoadCertificates(files[0], files[1], files[2]); err == nil {
		t.Error("missing files were accepted")
	}
	write(first, "first")
	c, err := LoadCertificates(files[0], files[1], files[2])
	if err != nil {
		t.Fatal(err)
	}
	config := c.Config()
	serves := func(name string, a *authority) {
		t.Helper()
		c.checked = time.Time{}
		cert, err := config.GetCertificate(nil)
		if err != nil || cert.Leaf.Subject.CommonName != name {
			t.Errorf("got certificate %v (%v), want %s", cert.Leaf.Subject, err, name)
		}
		each, err := config.GetConfigForClient(nil)
		if err != nil || !each.ClientCAs.Equal(a.pool) {
			t.Errorf("got other client CAs than those of %s (%v)", name, err)
		}
	}
	serves("first", first)
	write(second, "second")
	serves("second", second)
	if err := os.WriteFile(files[1], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	at = at.Add(time.Second)
	must(t, os.Chtimes(files[1], at, at))
	serves("second", second)
	if c.Err() == nil {
		t.Error("a damaged key is not reported")
	}
	write(first, "first")
	serves("first", first)
	if err := c.Err(); err != nil {
		t.Errorf("got %v, want no error any more", err)
	}
	if err := (&Config{TLS: config}).tlsConfig("h2"); err.MinVersion != tls.VersionTLS13 {
		t.Error("TLS 1.3 is not demanded")
	}
}
