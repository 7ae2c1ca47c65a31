package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// maxMessage is the largest answer that is read, in bytes: a trust folder of a
// large trial.
const maxMessage = 64 << 20

// Options say how a Client reaches its notary. The zero value is TLS 1.3 with
// the system's certificate authorities and no identity.
type Options struct {
	// TokenFile holds a bearer token; blanks around it are ignored. The token
	// is read once.
	TokenFile string
	// CertFile and KeyFile are a client certificate and its key, PEM: an
	// alternative to a token.
	CertFile, KeyFile string
	// CAFile holds the certificate authorities that may vouch for the server,
	// PEM. Empty means the system's.
	CAFile string
	// ServerName is the name that the server's certificate must carry. Empty
	// means the host that is dialled.
	ServerName string
	// Insecure turns TLS off. It is refused for anything but a loopback address.
	Insecure bool
	// State keeps unanswered statements and the largest checkpoints across
	// restarts. Nil keeps them in memory only.
	State *State
	// Tiles is the base URL of the log's public files (/checkpoint, /tile/…).
	// With it the client checks that a newer checkpoint continues the largest
	// one that it has seen. Empty leaves that unproven; see Continuity.
	Tiles string
	// MaxInFlight bounds the unanswered statements of one SubmitMany; 0 means 256.
	MaxInFlight int
	// Attempts bounds how often one statement is sent; 0 means 10.
	Attempts int
	// AttemptTimeout bounds the wait for one answer; 0 means 30 s.
	AttemptTimeout time.Duration

	// dialer replaces the network in tests.
	dialer func(context.Context, string) (net.Conn, error)
	// sleep waits between attempts; tests replace it.
	sleep func(context.Context, time.Duration) error
}

// Client talks to one notary. It is safe for concurrent use.
type Client struct {
	conn *grpc.ClientConn
	api  notaryv1.NotaryServiceClient
	opts Options
	http *http.Client
	// tilesToken is sent for the log's files, where a notary shows them to its
	// users only; empty for another host.
	tilesToken string
	// seen guards the largest checkpoints; see continuity.go.
	seen *watermark
}

// Dial prepares a connection to the notary at addr, "host:port". It reads the
// files of the options and opens no connection yet.
func Dial(addr string, o Options) (*Client, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("invalid server address: got %q, want host:port", addr)
	}
	o.setDefaults()
	if o.Tiles != "" {
		if u, err := url.Parse(o.Tiles); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return nil, fmt.Errorf("invalid tiles address: got %q, want an http or https URL", o.Tiles)
		}
	}
	tlsConfig, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	transport := credentials.NewTLS(tlsConfig)
	if o.Insecure {
		if !isLoopback(addr) {
			return nil, fmt.Errorf("invalid server address: got %q without TLS, want a loopback address", addr)
		}
		transport = insecure.NewCredentials()
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		// Retries are ours: they must send the same bytes and obey RetryInfo.
		grpc.WithDisableRetry(),
	}
	token := ""
	if o.TokenFile != "" {
		if token, err = readToken(o.TokenFile); err != nil {
			return nil, err
		}
		dial = append(dial, grpc.WithPerRPCCredentials(bearer{token: token, secure: !o.Insecure}))
	}
	if o.dialer != nil {
		dial = append(dial, grpc.WithContextDialer(o.dialer))
	}
	conn, err := grpc.NewClient(target(addr, o), dial...)
	if err != nil {
		return nil, fmt.Errorf("dialling %s: %w", addr, err)
	}
	// The log's files may lie on another host than the API: then its server name
	// and our identity are not for that host.
	tilesTLS := tlsConfig.Clone()
	if !sameHost(addr, o) {
		tilesTLS.ServerName, tilesTLS.Certificates, token = "", nil, ""
	}
	c := newClient(conn, tilesTLS, o)
	c.tilesToken = token
	return c, nil
}

// sameHost tells whether the log's files come from the API's host, as privately
// as the API itself.
func sameHost(addr string, o Options) bool {
	host, _, err := net.SplitHostPort(addr)
	u, urlErr := url.Parse(o.Tiles)
	return err == nil && urlErr == nil && u.Hostname() == host && (u.Scheme == "https" || o.Insecure)
}

func newClient(conn *grpc.ClientConn, tlsConfig *tls.Config, o Options) *Client {
	tr := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       tlsConfig,
		ForceAttemptHTTP2:     true,
		ResponseHeaderTimeout: o.AttemptTimeout,
		IdleConnTimeout:       time.Minute,
	}
	return &Client{
		conn: conn,
		api:  notaryv1.NewNotaryServiceClient(conn),
		opts: o,
		http: &http.Client{Transport: tr, Timeout: o.AttemptTimeout},
		seen: newWatermark(o.State),
	}
}

// Close ends the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.conn.Close()
}

func (o *Options) setDefaults() {
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 256
	}
	if o.Attempts <= 0 {
		o.Attempts = 10
	}
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = 30 * time.Second
	}
	if o.sleep == nil {
		o.sleep = sleep
	}
}

func (o *Options) tlsConfig() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: o.ServerName}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authorities: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("invalid certificate authorities: got no certificate in %s, want PEM", o.CAFile)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("invalid client certificate: got one of certificate and key, want both")
	}
	if o.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}

// target keeps a test's dialer away from the resolver.
func target(addr string, o Options) string {
	if o.dialer != nil {
		return "passthrough:///" + addr
	}
	return addr
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func readToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || len(token) > 4096 {
		return "", fmt.Errorf("invalid token: got %d characters in %s, want 1 to 4096", len(token), path)
	}
	for _, r := range token {
		if r <= ' ' || r > '~' {
			return "", fmt.Errorf("invalid token: got character %q in %s, want printable ASCII", r, path)
		}
	}
	return token, nil
}

// bearer adds the token to every call.
type bearer struct {
	token  string
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }
