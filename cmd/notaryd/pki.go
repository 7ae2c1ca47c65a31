package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The private CA that `init` makes, so that TLS works from the first minute
// without a certificate authority of one's own. Whoever has one puts its files
// in place of these.
const (
	caLifetime     = 10 * 365 * 24 * time.Hour
	serverLifetime = 365 * 24 * time.Hour
	clientLifetime = 365 * 24 * time.Hour
)

// authority is the private CA.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
}

// createAuthority makes a CA in dir: ca.crt and ca.key.
func createAuthority(dir, origin string, now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Trial Notary CA of " + origin},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(caLifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("making the CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if err := writePrivateKey(filepath.Join(dir, "ca.key"), key); err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, "ca.crt"), pemCert(der), 0o644); err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

func openAuthority(dir string) (*authority, error) {
	key, err := readPrivateKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "ca.crt")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the CA: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("%s: want a PEM block of type CERTIFICATE", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &authority{cert: cert, key: key}, nil
}

// issued is a certificate with its private key, both in PEM.
type issued struct{ cert, key []byte }

// write writes NAME.crt and NAME.key, which must not exist yet.
func (i issued) write(dir, name string) error {
	if err := writeNew(filepath.Join(dir, name+".key"), i.key, 0o600); err != nil {
		return err
	}
	return writeNew(filepath.Join(dir, name+".crt"), i.cert, 0o644)
}

// issueServer makes a server certificate for host names and IP addresses.
func (a *authority) issueServer(hosts []string, now time.Time) (issued, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: hosts[0]},
		NotAfter:    now.Add(serverLifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return a.issue(template, now)
}

// issueClient makes a client certificate whose common name is the user's.
func (a *authority) issueClient(user string, now time.Time) (issued, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user},
		NotAfter:    now.Add(clientLifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, now)
}

func (a *authority) issue(template *x509.Certificate, now time.Time) (issued, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issued{}, err
	}
	if template.SerialNumber, err = newSerial(); err != nil {
		return issued{}, err
	}
	template.NotBefore = now.Add(-time.Minute)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return issued{}, fmt.Errorf("issuing a certificate for %s: %w", template.Subject.CommonName, err)
	}
	secret, err := encodePrivateKey(key)
	return issued{cert: pemCert(der), key: secret}, err
}

func pemCert(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
