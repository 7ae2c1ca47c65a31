//go:build linux

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
	"github.com/trialnotary/trialnotary/trial"
)

// notaryd is a running notary with a trial, and the generator's connections.
type notaryd struct {
	*process
	dir   string
	grpc  string // address
	http  string // address
	tls   bool
	trust *receipt.Trust
	token string

	verifier *receipt.LogVerifier
	p        *pool
	conns    []*grpc.ClientConn
	apis     []notaryv1.NotaryServiceClient
	held     held
	keep     func(r *notaryv1.Receipt, text []byte) // is shown every receipt; may be nil
}

const userName = "bench"

// initNotaryd makes a notary as an operator would, with one user who may do
// everything in the trial.
func initNotaryd(ctx context.Context, bin, dir string, withTLS bool) error {
	origin := fmt.Sprintf("bench-%d.example", time.Now().UnixNano())
	if err := command(ctx, bin, "init", "--dir", dir, "--origin", origin, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"); err != nil {
		return err
	}
	config := filepath.Join(dir, "notaryd.yaml")
	if !withTLS {
		f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("tls:\n  insecure: true\n")
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return command(ctx, bin, "user", "add", userName, "--config", config, "--role", "sponsor",
		"--organisation", organisation, "--token-out", filepath.Join(dir, "token"))
}

// command runs a program to its end.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return nil
}

// startNotaryd serves what initNotaryd made and waits until it serves.
func startNotaryd(bin, dir string, withTLS bool) (_ *notaryd, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p, err := spawn(dir, w, bin, "serve", "--config", filepath.Join(dir, "notaryd.yaml"))
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	n := &notaryd{process: p, dir: dir, tls: withTLS}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		n.grpc, n.http, err = addresses(line)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("waiting for notaryd: %w: %s", err, p.tail()), p.stop(), r.Close())
	}
	go func() {
		_, _ = io.Copy(io.Discard, r) // so that the server never waits for its reader
		_ = r.Close()
	}()
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	n.token = strings.TrimSpace(string(token))
	return n, nil
}

// addresses reads "serving ORIGIN: gRPC on ADDR, HTTP on ADDR".
func addresses(line string) (grpc, http string, err error) {
	_, rest, ok := strings.Cut(line, "gRPC on ")
	grpc, rest, found := strings.Cut(rest, ",")
	_, http, also := strings.Cut(rest, "HTTP on ")
	if !ok || !found || !also {
		return "", "", fmt.Errorf("got %q, want the addresses that it serves", line)
	}
	return grpc, strings.TrimSpace(http), nil
}

// openTrial submits charter and enrolments through the client library, which
// verifies what comes back, and fetches the trust folder. On a notary that has
// the trial it gets the same receipts again.
func (n *notaryd) openTrial(ctx context.Context, id *identity) error {
	o := client.Options{TokenFile: filepath.Join(n.dir, "token"), Insecure: !n.tls}
	if n.tls {
		o.CAFile = filepath.Join(n.dir, "tls/ca.crt")
	}
	c, err := client.Dial(n.grpc, o)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, n.trust, err = c.CreateTrial(ctx, id.Charter.envelope()); err != nil {
		return fmt.Errorf("creating the trial: %w", n.failed(err))
	}
	for _, e := range id.Enrolments {
		if _, err := c.Submit(ctx, n.trust, e.envelope()); err != nil {
			return fmt.Errorf("enrolling: %w", n.failed(err))
		}
	}
	if n.trust, err = c.FetchTrust(ctx, id.id.String()); err != nil {
		return err
	}
	n.verifier, err = receipt.NewLogVerifier(n.trust.LogKeys...)
	return err
}

// dial opens the generator's connections. It uses the generated client: what the
// client library does besides is a site's work, and the receipts are verified
// here.
func (n *notaryd) dial(conns int, p *pool) error {
	if n.p = p; len(n.conns) == conns {
		return nil // with another pool
	}
	creds := insecure.NewCredentials()
	if n.tls {
		pem, err := os.ReadFile(filepath.Join(n.dir, "tls/ca.crt"))
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots})
	}

	for range conns {
		conn, err := dialed(n.grpc, creds)
		if err != nil {
			return err
		}
		n.conns = append(n.conns, conn)
		n.apis = append(n.apis, notaryv1.NewNotaryServiceClient(conn))
	}
	return nil
}

func (n *notaryd) close() error {
	var errs []error
	for _, c := range n.conns {
		errs = append(errs, c.Close())
	}
	n.conns, n.apis = nil, nil
	return errors.Join(append(errs, n.stop())...)
}

func (n *notaryd) authorised(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+n.token)
}

// envelopeMessage is one piece of memory.
func envelopeMessage(e *trial.Envelope) *notaryv1.Envelope {
	m := new(struct {
		envelope   notaryv1.Envelope
		signature  notaryv1.Signature
		signatures [1]*notaryv1.Signature
	})
	m.signature.Sig, m.signatures[0] = e.Sig, &m.signature
	m.envelope.Payload, m.envelope.PayloadType, m.envelope.Signatures = e.Payload, e.PayloadType, m.signatures[:]
	return &m.envelope
}

// verify is what the generator does with every answer: it makes the receipt of our
// own envelope and the proof as the client library does, which verifies the entry
// rebuilt, its inclusion under the checkpoint's size and root, and the
// checkpoint's signature once a checkpoint; and it checks the evidence's hash.
func (n *notaryd) verify(i int, env *trial.Envelope, named string, r *notaryv1.Receipt) error {
	if err := n.held.check(i, named, r); err != nil {
		return err
	}
	made, err := n.verifier.Assemble(env, n.p.key(i), receipt.Proof{
		Index: r.GetLogIndex(), Hashes: r.GetProof().GetHashes(), Checkpoint: r.GetProof().GetCheckpoint(),
	})
	if err != nil {
		return fmt.Errorf("receipt of statement %d: %w", i, err)
	}
	if n.keep != nil {
		n.keep(r, made.Bytes())
	}
	return nil
}

func (n *notaryd) submit(ctx context.Context, conn, i int) error {
	env := n.p.envelope(i)
	named := n.held.name(i)
	resp, err := n.apis[conn].Submit(ctx, &notaryv1.SubmitRequest{
		Envelope: envelopeMessage(&env), HeldEvidence: named, ReceiptForm: notaryv1.ReceiptForm_RECEIPT_FORM_PROOF,
	})
	if err != nil {
		return err
	}
	return n.verify(i, &env, named, resp.GetReceipt())
}
