package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapgrpc"
	"google.golang.org/grpc/grpclog"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/rpc"
)

func serveCommand(stdout, stderr io.Writer) *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "serve gRPC, HTTP and health checks until SIGINT or SIGTERM",
		Long: "serve opens the log, holds it against the high-water mark, recovers what a\n" +
			"crash left behind, and answers. It refuses to start over a folder that lost\n" +
			"entries or was damaged, and says which file or how many entries.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := LoadConfig(config)
			if err != nil {
				return usageError{err}
			}
			return serve(cmd.Context(), c, stdout, stderr)
		},
	}
	cmd.Flags().StringVar(&config, "config", "notaryd.yaml", "the server's configuration")
	return cmd
}

func serve(ctx context.Context, c *Config, stdout, stderr io.Writer) error {
	collectLess()
	logger, stopLogger := newLogger(c.LogLevel, stderr)
	defer stopLogger()
	// gRPC writes to standard error on its own unless it is told where else.
	grpclog.SetLoggerV2(zapgrpc.NewLogger(logger.Named("grpc")))
	// Doubled from one start to the next: a quota may be full where the volume
	// seems to have room.
	for patience := time.Second; ; patience = min(2*patience, maxPatience) {
		s, err := start(ctx, c, logger, time.Now)
		if err != nil {
			logger.Error("not started", zap.String("origin", c.Origin), zap.Error(err))
			return err
		}
		_, _ = fmt.Fprintf(stdout, "serving %s: gRPC on %s, HTTP on %s\n", c.Origin, s.grpcAddr, s.httpAddr)
		s.patience = patience
		if err := s.run(ctx); !errors.Is(err, errRoomAgain) {
			return err
		}
		logger.Info("there is room on the disk again: starting anew")
		c.Listen.GRPC, c.Listen.HTTP = s.grpcAddr, s.httpAddr
	}
}

// collectLess lets the heap grow to three times what is in use before it is
// collected, unless GOGC says otherwise. What is in use is small, and a
// collection has to look at the stack of each of the thousands of calls that
// wait for the next checkpoint: Go's own setting spent a sixth of the server's
// time on that. GOMEMLIMIT bounds it all the same.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// server is a running notary.
type server struct {
	patience           time.Duration // between two looks whether a full disk has room again
	parts              *parts
	rpc                *rpc.Server
	logger             *zap.Logger
	served             chan error // gets what rpc.Serve returned
	stopChecks         context.CancelFunc
	checks, watched    chan struct{}     // closed when the scheduled checks and the watch have ended
	certs              *rpc.Certificates // nil without TLS
	grpcAddr, httpAddr string
}

// start opens a notary and serves it. Whoever started it calls stop, or run.
func start(ctx context.Context, c *Config, logger *zap.Logger, clock func() time.Time) (*server, error) {
	began := time.Now()
	p, err := openParts(ctx, c, logger, clock)
	if err != nil {
		return nil, err
	}
	s, err := startParts(ctx, p, p.service, logger, clock)
	if err != nil {
		return nil, err
	}
	if r := p.service.Recovered(); r != (notary.Recovered{}) {
		logger.Info("recovered what was in flight", zap.Uint64("scanned", r.Scanned), zap.Int("placed", r.Placed),
			zap.Int("logged", r.Logged), zap.Int("stale_marks", r.Dropped))
	}
	logger.Info("serving", zap.String("origin", c.Origin), zap.String("grpc", s.grpcAddr), zap.String("http", s.httpAddr),
		zap.String("metrics", p.shown.addr), zap.String("version", version()),
		zap.Uint64("entries", p.log.Size()), zap.Duration("took", time.Since(began)))
	return s, nil
}

// startParts serves open parts, which it closes if it fails. The service is
// theirs, or one around it.
func startParts(ctx context.Context, p *parts, service rpc.Service, logger *zap.Logger, clock func() time.Time) (_ *server, err error) {
	c := p.config
	s := &server{parts: p, logger: logger, served: make(chan error, 1), checks: make(chan struct{}), watched: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(ctx))
		}
	}()
	config := rpc.Config{
		Service: service, Users: users{p.store}, Refusals: refusals{p.store}, Tiles: p.log,
		Logger: logger, TilesClosed: c.TilesClosed, Clock: clock,
		Limits: c.callLimits(),
	}
	if o := p.shown.observer(); o != nil {
		config.Observer = o
	}
	if config.PageKey, err = readPageKey(c.Keys.Page); err != nil {
		return nil, err
	}
	if !c.TLS.Insecure {
		if s.certs, err = rpc.LoadCertificates(c.TLS.Cert, c.TLS.Key, c.TLS.ClientCA); err != nil {
			return nil, err
		}
		config.Certificates = s.certs
	}
	listeners, err := listen(ctx, c)
	if err != nil {
		return nil, err
	}
	if s.rpc, err = rpc.New(config); err != nil {
		return nil, errors.Join(err, closeListeners(listeners))
	}
	if err := s.showMetrics(ctx); err != nil {
		return nil, errors.Join(err, closeListeners(listeners), s.rpc.Shutdown(ctx))
	}
	s.grpcAddr, s.httpAddr = listeners.GRPC.Addr().String(), listeners.HTTP.Addr().String()
	go func() { s.served <- s.rpc.Serve(listeners) }()
	checkCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.stopChecks = cancel
	go s.scheduledChecks(checkCtx)
	go s.watch(checkCtx)
	return s, nil
}

// maxPatience is the longest time between two looks whether there is room again.
const maxPatience = 5 * time.Minute

// errRoomAgain ends a server whose log stopped for a full disk, once there is
// room: the next start recovers.
var errRoomAgain = errors.New("the log stopped for a full disk, and there is room again")

// run serves until the context ends or a listener fails.
//
// A service that stopped writing goes on answering reads, and health says why:
// whoever restarts it on that gets the recovery of the normal start. Where the
// cause was a full disk, the server has itself started anew, by errRoomAgain; where
// the disk failed or the log is damaged, somebody has to look first.
func (s *server) run(ctx context.Context) error {
	stopped := s.parts.service.Stopped()
	look := time.NewTicker(time.Second)
	look.Stop()
	defer look.Stop()
	for {
		select {
		case <-stopped:
			stopped = nil
			if err := s.parts.service.Err(); !errors.Is(err, notary.ErrStoreFull) {
				s.logger.Error("no statement is taken until a restart", zap.Error(err))
				continue
			}
			s.logger.Error("no statement is taken until there is room on the disk", zap.Error(s.parts.service.Err()))
			look.Reset(max(s.patience, time.Second))
		case <-look.C:
			if !s.hasRoom() {
				continue
			}
			// Calls may have been cut off, which is said in the log. What would not
			// close is still locked, and then the start fails.
			_ = s.stop(context.WithoutCancel(ctx))
			return errRoomAgain
		case <-ctx.Done():
			s.logger.Info("stopping", zap.String("cause", "asked to"))
			return s.stop(context.WithoutCancel(ctx))
		case err := <-s.served:
			s.served <- err // stop reads it again
			s.logger.Error("stopping", zap.String("cause", "a listener failed"), zap.Error(err))
			return errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}
}

// hasRoom tells whether the reserve of disk space is whole, and the disk has not
// failed the database since.
func (s *server) hasRoom() bool {
	c := s.parts.config
	free, err := c.freeSpace()
	return err == nil && s.parts.store.Err() == nil && free >= uint64(c.Limits.MinFreeBytes) // validated to be positive
}

// stop ends the server in the order that rpc.Server.Shutdown documents, which
// closes the service, then closes the log and the database, and last what shows them.
// Calls that hang and are cut off leave the log its own time to close.
func (s *server) stop(ctx context.Context) error {
	s.stopChecks()
	<-s.checks
	<-s.watched
	patience := s.parts.config.Times.Shutdown
	calls, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := errors.Join(s.rpc.Shutdown(calls), <-s.served)
	ctx, cancel = context.WithTimeout(ctx, patience)
	defer cancel()
	err = errors.Join(err, s.parts.log.Close(ctx), s.parts.store.Close(), s.parts.lock.Close(), s.parts.shown.close(ctx))
	ended := []zap.Field{zap.Uint64("entries", s.parts.log.Size()), zap.Uint64("published", s.parts.log.Checkpoint().Size)}
	if err != nil {
		s.logger.Error("stopped", append(ended, zap.Error(err))...)
		return err
	}
	s.logger.Info("stopped", ended...)
	return nil
}

func listen(ctx context.Context, c *Config) (l rpc.Listeners, err error) {
	for _, one := range []struct {
		name, addr string
		to         *net.Listener
	}{{"gRPC", c.Listen.GRPC, &l.GRPC}, {"HTTP", c.Listen.HTTP, &l.HTTP}, {"health", c.Listen.Health, &l.Health}} {
		if one.addr == "" {
			continue
		}
		if *one.to, err = listenSoon(ctx, one.addr); err != nil {
			return l, errors.Join(fmt.Errorf("listening for %s: %w", one.name, err), closeListeners(l))
		}
	}
	return l, nil
}

// listenPatience is how long an address may still belong to a server that ended,
// or to a connection that took its port meanwhile.
const listenPatience = 5 * time.Second

func listenSoon(ctx context.Context, addr string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	for {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func closeListeners(l rpc.Listeners) error {
	var errs []error
	for _, one := range []net.Listener{l.GRPC, l.HTTP, l.Health} {
		if one != nil {
			errs = append(errs, one.Close())
		}
	}
	return errors.Join(errs...)
}
