package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary"
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
	expiring *x509.Certificate // of the client CAs, the one that ends first
	err      error             // of the newest files, if they were not taken
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
	read, err := c.read()
	if c.err = err; err == nil {
		c.cert, c.clients, c.expiring, c.modified = read.cert, read.clients, read.expiring, modified
	}
}

// certificateFiles is what the files hold.
type certificateFiles struct {
	cert     *tls.Certificate
	clients  *x509.CertPool
	expiring *x509.Certificate
}

func (c *Certificates) read() (*certificateFiles, error) {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("reading certificate %s with key %s: %w", c.certFile, c.keyFile, err)
	}
	read := &certificateFiles{cert: &cert}
	if c.clientCAFile == "" {
		return read, nil
	}
	text, err := os.ReadFile(c.clientCAFile)
	if err != nil {
		return nil, fmt.Errorf("reading client CA: %w", err)
	}
	read.clients = x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading client CA %s: %w", c.clientCAFile, err)
		}
		read.clients.AddCert(ca)
		if read.expiring == nil || ca.NotAfter.Before(read.expiring.NotAfter) {
			read.expiring = ca
		}
	}
	if read.expiring == nil {
		return nil, fmt.Errorf("reading client CA %s: %w", c.clientCAFile, errors.New("got no certificate, want PEM"))
	}
	return read, nil
}

// expirySoon is when a certificate that ends is spoken of.
const expirySoon = 30 * 24 * time.Hour

// Condition tells how the certificates are. It is OK while clients can connect:
// a certificate that ends soon, and files that could not be taken, are named in
// the detail.
func (c *Certificates) Condition(now time.Time) notary.Condition {
	c.current()
	c.mu.Lock()
	defer c.mu.Unlock()
	leaf := c.cert.Leaf
	condition := notary.Condition{Name: "certificate", OK: !now.Before(leaf.NotBefore) && now.Before(leaf.NotAfter)}
	var say []string
	if now.Before(leaf.NotBefore) {
		say = append(say, "server certificate is not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339))
	} else {
		say = append(say, expiry("server certificate", leaf, now))
	}
	if c.expiring != nil && c.expiring.NotAfter.Sub(now) < expirySoon {
		say = append(say, expiry(fmt.Sprintf("client CA %q", c.expiring.Subject.CommonName), c.expiring, now))
	}
	if c.err != nil {
		say = append(say, "the newest files are not in use: "+c.err.Error())
	}
	condition.Detail = strings.Join(say, "; ")
	return condition
}

// expiry tells when a certificate ends, in words that change once a day.
func expiry(what string, cert *x509.Certificate, now time.Time) string {
	on := cert.NotAfter.UTC().Format(time.RFC3339)
	switch left := cert.NotAfter.Sub(now); {
	case left <= 0:
		return fmt.Sprintf("%s expired on %s", what, on)
	case left < expirySoon:
		return fmt.Sprintf("%s expires in %d days, on %s", what, int(left/(24*time.Hour)), on)
	default:
		return fmt.Sprintf("%s expires on %s", what, on)
	}
}

// Ends returns when the server's certificate ends, and of the client CAs the one
// that ends first; zero without any.
func (c *Certificates) Ends() (server, clientCA time.Time) {
	c.current()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expiring != nil {
		clientCA = c.expiring.NotAfter
	}
	return c.cert.Leaf.NotAfter, clientCA
}

// urgent tells whether somebody should do something soon.
func (c *Certificates) urgent(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.cert.Leaf.NotAfter.Sub(now) < expirySoon || c.expiring != nil && c.expiring.NotAfter.Sub(now) < expirySoon
}

// watchCertificates logs how the certificates are, at the start and whenever that
// changes: when files were replaced, or could not be taken, and once a day when
// one ends soon.
func (s *Server) watchCertificates() {
	certs := s.cfg.Certificates
	tick := time.NewTicker(certificateAge)
	defer tick.Stop()
	for last := (notary.Condition{}); ; {
		if now := certs.Condition(s.now()); now != last {
			last = now
			log := s.log.Info
			switch {
			case !now.OK:
				log = s.log.Error
			case certs.urgent(s.now()):
				log = s.log.Warn
			}
			log("certificates", zap.String("state", now.Detail))
		}
		select {
		case <-tick.C:
		case <-s.draining:
			return
		}
	}
}
