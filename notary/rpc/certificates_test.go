package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// certFiles are the certificate files of a server, which are replaced as an
// administrator would: one after the other.
type certFiles struct {
	t             *testing.T
	cert, key, ca string
	at            time.Time
}

func newCertFiles(t *testing.T) *certFiles {
	t.Helper()
	dir := t.TempDir()
	return &certFiles{t: t, cert: filepath.Join(dir, "cert"), key: filepath.Join(dir, "key"), ca: filepath.Join(dir, "ca"), at: time.Now().Add(-time.Hour)}
}

func (f *certFiles) put(name, kind string, der ...[]byte) {
	f.t.Helper()
	var text []byte
	for _, d := range der {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: d})...)
	}
	must(f.t, os.WriteFile(name, text, 0o600))
	f.at = f.at.Add(time.Second) // no two changes within the clock of the file system
	must(f.t, os.Chtimes(name, f.at, f.at))
}

func (f *certFiles) server(leaf tls.Certificate) {
	f.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	must(f.t, err)
	f.put(f.cert, "CERTIFICATE", leaf.Leaf.Raw)
	f.put(f.key, "PRIVATE KEY", key)
}

// TestRotation replaces the certificates of a server that runs: new connections
// use the new ones, old connections go on, a broken file changes nothing, and log
// and health say what happened.
func TestRotation(t *testing.T) {
	files, first, second := newCertFiles(t), newAuthority(t), newAuthority(t)
	files.server(first.leaf(t, "first", x509.ExtKeyUsageServerAuth, time.Time{}))
	files.put(files.ca, "CERTIFICATE", first.cert.Raw)
	certs, err := LoadCertificates(files.cert, files.key, files.ca)
	must(t, err)
	w := newWorld(t, func(c *Config) { c.TLS, c.Certificates = nil, certs })
	w.ca = first
	list := &notaryv1.ListStatementsRequest{Trial: w.trialA.String()}
	old := w.grpc(w.client("cert-sponsor"))
	if _, err := old.ListStatements(w.asCtx(""), list); err != nil {
		t.Fatal(err)
	}
	logged := func(what string) {
		t.Helper()
		eventually(t, "the log says "+what, func() bool {
			for _, entry := range w.logs.FilterMessage("certificates").All() {
				if strings.Contains(entry.ContextMap()["state"].(string), what) {
					return true
				}
			}
			return false
		})
	}
	serving := func(name string) {
		t.Helper()
		eventually(t, "both listeners serve the certificate of "+name, func() bool {
			for _, addr := range []string{w.grpcAddr, w.httpAddr} {
				conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
				if err != nil {
					return false
				}
				got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName
				must(t, conn.Close())
				if got != name {
					return false
				}
			}
			return true
		})
	}
	serving("first")
	logged("server certificate expires in 0 days")

	must(t, os.WriteFile(files.key, []byte("half a fi"), 0o600))
	logged("the newest files are not in use: reading certificate " + files.cert)
	serving("first")
	a := w.do(w.web(), "GET", "/readyz", nil, w.as("operator")...)
	if a.status != 200 || !strings.Contains(string(a.body), "the newest files are not in use") {
		t.Errorf("got %d %s, want it ready and to name the broken files", a.status, a.body)
	}
	if a := w.do(w.web(), "GET", "/readyz", nil); strings.Contains(string(a.body), files.cert) {
		t.Errorf("anybody is told %s", a.body)
	}

	// Both authorities are trusted while clients change over, then only the new.
	files.server(second.leaf(t, "second", x509.ExtKeyUsageServerAuth, time.Time{}))
	files.put(files.ca, "CERTIFICATE", first.cert.Raw, second.cert.Raw)
	serving("second")
	ofFirst := w.client("cert-sponsor")
	w.ca = second
	eventually(t, "both authorities are trusted", func() bool {
		_, err := w.grpc(w.client("cert-sponsor")).ListStatements(w.asCtx(""), list)
		return err == nil
	})
	if _, err := w.grpc(ofFirst).ListStatements(w.asCtx(""), list); err != nil {
		t.Errorf("a client of the old authority: got %v", err)
	}
	files.put(files.ca, "CERTIFICATE", second.cert.Raw)
	force := func() codes.Code {
		c := w.tls()
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &ofFirst, nil }
		return w.codeOf(c, list)
	}
	eventually(t, "the old authority is not trusted any more", func() bool { return force() == codes.Unavailable })
	if _, err := old.ListStatements(w.asCtx(""), list); err != nil {
		t.Errorf("an open connection: got %v", err)
	}
	if err := certs.Err(); err != nil {
		t.Errorf("got %v after the files were mended", err)
	}
}

// codeOf calls with a TLS configuration of the test's own.
func (w *world) codeOf(c *tls.Config, list *notaryv1.ListStatementsRequest) codes.Code {
	conn := w.dialTLS(c)
	defer func() { must(w.t, conn.Close()) }()
	_, err := notaryv1.NewNotaryServiceClient(conn).ListStatements(w.asCtx(""), list)
	return status.Code(err)
}

// TestExpiry names the certificate that ends, and when.
func TestExpiry(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		leaf, ca time.Duration
		ok       bool
		want     string
		without  string
	}{
		"far":         {365 * day, 3650 * day, true, "server certificate expires on 2027-06-01T00:00:00Z", "CA"},
		"soon":        {12*day + time.Hour, 3650 * day, true, "server certificate expires in 12 days, on 2026-06-13T01:00:00Z", "CA"},
		"expired":     {-day, 3650 * day, false, "server certificate expired on 2026-05-31T00:00:00Z", "CA"},
		"this moment": {0, 3650 * day, false, "expired on", ""},
		"CA soon":     {365 * day, 2 * day, true, `client CA "test CA" expires in 2 days`, ""},
		"CA expired":  {365 * day, -day, true, `client CA "test CA" expired on 2026-05-31T00:00:00Z`, ""},
	} {
		c := &Certificates{
			checked: time.Now().Add(time.Hour), // looks at no files
			cert:    &tls.Certificate{Leaf: &x509.Certificate{NotAfter: now.Add(tt.leaf)}}, expiring: &x509.Certificate{NotAfter: now.Add(tt.ca)},
		}
		c.expiring.Subject.CommonName = "test CA"
		got := c.Condition(now)
		if got.OK != tt.ok || !strings.Contains(got.Detail, tt.want) || tt.without != "" && strings.Contains(got.Detail, tt.without) {
			t.Errorf("%s: got %+v, want %v with %q", name, got, tt.ok, tt.want)
		}
	}
	early := &Certificates{checked: time.Now().Add(time.Hour), cert: &tls.Certificate{Leaf: &x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(day)}}}
	if got := early.Condition(now); got.OK || !strings.Contains(got.Detail, "not valid before 2026-06-01T01:00:00Z") {
		t.Errorf("got %+v for a certificate of tomorrow", got)
	}
}

// TestExpiredServer says NOT_SERVING once no client can connect any more, and
// recovers with a new certificate, without a restart.
func TestExpiredServer(t *testing.T) {
	files := newCertFiles(t)
	ca := newAuthority(t)
	files.server(ca.leaf(t, "old", x509.ExtKeyUsageServerAuth, time.Now().Add(-time.Minute)))
	files.put(files.ca, "CERTIFICATE", ca.cert.Raw)
	certs, err := LoadCertificates(files.cert, files.key, files.ca)
	must(t, err)
	w := newWorld(t, func(c *Config) { c.TLS, c.Certificates = nil, certs })
	w.ca = ca
	bad := func() *notary.Condition {
		conditions, _ := w.srv.probe.ready()
		for _, c := range conditions {
			if c.Name == "certificate" && !c.OK {
				return &c
			}
		}
		return nil
	}
	eventually(t, "health names the expired certificate", func() bool {
		c := bad()
		return c != nil && strings.Contains(c.Detail, "expired on")
	})
	conn, err := net.Dial("tcp", w.grpcAddr)
	must(t, err)
	if err := tls.Client(conn, w.tls()).Handshake(); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("got %v, want an expired certificate", err)
	}
	must(t, conn.Close())
	files.server(ca.leaf(t, "new", x509.ExtKeyUsageServerAuth, time.Now().Add(90*24*time.Hour)))
	eventually(t, "health is well again", func() bool { return bad() == nil })
	w.others(t, "the certificate was renewed")
	if n := w.logs.FilterMessage("certificates").Len(); n < 2 || n > 4 {
		t.Errorf("got %d log lines about certificates, want one for each state and each file", n)
	}
}
