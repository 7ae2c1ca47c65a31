package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/trialnotary/trialnotary/notary/rpc"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/telemetry"
)

// instruments are what the operator sees the notary by. The zero value shows
// nothing and costs nothing.
type instruments struct {
	metrics *telemetry.Metrics
	tracer  *telemetry.Tracer
	web     *http.Server // serves the metrics
	served  chan error   // gets what web.Serve returned
	addr    string       // of the metrics
	logger  *zap.Logger
}

func newInstruments(ctx context.Context, c *Config, logger *zap.Logger) (instruments, error) {
	i := instruments{logger: logger}
	if c.Listen.Metrics != "" {
		i.metrics = telemetry.NewMetrics(version())
	}
	if c.Tracing.Endpoint == "" {
		return i, nil
	}
	settings := telemetry.TraceConfig{
		Endpoint: c.Tracing.Endpoint, Ratio: c.Tracing.SampleRatio, Version: version(),
		Warn: func(err error) { logger.Warn("exporting traces", zap.Error(err)) },
	}
	if c.Tracing.CA != "" {
		pem, err := os.ReadFile(c.Tracing.CA)
		if err != nil {
			return i, fmt.Errorf("reading the authorities of tracing.endpoint: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return i, fmt.Errorf("reading the authorities of tracing.endpoint: %s has no certificate in PEM", c.Tracing.CA)
		}
		settings.TLS = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	var err error
	i.tracer, err = telemetry.NewTracer(ctx, settings)
	return i, err
}

// observer returns what service and server tell, or nil.
func (i *instruments) observer() *telemetry.Observer {
	if i.metrics == nil && i.tracer == nil {
		return nil
	}
	return &telemetry.Observer{Metrics: i.metrics, Tracer: i.tracer}
}

// maxScrapers bounds the connections of the metrics' listener: whoever reaches it
// must not use up the server's file descriptors.
const maxScrapers = 64

// showMetrics serves the metrics, where an address is configured.
func (s *server) showMetrics(ctx context.Context) error {
	if s.parts.shown.metrics == nil {
		return nil
	}
	s.parts.shown.metrics.Watch(s.snapshot)
	return s.parts.shown.serve(ctx, s.parts.config.Listen.Metrics)
}

func (i *instruments) serve(ctx context.Context, addr string) error {
	l, err := listenSoon(ctx, addr)
	if err != nil {
		return fmt.Errorf("listening for metrics: %w", err)
	}
	i.addr, i.served = l.Addr().String(), make(chan error, 1)
	i.web = &http.Server{
		Handler: i.metrics.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10, DisableGeneralOptionsHandler: true,
	}
	go func() { i.served <- i.web.Serve(rpc.Bound(l, maxScrapers, maxScrapers/4, i.logger)) }()
	return nil
}

// close ends both. The last spans are exported while there is time, and it is no
// failure of the notary if nobody takes them.
func (i *instruments) close(ctx context.Context) error {
	var err error
	if i.web != nil {
		err = i.web.Close() // a scrape is repeated
		if served := <-i.served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("serving metrics on %s: %w", i.addr, served))
		}
	}
	if i.tracer != nil {
		if traceErr := i.tracer.Close(ctx); traceErr != nil {
			i.logger.Warn("exporting traces", zap.Error(traceErr))
		}
	}
	return err
}

// snapshot reads what a scrape shows. What cannot be read is left out: health says
// why.
func (s *server) snapshot(ctx context.Context) telemetry.Snapshot {
	p := s.parts
	now := telemetry.Snapshot{
		Now: time.Now(), Service: p.service.Gauges(), Mark: p.log.Marked(), Published: p.log.Published(), Pending: -1,
		Free: make(map[string]uint64), Bytes: make(map[string]uint64), Expiry: make(map[string]time.Time),
		Health: s.rpc.Health(), Check: p.service.CheckStatus(),
		Connections: s.rpc.Connections(),
	}
	if at, err := p.store.Moment(ctx, store.MomentFullCheck); err == nil {
		now.Checked = at
	}
	if n, err := p.store.CountPending(ctx); err == nil {
		now.Pending = n
	}
	for volume, dir := range map[string]string{"log": p.config.Log.Dir, "database": filepath.Dir(p.config.Store.Path)} {
		if free, err := freeSpace(dir); err == nil {
			now.Free[volume] = free
		}
	}
	for file, suffix := range map[string]string{"database": "", "wal": "-wal", "payloads": "-payloads"} {
		if info, err := os.Stat(p.store.Path() + suffix); err == nil {
			now.Bytes[file] = uint64(info.Size())
		}
	}
	if s.certs != nil {
		now.Expiry["server"], now.Expiry["client-ca"] = s.certs.Ends()
	}
	return now
}
