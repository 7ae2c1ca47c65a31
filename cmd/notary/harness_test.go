package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
	"github.com/trialnotary/trialnotary/trial"
)

// server is a real notary on loopback without TLS: the whole service, its log
// and its database in one folder.
type server struct {
	dir    string
	origin string
	signer note.Signer
	vkey   string
	key    []byte // the notary's statement key, PEM
	// clock is the notary's where it is not the machine's.
	clock func() time.Time

	store   *store.Store
	log     *tesseralog.Log
	service *notary.Service
	rpc     *rpc.Server
	served  chan error
	grpc    string
	http    string
}

// newServer creates a notary and serves it.
func newServer(dir string) (*server, error) { return newServerAt(dir, nil) }

// newServerAt is newServer with a clock of its own, which may leap.
func newServerAt(dir string, clock func() time.Time) (*server, error) {
	s := &server{dir: dir, clock: clock, origin: fmt.Sprintf("t%d.notary.example", time.Now().UnixNano())}
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	if err := s.logKey(priv); err != nil {
		return nil, err
	}
	statementKey, err := trial.GenerateKey()
	if err != nil {
		return nil, err
	}
	if s.key, err = trial.MarshalPrivateKeyPEM(statementKey); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := store.Create(filepath.Join(dir, "notary.db")); err != nil {
		return nil, err
	}
	if err := tesseralog.Create(context.Background(), filepath.Join(dir, "log"), s.signer); err != nil {
		return nil, err
	}
	return s, s.start()
}

func (s *server) logKey(priv ed25519.PrivateKey) error {
	key, err := receipt.NewLogKey(s.origin, priv.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	s.vkey = key.VKey()
	s.signer = noteSigner{verifier: key.Verifier(), key: priv}
	return nil
}

// noteSigner signs C2SP notes with an Ed25519 key.
type noteSigner struct {
	verifier note.Verifier
	key      ed25519.PrivateKey
}

func (s noteSigner) Name() string                    { return s.verifier.Name() }
func (s noteSigner) KeyHash() uint32                 { return s.verifier.KeyHash() }
func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// start opens what newServer or an earlier run left, and serves it on the
// address of the first start.
func (s *server) start() (err error) {
	ctx := context.Background()
	if s.store, err = store.Open(filepath.Join(s.dir, "notary.db")); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(s.vkey)
	if err != nil {
		return err
	}
	s.log, err = tesseralog.Open(ctx, tesseralog.Config{
		Dir: filepath.Join(s.dir, "log"), Signer: s.signer, Verifier: verifier, Marks: s.store,
		CheckpointInterval: 100 * time.Millisecond,
	})
	if err != nil {
		return errors.Join(err, s.store.Close())
	}
	logKey, err := receipt.ParseLogKey(s.vkey)
	if err != nil {
		return err
	}
	statementKey, err := trial.ParsePrivateKeyPEM(s.key)
	if err != nil {
		return err
	}
	cfg := notary.Config{
		Log: s.log, Store: s.store, Key: statementKey, LogKey: logKey,
		Policy: fmt.Appendf(nil, "log %s\nquorum none\n", s.vkey),
	}
	if s.clock != nil {
		cfg.Clock, cfg.ClockJump, cfg.ClockGap = s.clock, -1, -1
	}
	s.service, err = notary.Open(ctx, cfg)
	if err != nil {
		return errors.Join(err, s.log.Close(ctx), s.store.Close())
	}
	return s.serve()
}

func (s *server) serve() (err error) {
	if s.rpc, err = rpc.New(rpc.Config{Service: s.service, Users: users{s.store}, Tiles: s.log}); err != nil {
		return err
	}
	l := rpc.Listeners{}
	if l.GRPC, err = listen(s.grpc); err != nil {
		return err
	}
	if l.HTTP, err = listen(s.http); err != nil {
		return err
	}
	s.grpc, s.http = l.GRPC.Addr().String(), l.HTTP.Addr().String()
	s.served = make(chan error, 1)
	go func() { s.served <- s.rpc.Serve(l) }()
	return nil
}

func listen(addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	// While the server is away, a connection of another test may have taken its
	// port for a moment.
	deadline := time.Now().Add(10 * time.Second)
	for {
		l, err := net.Listen("tcp", addr)
		if !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(deadline) {
			return l, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends the server; its folder stays.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := s.rpc.Shutdown(ctx)
	return errors.Join(err, <-s.served, s.service.Close(ctx), s.log.Close(ctx), s.store.Close())
}

// users lets rpc find its callers in the store.
type users struct{ *store.Store }

func (u users) UserByToken(ctx context.Context, hash [32]byte) (*rpc.User, error) {
	return toUser(u.Store.UserByToken(ctx, hash))
}

func (u users) UserByCert(ctx context.Context, name string) (*rpc.User, error) {
	return toUser(u.Store.UserByCert(ctx, name))
}

func (u users) Grant(ctx context.Context, user string, charter trial.ID) error {
	return u.GrantTrial(ctx, user, charter)
}

func toUser(u *store.User, err error) (*rpc.User, error) {
	if err != nil {
		return nil, err
	}
	out := &rpc.User{Name: u.Name}
	for _, g := range u.Grants {
		out.Grants = append(out.Grants, rpc.Grant{
			Role: rpc.Role(g.Role), Organisation: g.Organisation, Trial: g.Trial, Sites: g.Sites,
		})
	}
	return out, nil
}

// addUser writes a token to a file and grants it.
func (s *server) addUser(name, tokenFile string, g store.Grant) error {
	token, hash := rpc.NewToken()
	if err := s.store.AddUser(context.Background(), store.User{Name: name, TokenHash: hash, Grants: []store.Grant{g}}); err != nil {
		return err
	}
	return os.WriteFile(tokenFile, []byte(token+"\n"), 0o600)
}

func TestMain(m *testing.M) {
	// The scripts wait for checkpoints more than for a processor. -parallel still rules.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){
		"notary": func() {
			main()
		},
	})
}
