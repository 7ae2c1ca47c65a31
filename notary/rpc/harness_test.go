package rpc

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"google.golang.org/protobuf/types/known/timestamppb"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(asWireLoad); order != "" {
		if err := runWireLoad(order); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// fileDigest is the digest that every statement of the fake service is about.
var fileDigest = strings.Repeat("ab", 32)

// authority is a private CA for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = issue(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	a.pool.AddCert(a.cert)
	return a
}

func issue(tb testing.TB, tmpl *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	if tmpl.NotAfter.IsZero() {
		tmpl.NotAfter = time.Now().Add(time.Hour)
	}
	tmpl.NotBefore = time.Now().Add(-time.Hour)
	tmpl.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	parent, signer := tmpl, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert, key
}

func (a *authority) leaf(tb testing.TB, name string, usage x509.ExtKeyUsage, notAfter time.Time) tls.Certificate {
	tb.Helper()
	cert, key := issue(tb, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, NotAfter: notAfter,
	}, a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// world is a running server with two trials and a user of every role.
type world struct {
	t        testing.TB
	srv      *Server
	ca       *authority
	service  *fakeService
	users    *fakeUsers
	refusals *fakeRefusals
	tiles    *fakeTiles
	logs     *observer.ObservedLogs
	tokens   map[string]string

	grpcAddr, httpAddr, healthAddr string

	trialA, trialB                  trial.ID
	protocol, site1, site2, mark, b trial.ID // statements: of A, its sites; of B
	enrolment                       trial.ID // of A, about site 2
}

// The users of a world.
var everyone = []string{"sponsor", "creator", "site", "auditor", "operator", "stranger", "ungranted"}

func newWorld(tb testing.TB, change ...func(*Config)) *world {
	tb.Helper()
	w := &world{
		t: tb, ca: newAuthority(tb), service: newFakeService(), refusals: &fakeRefusals{}, tiles: &fakeTiles{},
		tokens: make(map[string]string),
		users:  &fakeUsers{byToken: map[[32]byte]string{}, byCert: map[string]string{}, users: map[string]*User{}},
	}
	w.fill()
	core, logs := observer.New(zap.DebugLevel)
	w.logs = logs
	cfg := Config{
		Service: w.service, Users: w.users, Refusals: w.refusals, Tiles: w.tiles, Logger: zap.New(core),
		TLS: &tls.Config{
			Certificates: []tls.Certificate{w.ca.leaf(tb, "server", x509.ExtKeyUsageServerAuth, time.Time{})},
			ClientCAs:    w.ca.pool,
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	w.serve(cfg)
	return w
}

func (w *world) serve(cfg Config) {
	w.t.Helper()
	srv, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv = srv
	l := Listeners{GRPC: listen(w.t), HTTP: listen(w.t), Health: listen(w.t)}
	w.grpcAddr, w.httpAddr, w.healthAddr = l.GRPC.Addr().String(), l.HTTP.Addr().String(), l.Health.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			w.t.Errorf("shutting down: %v", err)
		}
		if err := <-served; err != nil {
			w.t.Errorf("serving: %v", err)
		}
	})
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// fill makes the trials, their statements and the users.
func (w *world) fill() {
	log := func(p fakePayload) trial.ID {
		st, err := fakeStatement(p.bytes())
		if err != nil {
			w.t.Fatal(err)
		}
		return w.service.put(st, p.envelope()).ID
	}
	w.mark = log(fakePayload{Kind: string(trial.KindTimeMark)})
	w.trialA = log(fakePayload{Kind: string(trial.KindCharter), Organisation: "Acme", Nonce: "A"})
	w.trialB = log(fakePayload{Kind: string(trial.KindCharter), Organisation: "Other", Nonce: "B"})
	w.protocol = log(fakePayload{Charter: w.trialA.String(), Kind: string(trial.KindProtocol)})
	w.site1 = log(fakePayload{Charter: w.trialA.String(), Kind: string(trial.KindDataset), Site: "DE-01"})
	w.site2 = log(fakePayload{Charter: w.trialA.String(), Kind: string(trial.KindDataset), Site: "DE-02"})
	w.enrolment = log(fakePayload{Charter: w.trialA.String(), Kind: string(trial.KindKeyEnrolment), Site: "DE-02"})
	w.b = log(fakePayload{Charter: w.trialB.String(), Kind: string(trial.KindDataset), Site: "DE-01"})
	w.user("sponsor", Grant{Role: RoleSponsor, Trial: w.trialA})
	w.user("creator", Grant{Role: RoleSponsor, Organisation: "Acme"})
	w.user("site", Grant{Role: RoleSite, Trial: w.trialA, Sites: []string{"DE-01"}})
	w.user("auditor", Grant{Role: RoleAuditor, Trial: w.trialA})
	w.user("operator", Grant{Role: RoleOperator})
	w.user("stranger", Grant{Role: RoleSponsor, Trial: w.trialB})
	w.user("ungranted")
}

func (w *world) user(name string, grants ...Grant) {
	token, hash := NewToken()
	w.tokens[name] = token
	w.users.byToken[hash] = name
	w.users.byCert["cert-"+name] = name
	w.users.users[name] = &User{Name: name, Grants: grants}
}

func (w *world) tls(certs ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: w.ca.pool, Certificates: certs, ServerName: "localhost"}
}

// dial returns a gRPC client.
func (w *world) dial(certs ...tls.Certificate) *grpc.ClientConn {
	w.t.Helper()
	conn := w.dialTLS(w.tls(certs...))
	w.t.Cleanup(func() { must(w.t, conn.Close()) })
	return conn
}

func (w *world) dialTLS(c *tls.Config) *grpc.ClientConn {
	w.t.Helper()
	conn, err := grpc.NewClient(w.grpcAddr, grpc.WithTransportCredentials(credentials.NewTLS(c)))
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

func (w *world) grpc(certs ...tls.Certificate) notaryv1.NotaryServiceClient {
	return notaryv1.NewNotaryServiceClient(w.dial(certs...))
}

// web returns an HTTP client.
func (w *world) web(certs ...tls.Certificate) *http.Client {
	tr := &http.Transport{TLSClientConfig: w.tls(certs...), ForceAttemptHTTP2: true}
	w.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is an HTTP answer, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request over HTTP. Headers are name, value, name, value.
func (w *world) do(c *http.Client, method, path string, body []byte, headers ...string) *answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, "https://"+w.httpAddr+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body == nil {
		req.Body = nil
		req.ContentLength = 0
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: b}
}

// as returns the authorization of a user: header name and value.
func (w *world) as(user string) []string {
	if user == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + w.tokens[user]}
}

func mustTime(s string) *timestamppb.Timestamp {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return timestamppb.New(at)
}
