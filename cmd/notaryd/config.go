package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Config is the server's whole configuration: one strict YAML file. Unknown and
// duplicate fields are refused. Relative paths start at the file's folder. A
// field that is left out has the default named beside it.
type Config struct {
	// Origin is the log's name: a bare host name, for one log, one epoch and one
	// environment, never used again. Required.
	Origin string `yaml:"origin"`

	Log    LogConfig    `yaml:"log"`
	Store  StoreConfig  `yaml:"store"`
	Keys   KeysConfig   `yaml:"keys"`
	Listen ListenConfig `yaml:"listen"`
	TLS    TLSConfig    `yaml:"tls"`
	Limits LimitsConfig `yaml:"limits"`
	Times  TimesConfig  `yaml:"times"`
	Rules  RulesConfig  `yaml:"rules"`
	// Tracing sends traces to an OpenTelemetry collector.
	Tracing TracingConfig `yaml:"tracing"`

	// Policy is the C2SP tlog-policy file that trust folders get. Default:
	// "policy".
	Policy string `yaml:"policy"`
	// TilesClosed serves the log's tiles and checkpoint only to authenticated
	// callers. Default: false, anyone may read them.
	TilesClosed bool `yaml:"tilesClosed"`
	// LogLevel is debug, info, warn or error. Default: "info".
	LogLevel string `yaml:"logLevel"`
}

// RulesConfig names packs of rules beside the default one.
type RulesConfig struct {
	// Packs are files, and folders of which each .yaml file is one, that charters
	// may name by their digest. They are read at the start. Take none away that a
	// trial names: the notary would show no findings for it. Default: none.
	Packs []string `yaml:"packs"`
}

// LogConfig places the transparency log.
type LogConfig struct {
	// Dir is the log's folder. Default: "log".
	Dir string `yaml:"dir"`
}

// StoreConfig places the statements.
type StoreConfig struct {
	// Path is the SQLite database. Default: "notary.db".
	Path string `yaml:"path"`
	// MarkPath keeps the high-water mark a second time, in a file that belongs
	// on another volume. Default: "", none.
	MarkPath string `yaml:"markPath"`
}

// KeysConfig names the notary's private keys, in PEM (PKCS#8).
type KeysConfig struct {
	// Log is the Ed25519 key that signs checkpoints. Default: "keys/log.key".
	Log string `yaml:"log"`
	// Statement is the P-256 key that signs time marks and as-of lists. Default:
	// "keys/notary.key".
	Statement string `yaml:"statement"`
	// Page is the file of 32 secret bytes, in base64, that page tokens are made
	// with. Where it does not exist, page tokens end with the process. Default:
	// "keys/page.key".
	Page string `yaml:"page"`
}

// ListenConfig names the addresses. A port of 0 takes a free one.
type ListenConfig struct {
	// GRPC serves gRPC over TLS. Default: "127.0.0.1:7443".
	GRPC string `yaml:"grpc"`
	// HTTP serves the gateway, the log's tiles and the API page over TLS.
	// Default: "127.0.0.1:7444".
	HTTP string `yaml:"http"`
	// Health serves gRPC health checks without TLS, for probes. Default: "",
	// none.
	Health string `yaml:"health"`
	// Metrics serves Prometheus metrics at /metrics, without TLS and to anyone who
	// reaches it: they hold nothing of any trial. Default: "", none.
	Metrics string `yaml:"metrics"`
}

// TracingConfig says what is traced, and where traces go.
type TracingConfig struct {
	// Endpoint is a collector's OTLP/gRPC address, http://HOST:PORT, or
	// https://HOST:PORT with TLS. Default: "", nothing is traced.
	Endpoint string `yaml:"endpoint"`
	// CA verifies the collector, in PEM. Default: "", the system's authorities.
	CA string `yaml:"ca"`
	// SampleRatio is the share of calls that are traced, above 0 and at most 1. The
	// notary alone draws them, whatever callers ask for. Default: 0, with an
	// endpoint it is required.
	SampleRatio float64 `yaml:"sampleRatio"`
}

// TLSConfig names certificates, in PEM. They are read again when they change.
type TLSConfig struct {
	// Cert is the server's certificate chain. Default: "tls/server.crt".
	Cert string `yaml:"cert"`
	// Key is its private key. Default: "tls/server.key".
	Key string `yaml:"key"`
	// ClientCA verifies client certificates. Default: "tls/ca.crt".
	ClientCA string `yaml:"clientCA"`
	// Insecure serves without TLS; only loopback addresses are taken then.
	// Default: false.
	Insecure bool `yaml:"insecure"`
}

// LimitsConfig bounds what callers may use.
type LimitsConfig struct {
	// InFlight is the number of submissions that may wait for the log at once, one
	// of more than 2 KiB counted once for every 2 KiB; above it callers are told
	// to come back. Default: 16384.
	InFlight int `yaml:"inFlight"`

	// A negative value of a limit below is no limit. An address is an IPv4
	// address or an IPv6 /64.

	// Connections and AddressConnections bound the open connections of the gRPC
	// and HTTP listeners, in total and from one address. When all are taken, the
	// address with the most gives way to one with less. Default: 2048 and 1024.
	Connections        int `yaml:"connections"`
	AddressConnections int `yaml:"addressConnections"`
	// UserRate bounds the calls of one user in a second, each statement of a
	// stream counted. Default: 30000.
	UserRate int `yaml:"userRate"`
	// UserBytes bounds the bytes of statements that one user sends in a second.
	// Default: 268435456, which is 256 MiB.
	UserBytes int `yaml:"userBytes"`
	// UserInFlight bounds the statements of one user that wait for the log at
	// once; it belongs below inFlight. Default: three quarters of inFlight.
	UserInFlight int `yaml:"userInFlight"`
	// UserAuthority bounds those of them that are charters or key statements,
	// which wait for each other. Default: 256.
	UserAuthority int `yaml:"userAuthority"`
	// UserReads bounds the other calls of one user at once, UserStreams its open
	// streams. Default: 256 and 1024.
	UserReads   int `yaml:"userReads"`
	UserStreams int `yaml:"userStreams"`
	// AddressRate bounds the calls without a user from one address in a second,
	// such as reads of tiles; twice as many may come at once. Default: 1000.
	AddressRate int `yaml:"addressRate"`
	// AddressInFlight bounds them at once, and eight times as many from
	// everywhere. Default: 32.
	AddressInFlight int `yaml:"addressInFlight"`
	// FailureRate bounds the wrong credentials from one address in a second; ten
	// times as many may come at once. Default: 10.
	FailureRate int `yaml:"failureRate"`

	// MinFreeBytes is a reserve of free space on the volumes of log and database.
	// Where it would be touched, no new statement is taken, those in flight end
	// within it, and health says that the notary is not serving. Default:
	// 268435456 (256 MiB).
	MinFreeBytes int64 `yaml:"minFreeBytes"`
	// ViewBytes bounds the memory of the folded trials that are held for GetTrial,
	// ListFindings, GetChronology and WatchTrial, a few kilobytes a statement: what
	// was unused for longest is dropped, and folded again when it is asked for. One
	// that is in use stays, however large. Default: 268435456 (256 MiB).
	ViewBytes int64 `yaml:"viewBytes"`
	// CheckShare is how much of one core the full check of a running server may
	// take, in percent. Default: 20; 100 is no bound.
	CheckShare int `yaml:"checkShare"`
}

// TimesConfig holds the intervals, such as "100ms" or "1m".
type TimesConfig struct {
	// Checkpoint is the interval between checkpoints, at least 100ms. Default:
	// "100ms".
	Checkpoint time.Duration `yaml:"checkpoint"`
	// Mark is the age of the last time mark at which a new one is logged.
	// Default: "1m".
	Mark time.Duration `yaml:"mark"`
	// ClockJump is how far the machine's clock may run ahead of the time that
	// passed since the start before no statement is taken. Default: "1h"; a
	// negative value is no bound.
	ClockJump time.Duration `yaml:"clockJump"`
	// ClockGap is how far the clock may be ahead of the newest time mark at a
	// start. Beyond it `notaryd clock confirm` is needed. Default: "720h", 30
	// days; a negative value is no bound.
	ClockGap time.Duration `yaml:"clockGap"`
	// Shutdown is how long calls in flight may take once the server stops.
	// Default: "30s".
	Shutdown time.Duration `yaml:"shutdown"`
	// Users is how long it is remembered who a token or client certificate
	// belongs to. A user that another process removes goes on for at most this
	// long, or 10s where it holds a stream open. Default: "2s"; a negative value
	// asks the database at every call.
	Users time.Duration `yaml:"users"`
	// FullCheck is the interval between full checks of log and store while the
	// server runs, counted from the end of the last one, also across restarts.
	// Default: "24h"; a negative value turns them off.
	FullCheck time.Duration `yaml:"fullCheck"`
}

// LoadConfig reads a configuration file, fills in the defaults and checks it.
func LoadConfig(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading config: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("config %s: %w", path, err)
	}
	c.resolve(filepath.Dir(path))
	return c, nil
}

// maxConfig bounds the file: a configuration is a page, not a data set.
const maxConfig = 64 << 10

func parseConfig(data []byte) (*Config, error) {
	if len(data) > maxConfig {
		return nil, fmt.Errorf("file has %d bytes, at most %d are read", len(data), maxConfig)
	}
	var c Config
	if err := yaml.Load(data, &c, yaml.WithKnownFields(), yaml.WithUniqueKeys()); err != nil {
		return nil, err
	}
	c.setDefaults()
	return &c, c.validate()
}

func (c *Config) setDefaults() {
	for _, d := range []struct {
		field *string
		value string
	}{
		{&c.Log.Dir, "log"}, {&c.Store.Path, "notary.db"},
		{&c.Keys.Log, "keys/log.key"}, {&c.Keys.Statement, "keys/notary.key"}, {&c.Keys.Page, "keys/page.key"},
		{&c.Listen.GRPC, "127.0.0.1:7443"}, {&c.Listen.HTTP, "127.0.0.1:7444"},
		{&c.TLS.Cert, "tls/server.crt"}, {&c.TLS.Key, "tls/server.key"}, {&c.TLS.ClientCA, "tls/ca.crt"},
		{&c.Policy, "policy"}, {&c.LogLevel, "info"},
	} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.Times.Checkpoint, 100 * time.Millisecond}, {&c.Times.Mark, time.Minute},
		{&c.Times.ClockJump, time.Hour}, {&c.Times.ClockGap, 30 * 24 * time.Hour},
		{&c.Times.Shutdown, 30 * time.Second}, {&c.Times.Users, 2 * time.Second}, {&c.Times.FullCheck, 24 * time.Hour},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Limits.CheckShare == 0 {
		c.Limits.CheckShare = 20
	}
	c.Limits.setDefaults()
	if c.Limits.MinFreeBytes == 0 {
		c.Limits.MinFreeBytes = 256 << 20
	}
	if c.Limits.ViewBytes == 0 {
		c.Limits.ViewBytes = 256 << 20
	}
}

func (l *LimitsConfig) setDefaults() {
	if l.InFlight == 0 {
		l.InFlight = 16384
	}
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.Connections, 2048}, {&l.AddressConnections, 1024},
		{&l.UserRate, 30_000}, {&l.UserBytes, 256 << 20}, {&l.UserInFlight, max(1, l.InFlight/4*3)}, {&l.UserAuthority, 256},
		{&l.UserReads, 256}, {&l.UserStreams, 1024},
		{&l.AddressRate, 1000}, {&l.AddressInFlight, 32}, {&l.FailureRate, 10},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
}

func (c *Config) validate() error {
	if err := checkOrigin(c.Origin); err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	for name, addr := range map[string]string{"listen.grpc": c.Listen.GRPC, "listen.http": c.Listen.HTTP, "listen.health": c.Listen.Health, "listen.metrics": c.Listen.Metrics} {
		if addr == "" {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if c.TLS.Insecure && (name == "listen.grpc" || name == "listen.http") && !isLoopback(host) {
			return fmt.Errorf("%s: %s is not a loopback address, and tls.insecure serves loopback only", name, addr)
		}
	}
	if slices.Contains(c.Rules.Packs, "") {
		return errors.New("rules.packs: got an empty path")
	}
	switch c.LogLevel {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("logLevel: got %q, want debug, info, warn or error", c.LogLevel)
	}
	if err := c.Tracing.validate(); err != nil {
		return err
	}
	return c.validateLimits()
}

func (t *TracingConfig) validate() error {
	if t.Endpoint == "" {
		if t.SampleRatio != 0 || t.CA != "" {
			return errors.New("tracing: no endpoint is given")
		}
		return nil
	}
	u, err := url.Parse(t.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" || u.Host != strings.TrimPrefix(t.Endpoint, u.Scheme+"://") {
		return fmt.Errorf("tracing.endpoint: got %q, want http://HOST:PORT or https://HOST:PORT", t.Endpoint)
	}
	if !(t.SampleRatio > 0 && t.SampleRatio <= 1) { // NaN is neither
		return fmt.Errorf("tracing.sampleRatio: got %v, want above 0 and at most 1", t.SampleRatio)
	}
	if t.CA != "" && u.Scheme == "http" {
		return errors.New("tracing.ca: an http endpoint has no certificate")
	}
	return nil
}

func (c *Config) validateLimits() error {
	if c.Times.Checkpoint < 100*time.Millisecond {
		return fmt.Errorf("times.checkpoint: got %v, want at least 100ms", c.Times.Checkpoint)
	}
	if c.Times.Mark < time.Second {
		return fmt.Errorf("times.mark: got %v, want at least 1s", c.Times.Mark)
	}
	if c.Times.Users > 10*time.Second {
		return fmt.Errorf("times.users: got %v, want at most 10s", c.Times.Users)
	}
	if c.Times.Shutdown < 0 {
		return fmt.Errorf("times.shutdown: got %v, want a positive time", c.Times.Shutdown)
	}
	if c.Limits.InFlight < 1 {
		return fmt.Errorf("limits.inFlight: got %d, want at least 1", c.Limits.InFlight)
	}
	if c.Limits.CheckShare < 1 || c.Limits.CheckShare > 100 {
		return fmt.Errorf("limits.checkShare: got %d, want 1 to 100 percent", c.Limits.CheckShare)
	}
	if c.Limits.MinFreeBytes < 0 {
		return fmt.Errorf("limits.minFreeBytes: got %d, want at least 1", c.Limits.MinFreeBytes)
	}
	if c.Limits.ViewBytes < 0 {
		return fmt.Errorf("limits.viewBytes: got %d, want at least 1", c.Limits.ViewBytes)
	}
	return nil
}

// resolve makes the paths absolute or relative to the working folder.
func (c *Config) resolve(base string) {
	for _, p := range []*string{
		&c.Log.Dir, &c.Store.Path, &c.Store.MarkPath, &c.Keys.Log, &c.Keys.Statement, &c.Keys.Page,
		&c.TLS.Cert, &c.TLS.Key, &c.TLS.ClientCA, &c.Policy, &c.Tracing.CA,
	} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(base, *p)
		}
	}
	for i, p := range c.Rules.Packs {
		if !filepath.IsAbs(p) {
			c.Rules.Packs[i] = filepath.Join(base, p)
		}
	}
}

// checkOrigin takes a bare host name. Stock Sigstore tools look for the log
// under the host of its base URL, so a path or port would never verify there.
func checkOrigin(origin string) error {
	if origin == "" {
		return errors.New("missing: give the log a host name of its own, such as notary-2026.example.org")
	}
	if len(origin) > 253 {
		return fmt.Errorf("got %d characters, want at most 253", len(origin))
	}
	for label := range strings.SplitSeq(origin, ".") {
		if !validLabel(label) {
			return fmt.Errorf("got %q, want a lowercase host name without scheme, port or path", origin)
		}
	}
	return nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, r := range label {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return false
		}
	}
	return true
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
