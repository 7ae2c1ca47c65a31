package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	"github.com/trialnotary/trialnotary/notary"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// Server answers gRPC and HTTP. New makes one, Serve runs it once, Shutdown ends
// it.
type Server struct {
	cfg      Config
	log      *zap.Logger
	now      func() time.Time
	secret   []byte // of the handover
	refusals *recorder
	batches  chan struct{} // a place for each newline-delimited body that is held
	reauth   time.Duration // how long a stream trusts what it knows of its caller
	probe    *health
	limiter  *limiter
	doors    *doors // of the gRPC and HTTP listeners

	outside *grpc.Server // the gRPC listener
	inside  *grpc.Server // the in-process listener, for the HTTP front alone
	probes  *grpc.Server // health alone, plaintext, for probes
	web     *http.Server
	pipe    *bufconn.Listener
	conn    *grpc.ClientConn // to inside
	client  notaryv1.NotaryServiceClient

	// notServing is closed when health turns, draining when streams must end,
	// stopped when Shutdown is over.
	notServing, draining, stopped chan struct{}
	ending                        context.Context // done with errDraining once draining is closed
	endStreams                    context.CancelCauseFunc
	unread                        time.Duration // see unreadPatience
	shutdown                      sync.Once
	shutdownErr                   error
}

// Listeners are where a Server listens. Each may be nil: what it would serve is
// not served.
type Listeners struct {
	// GRPC takes gRPC, HTTP takes HTTP/1.1 and HTTP/2; both with the configured
	// TLS.
	GRPC, HTTP net.Listener
	// Health takes grpc.health.v1 and nothing else, in plaintext, from anyone: a
	// kubelet has no certificate.
	Health net.Listener
}

func (l Listeners) close() error {
	var errs []error
	for _, one := range []net.Listener{l.GRPC, l.HTTP, l.Health} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}

// maxProbes bounds the connections of the health listener, and four times as
// many the calls of one of them in flight.
const maxProbes = 256

// New makes a Server. Whoever made it calls Shutdown, also if Serve fails or is
// never called.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, now: cfg.Clock, secret: newSecret(),
		batches: make(chan struct{}, cfg.Limits.MaxBatches),
		// What is remembered of a caller may be as old as UserAge.
		reauth:     reauthenticate - max(0, min(cfg.Limits.UserAge, reauthenticate)),
		pipe:       bufconn.Listen(1 << 20),
		notServing: make(chan struct{}), draining: make(chan struct{}), stopped: make(chan struct{}), unread: unreadPatience,
	}
	s.ending, s.endStreams = context.WithCancelCause(context.Background())
	s.cfg.Users = newUserCache(cfg.Users, cfg.Limits.UserAge)
	s.probe = &health{service: cfg.Service, draining: s.notServing}
	if certs := cfg.Certificates; certs != nil {
		s.probe.certificates = func() notary.Condition { return certs.Condition(s.now()) }
	}
	s.doors = newDoors(cfg.Limits.MaxConnections, cfg.Limits.MaxAddressConnections, cfg.Logger)
	var err error
	if s.limiter, err = newLimiter(cfg.Limits); err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if t := cfg.tlsConfig("h2"); t != nil {
		creds = credentials.NewTLS(t)
	}
	s.outside = s.newGRPC(false, grpc.Creds(gathering{creds}))
	s.inside = s.newGRPC(true)
	s.probes = grpc.NewServer(append(s.limits(), grpc.MaxRecvMsgSize(4<<10), grpc.MaxConcurrentStreams(maxProbes/4))...)
	grpc_health_v1.RegisterHealthServer(s.probes, s.probe)
	if err := s.newWeb(); err != nil {
		return nil, err
	}
	s.refusals = newRecorder(cfg.Refusals, cfg.Logger)
	return s, nil
}

// limits are what bounds every gRPC connection.
func (s *Server) limits() []grpc.ServerOption {
	l := s.cfg.Limits
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(2 * l.MaxMessage), // see callStream
		grpc.MaxConcurrentStreams(uint32(l.MaxStreams)),
		grpc.MaxHeaderListSize(uint32(l.MaxHeader)),
		grpc.ConnectionTimeout(10 * time.Second),
		// A receipt has kilobytes: with gRPC's own 32 KiB the system calls cost
		// a tenth of the server's time. The one to write is shared, so that an
		// idle connection holds only the one to read.
		grpc.WriteBufferSize(128 << 10), grpc.ReadBufferSize(128 << 10),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: l.IdleTimeout, Time: time.Minute, Timeout: 20 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 15 * time.Second, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	}
}

func (s *Server) newGRPC(inProcess bool, more ...grpc.ServerOption) *grpc.Server {
	options := s.limits()
	if inProcess {
		// One connection carries every HTTP request: the HTTP listener bounds
		// them, and the connection must not end between two.
		options = []grpc.ServerOption{grpc.MaxRecvMsgSize(2 * s.cfg.Limits.MaxMessage), grpc.WaitForHandlers(true)}
	}
	pool := new(buffers)
	options = append(options, grpc.ForceServerCodecV2(newCodec(s.cfg.Limits.MaxMessage, pool)), experimental.BufferPool(pool),
		grpc.StreamInterceptor(s.intercept(inProcess)), grpc.InTapHandle(s.arrive))
	g := grpc.NewServer(append(options, more...)...)
	notaryv1.RegisterNotaryServiceServer(registrar{g}, &api{Server: s})
	grpc_health_v1.RegisterHealthServer(registrar{g}, s.probe)
	reflection.Register(registrar{g})
	return g
}

// newWeb makes the HTTP side and its connection to the in-process listener.
func (s *Server) newWeb() error {
	conn, err := grpc.NewClient("passthrough:///in-process",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // memory: nobody else can dial it
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)),
	)
	if err != nil {
		return fmt.Errorf("dialling in process: %w", err)
	}
	s.conn, s.client = conn, notaryv1.NewNotaryServiceClient(conn)
	f, err := newFront(s)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	l := s.cfg.Limits
	s.web = &http.Server{
		Handler:           f,
		TLSConfig:         s.cfg.tlsConfig("h2", "http/1.1"),
		ReadHeaderTimeout: min(10*time.Second, l.ReadTimeout),
		ReadTimeout:       l.ReadTimeout,
		WriteTimeout:      l.ReadTimeout + l.CallTimeout,
		IdleTimeout:       l.IdleTimeout,
		MaxHeaderBytes:    l.MaxHeader,
		// `OPTIONS *` is refused like everything else that is no path.
		DisableGeneralOptionsHandler: true,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: l.MaxStreams},
		ErrorLog:                     zap.NewStdLog(s.log.Named("http")),
	}
	return nil
}

// Serve answers on the listeners until Shutdown, and then returns nil. It closes
// them. If one of them fails, all end, and the caller calls Shutdown.
func (s *Server) Serve(l Listeners) error {
	if s.cfg.TLS == nil {
		for _, one := range []net.Listener{l.GRPC, l.HTTP} {
			if one == nil {
				continue
			}
			if err := checkPlaintext(one); err != nil {
				return errors.Join(err, l.close())
			}
		}
	}
	var g errgroup.Group
	if s.cfg.Certificates != nil {
		go s.watchCertificates()
	}
	serve := func(name string, l net.Listener, f func(net.Listener) error) {
		if l == nil {
			return
		}
		g.Go(func() error {
			err := f(l)
			if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
				return nil
			}
			s.stopNow()
			return fmt.Errorf("serving %s on %s: %w", name, l.Addr(), err)
		})
	}
	serve("in process", s.pipe, s.inside.Serve)
	serve("gRPC", l.GRPC, func(l net.Listener) error {
		return s.outside.Serve(s.doors.behind(l))
	})
	serve("health", l.Health, func(l net.Listener) error {
		return s.probes.Serve(newDoors(maxProbes, maxProbes/4, s.log).behind(l))
	})
	serve("HTTP", l.HTTP, func(l net.Listener) error {
		l = s.doors.behind(l)
		if s.web.TLSConfig != nil {
			return s.web.ServeTLS(l, "", "")
		}
		return s.web.Serve(l)
	})
	err := g.Wait()
	if err == nil {
		<-s.stopped // Serve has not ended while calls are still answered
	}
	return err
}

// Shutdown ends the server in this order: health says NOT_SERVING, and after
// HealthDelay the listeners accept no more; streams stop taking statements, and
// every call in flight is answered; who reads none of its answers for
// unreadPatience is cut off. When all are answered, or ctx ends, which cuts them off,
// the refusals are written and the service is closed. It may be called more than
// once; each call returns when the first is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.shutdown.Do(func() {
		defer close(s.stopped)
		close(s.notServing)
		wait(ctx, s.cfg.HealthDelay)
		close(s.draining)
		s.endStreams(errDraining)
		s.shutdownErr = s.drain(ctx)
		s.refusals.close()
		if err := s.cfg.Service.Close(ctx); err != nil {
			s.shutdownErr = errors.Join(s.shutdownErr, fmt.Errorf("closing service: %w", err))
		}
	})
	return s.shutdownErr
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// drain waits until every call is answered, or cuts them off when ctx ends. HTTP
// ends first: its calls need the in-process listener.
func (s *Server) drain(ctx context.Context) error {
	done := make(chan struct{})
	var webErr error
	go s.closeUnread(done)
	go func() {
		defer close(done)
		var g errgroup.Group
		g.Go(func() error { s.outside.GracefulStop(); return nil })
		g.Go(func() error { webErr = s.web.Shutdown(ctx); return nil })
		_ = g.Wait()
		s.inside.GracefulStop()
		s.probes.GracefulStop()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("calls were cut off: %w", context.Cause(ctx))
		s.stopNow()
		<-done
	}
	if err == nil && webErr != nil {
		err = fmt.Errorf("stopping HTTP: %w", webErr)
	}
	return errors.Join(err, s.conn.Close(), s.pipe.Close())
}

// stopNow cuts every call off.
func (s *Server) stopNow() {
	_ = s.web.Close() // its connections are gone either way
	s.outside.Stop()
	s.inside.Stop()
	s.probes.Stop()
}
