//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// rekorBest are the settings under which Rekor v2 is fastest; without them it
// has its defaults.
var rekorBest = []string{
	"--checkpoint-interval=100ms", "--batch-max-age=50ms", "--batch-max-size=1024", "--pushback-max-outstanding=100000",
}

const rekorOrigin = "rekor-bench.example"

// rekor is a running Rekor v2 server over a POSIX log.
type rekor struct {
	*process
	addr  string
	key   receipt.LogKey
	p     *pool
	conns []*grpc.ClientConn
	apis  []rekorpb.RekorClient

	mu     sync.Mutex
	opened map[[32]byte]receipt.Checkpoint // by the note's hash; guarded by mu
}

// startRekor serves a fresh log in dir.
func startRekor(ctx context.Context, bin, dir string, settings []string) (*rekor, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	key, err := receipt.NewLogKey(rekorOrigin, public)
	if err != nil {
		return nil, err
	}
	keyFile, logDir := filepath.Join(dir, "rekor.pem"), filepath.Join(dir, "log")
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := errors.Join(os.WriteFile(keyFile, text, 0o600), os.Mkdir(logDir, 0o755)); err != nil {
		return nil, err
	}
	args := append([]string{
		"serve", "--hostname=" + rekorOrigin, "--storage-dir=" + logDir, "--signer-filepath=" + keyFile,
	}, settings...)
	for attempt := 1; ; attempt++ {
		r, err := serveRekor(ctx, bin, dir, args)
		if err == nil {
			r.key = key
			return r, nil
		}
		if attempt == 3 || !errors.Is(err, errEnded) {
			return nil, err
		}
		// Somebody else took one of its ports meanwhile.
	}
}

// errEnded means that the server ended before it served.
var errEnded = errors.New("rekor-server ended")

func serveRekor(ctx context.Context, bin, dir string, args []string) (*rekor, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, err
	}
	p, err := spawn(dir, nil, bin, append(slices.Clone(args),
		"--grpc-port="+ports[0], "--http-port="+ports[1], "--http-metrics-port="+ports[2])...)
	if err != nil {
		return nil, err
	}
	r := &rekor{process: p, addr: "127.0.0.1:" + ports[0], opened: map[[32]byte]receipt.Checkpoint{}}
	if err := r.await(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return r, nil
}

// freePorts finds ports that nobody uses now. The server must be told a number:
// it reports none that it chose.
func freePorts(ctx context.Context, n int) ([]string, error) {
	ports := make([]string, 0, n)
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that they differ
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// await waits until the server takes connections.
func (r *rekor) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for rekor-server: %w: %s", err, r.tail())
		case <-r.exited:
			return fmt.Errorf("%w: %s", errEnded, r.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (r *rekor) dial(conns int, p *pool) error {
	r.p = p
	for range conns {
		conn, err := dialed(r.addr, insecure.NewCredentials())
		if err != nil {
			return err
		}
		r.conns = append(r.conns, conn)
		r.apis = append(r.apis, rekorpb.NewRekorClient(conn))
	}
	return nil
}

func (r *rekor) close() error {
	var errs []error
	for _, c := range r.conns {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, r.stop())...)
}

// submit logs the digest of the envelope's PAE with its signature: the entry is
// the one that notaryd writes for it.
// authorised asks for nothing: Rekor takes entries from anyone.
func (r *rekor) authorised(ctx context.Context) context.Context { return ctx }

func (r *rekor) submit(ctx context.Context, conn, i int) error {
	entry, err := r.create(ctx, conn, i)
	if err != nil {
		return err
	}
	env := r.p.envelope(i)
	if err := r.verify(entry, receipt.Entry(&env, r.p.key(i))); err != nil {
		return fmt.Errorf("answer for statement %d: %w", i, err)
	}
	return nil
}

func (r *rekor) create(ctx context.Context, conn, i int) (*rekorv1.TransparencyLogEntry, error) {
	env := r.p.envelope(i)
	return r.apis[conn].CreateEntry(ctx, &rekorpb.CreateEntryRequest{
		Spec: &rekorpb.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: &rekorpb.HashedRekordRequestV002{
			Digest: r.p.digests[i][:],
			Signature: &rekorpb.Signature{
				Content: env.Sig,
				Verifier: &rekorpb.Verifier{
					Verifier:   &rekorpb.Verifier_PublicKey{PublicKey: &rekorpb.PublicKey{RawBytes: r.p.key(i).DER}},
					KeyDetails: commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
				},
			},
		}},
	})
}

func (r *rekor) stream(context.Context, int, int, func() (int, bool), func(int)) error {
	return errNoStream
}

// verify does what notaryd's receipts get: the entry rebuilt, indexes, size,
// root, inclusion, and the checkpoint's signature once a checkpoint.
func (r *rekor) verify(e *rekorv1.TransparencyLogEntry, want []byte) error {
	p := e.GetInclusionProof()
	if !bytes.Equal(e.GetCanonicalizedBody(), want) {
		return fmt.Errorf("got another entry, %s, want %s", e.GetCanonicalizedBody(), want)
	}
	if e.GetLogIndex() != p.GetLogIndex() || p.GetLogIndex() < 0 {
		return fmt.Errorf("got indexes %d and %d, want equal ones", e.GetLogIndex(), p.GetLogIndex())
	}
	c, err := r.open([]byte(p.GetCheckpoint().GetEnvelope()))
	if err != nil {
		return err
	}
	if p.GetTreeSize() != int64(c.Size) || !bytes.Equal(p.GetRootHash(), c.Root[:]) {
		return errors.New("size or root differ from the checkpoint's")
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(want)
	return proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(p.GetLogIndex()), c.Size, leaf, p.GetHashes(), c.Root[:])
}

func (r *rekor) open(note []byte) (receipt.Checkpoint, error) {
	id := sha256.Sum256(note)
	r.mu.Lock()
	c, ok := r.opened[id]
	r.mu.Unlock()
	if ok {
		return c, nil
	}
	c, err := receipt.OpenCheckpoint(note, r.key)
	if err != nil {
		return c, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[id] = c
	return c, nil
}
