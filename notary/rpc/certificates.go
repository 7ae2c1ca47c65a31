package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Certificates serves a certificate, and checks those of clients, from PEM files
// that may be replaced while the server runs. A replacement that cannot be read
// leaves the last good one in use.
type Certificates struct {
	certFile, keyFile, clientCAFile string

	// mu guards what was last read.
	mu       sync.Mutex
	checked  time.Time
	modified [3]time.Time
	cert     *tls.Certificate
	clients  *x509.CertPool
	err      error // of the newest files, if they were not taken
}

// certificateAge is how long files are not looked at again.
const certificateAge = time.Second

// LoadCertificates reads the files; all must be good the first time. An empty
// clientCAFile asks no client for a certificate.
func LoadCertificates(certFile, keyFile, clientCAFile string) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, clientCAFile: clientCAFile}
	c.reload()
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

// Config returns a TLS configuration in which every connection uses the newest
// files.
func (c *Certificates) Config() *tls.Config {
	t := &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, _ := c.current()
			return cert, nil
		},
		// A resumed session would carry on with client CAs that are gone.
		SessionTicketsDisabled: true,
	}
	if c.clientCAFile == "" {
		return t
	}
	t.ClientAuth = tls.VerifyClientCertIfGiven
	base := t.Clone()
	t.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		_, now.ClientCAs = c.current()
		return now, nil
	}
	return t
}

// Err returns why the newest files are not in use, or nil.
func (c *Certificates) Err() error {
	c.current()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *Certificates) current() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= certificateAge {
		c.reload()
	}
	return c.cert, c.clients
}

// reload reads the files if one of them changed. The caller holds mu.
func (c *Certificates) reload() {
	c.checked = time.Now()
	var modified [3]time.Time
	for i, name := range []string{c.certFile, c.keyFile, c.clientCAFile} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			c.err = fmt.Errorf("reading certificate: %w", err)
			return
		}
		modified[i] = info.ModTime()
	}
	if c.cert != nil && c.err == nil && modified == c.modified {
		return
	}
	cert, clients, err := c.read()
	if c.err = err; err == nil {
		c.cert, c.clients, c.modified = cert, clients, modified
	}
}

func (c *Certificates) read() (*tls.Certificate, *x509.CertPool, error) {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading certificate %s: %w", c.certFile, err)
	}
	if c.clientCAFile == "" {
		return &cert, nil, nil
	}
	pem, err := os.ReadFile(c.clientCAFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading client CA: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("reading client CA %s: %w", c.clientCAFile, errors.New("got no certificate, want PEM"))
	}
	return &cert, clients, nil
}
