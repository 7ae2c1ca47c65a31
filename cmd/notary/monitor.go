package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/monitor"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/notary/telemetry"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/rules"
)

type monitorOptions struct {
	dir                   string
	interval              time.Duration
	maxAge, expectGrowth  time.Duration
	packs                 []string
	metrics               string
	webhook, webhookToken string
	webhookDetail         bool
	webhookHTTP           bool
	acknowledge, note     string
}

func (a *app) monitorCommand() *cobra.Command {
	var o monitorOptions
	cmd := &cobra.Command{
		Use:   "monitor --dir DIR --tiles URL [flags]",
		Short: "Watch the notary: its log, the trial's statements and findings",
		Long: `monitor looks once, or with --interval again and again, and trusts nothing but the trust folder
and what it saw before. It proves that the log continues the last checkpoint that it trusted,
scans the new entries for the trial's enrolled keys, fetches and checks the statements behind
them, computes the trial's findings and compares them with the notary's. DIR keeps what was
seen, and in DIR/copy the receipts and the trust folder, which verify offline.

What is wrong is an alarm. An alarm is new once, and stays until it is resolved or somebody
acknowledges it: --acknowledge ID --note TEXT. With --site S it is the monitor of a site: it
tells of each key that is enrolled in the site's name.

Several may run in one DIR; one looks at a time. A look that is cut off is taken up there.

Exit status: 0 everything was looked at and nothing is wrong, or with --interval stopped; 1
there is an open alarm; 2 it could not look at everything, also where somebody acknowledged
what keeps it from that, or wrong usage.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.monitor(cmd.Context(), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "the monitor's folder `DIR`; made where there is none")
	f.StringVar(&a.flags.Site, "site", "", "be the monitor of site `S`; - for the whole trial (default)")
	f.DurationVar(&o.interval, "interval", 0, "look again and again, this long after the beginning of the last look")
	f.DurationVar(&o.maxAge, "max-age", 24*time.Hour, "alarm when the newest checkpoint was out of reach for longer; 0 is never")
	f.DurationVar(&o.expectGrowth, "expect-growth", 0, "alarm when the log has not grown for longer; 0 is never")
	f.StringArrayVar(&o.packs, "pack", nil, "a rule pack's `FILE` that the charter may name; repeat it for several")
	f.StringVar(&o.metrics, "metrics", "", "serve metrics for Prometheus at `ADDR`, host:port; with --interval")
	f.StringVar(&o.webhook, "webhook", "", "POST new alarms as JSON to `URL`, https")
	f.StringVar(&o.webhookToken, "webhook-token", "", "`FILE` with the bearer token of the webhook")
	f.BoolVar(&o.webhookDetail, "webhook-detail", false, "send the alarm's words too, which may name people")
	f.BoolVar(&o.webhookHTTP, "webhook-http", false, "allow a webhook without TLS")
	f.StringVar(&o.acknowledge, "acknowledge", "", "end the open alarm `ID`")
	f.StringVar(&o.note, "note", "", "why it is acknowledged, `TEXT`")
	return cmd
}

// minInterval is the shortest time between two looks: each asks the notary for
// its checkpoint, its lists and its findings.
const minInterval = time.Second

// check refuses what can only be a mistake.
func (o *monitorOptions) check(a *app) error {
	switch {
	case o.dir == "":
		return errors.New("missing --dir: want the monitor's folder")
	case o.acknowledge != "" && strings.TrimSpace(o.note) == "":
		return errors.New("missing --note: want why the alarm is acknowledged")
	case o.acknowledge == "" && o.note != "":
		return errors.New("invalid --note: it goes with --acknowledge")
	case o.acknowledge == "" && a.cfg.Tiles == "":
		return errors.New("missing --tiles: want the address of the log's public files")
	case o.interval < 0 || o.maxAge < 0 || o.expectGrowth < 0:
		return errors.New("invalid --interval, --max-age or --expect-growth: want a time that is not negative")
	case o.interval > 0 && o.interval < minInterval:
		return fmt.Errorf("invalid --interval: got %s, want at least %s", o.interval, minInterval)
	case o.metrics != "" && o.interval == 0:
		return errors.New("invalid --metrics: it goes with --interval")
	case o.webhook == "" && (o.webhookToken != "" || o.webhookDetail || o.webhookHTTP):
		return errors.New("missing --webhook: want the address that is told")
	}
	return nil
}

func (a *app) monitor(ctx context.Context, o *monitorOptions) (err error) {
	if err := o.check(a); err != nil {
		return err
	}
	own := filepath.Join(o.dir, "copy", "trust")
	if _, statErr := os.Stat(own); statErr == nil && a.cfg.Trust == "" {
		a.cfg.Trust = own // it was compared when the folder was made
	}
	if a.cfg.State == "" {
		a.cfg.State = filepath.Join(o.dir, "client")
	}
	if o.acknowledge != "" && a.cfg.Server == "" {
		a.cfg.Server = "localhost:1" // nobody is asked
	}
	c, err := a.dialTrial(ctx)
	if err != nil {
		return a.couldNotLook(err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := checkSite(c.trust, siteOf(a.cfg.Site)); err != nil {
		return err
	}
	cfg, err := o.config(a, c)
	if err != nil {
		return err
	}
	m, err := monitor.Open(cfg)
	if err != nil {
		return a.couldNotLook(err)
	}
	switch {
	case o.acknowledge != "":
		return m.Acknowledge(ctx, o.acknowledge, o.note)
	case o.interval == 0:
		return a.lookOnce(ctx, m)
	}
	return a.lookAgain(ctx, m, o, cfg.Observer)
}

// config makes the monitor's configuration.
func (o *monitorOptions) config(a *app, c *connection) (monitor.Config, error) {
	cfg := monitor.Config{
		Client: c.Client, Trust: c.trust, Dir: o.dir, Site: siteOf(a.cfg.Site), MaxAge: o.maxAge, ExpectGrowth: o.expectGrowth,
	}
	if o.maxAge == 0 {
		cfg.MaxAge = -1
	}
	var packs []*rules.Pack
	for _, path := range o.packs {
		text, err := os.ReadFile(path)
		if err != nil {
			return cfg, fmt.Errorf("reading the rule pack: %w", err)
		}
		pack, err := rules.Parse(text)
		if err != nil {
			return cfg, fmt.Errorf("%s: %w", path, err)
		}
		packs = append(packs, pack)
	}
	cfg.Packs = rules.NewPacks(packs...)
	if o.webhook != "" {
		cfg.Webhook = &monitor.Webhook{URL: o.webhook, Detail: o.webhookDetail, AnyHTTP: o.webhookHTTP}
		if o.webhookToken != "" {
			token, err := os.ReadFile(o.webhookToken)
			if err != nil {
				return cfg, fmt.Errorf("reading the webhook's token: %w", err)
			}
			cfg.Webhook.Token = strings.TrimSpace(string(token))
		}
	}
	if o.metrics != "" {
		cfg.Observer = telemetry.NewMonitorMetrics(buildVersion().Version)
	}
	return cfg, nil
}

// siteOf is the site that was named, empty for the whole trial.
func siteOf(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// checkSite refuses the monitor of a site that the charter does not have: it would
// look for keys of nobody and never find anything wrong.
func checkSite(t *receipt.Trust, site string) error {
	if site == "" {
		return nil
	}
	book, err := client.ReadAuthority(t)
	if err != nil || book.Charter == nil {
		return err
	}
	if b, ok := book.Charter.Predicate.Body.(*trial.CharterBody); ok &&
		!slices.ContainsFunc(b.Sites, func(s trial.Site) bool { return s.ID == site }) {
		return fmt.Errorf("invalid --site: the charter has no site %q", site)
	}
	return nil
}

// couldNotLook prints an error that ends with the status of one who could not look,
// whatever it is elsewhere: a missing answer is no alarm. Whose log it is, is.
func (a *app) couldNotLook(err error) error {
	if errors.Is(err, client.ErrOtherAnchors) {
		return err
	}
	a.printError(err)
	return errUnreadable
}

func (a *app) lookOnce(ctx context.Context, m *monitor.Monitor) error {
	r, err := m.Look(ctx)
	if r == nil {
		return a.couldNotLook(err)
	}
	if printErr := a.print(r, func(w io.Writer) { printLook(w, r, r.Whole()) }); printErr != nil {
		return printErr
	}
	if err != nil {
		a.notef("could not look: %v", err)
	}
	switch {
	case r.Wrong():
		return errNegative
	case err != nil || !r.Whole():
		return errUnreadable
	}
	return nil
}

func printLook(w io.Writer, r *monitor.Report, looked bool) {
	fmt.Fprintf(w, "trial     %s\n", r.Trial)
	if r.Site != "" {
		fmt.Fprintf(w, "view      site %s\n", r.Site)
	}
	fmt.Fprintf(w, "log       %s, %d entries, %d scanned, %d of them new\n", r.Log, r.LogSize, r.Scanned, r.New)
	fmt.Fprintf(w, "copy      %d statements checked\n", r.Statements)
	if f := r.Findings; f != nil {
		fmt.Fprintf(w, "findings  %d open (%d critical, %d major, %d minor) of %d\n", f.Open, f.Critical, f.Major, f.Minor, f.All)
	}
	if c := r.Compared; c != nil {
		verdict := "the same as the notary's"
		if !c.Agrees {
			verdict = printable(c.Detail)
		}
		if c.Withheld > 0 {
			verdict += fmt.Sprintf(" (%d statements are withheld from this view)", c.Withheld)
		}
		fmt.Fprintf(w, "compared  %s\n", verdict)
	}
	if r.Waits != "" {
		fmt.Fprintf(w, "waits     %s\n", printable(r.Waits))
	}
	if r.Queued > 0 {
		fmt.Fprintf(w, "webhook   was not told of %s yet\n", count(r.Queued, "alarm", "alarms"))
	}
	if len(r.Alarms) == 0 {
		none := "no alarm"
		if !looked {
			none = "no alarm from earlier looks; this one did not end"
		}
		fmt.Fprintln(w, none)
		return
	}
	fresh := map[string]bool{}
	for i := range r.Fresh {
		fresh[r.Fresh[i].ID] = true
	}
	for i := range r.Alarms {
		printAlarm(w, &r.Alarms[i], fresh[r.Alarms[i].ID])
	}
}

func printAlarm(w io.Writer, al *monitor.Alarm, fresh bool) {
	what := "ALARM"
	if fresh {
		what = "NEW ALARM"
	}
	fmt.Fprintf(w, "%s %s %s, since %s\n    %s\n", what, al.ID, al.Kind, al.Since.Format(time.RFC3339), printable(al.Detail))
}

// lookAgain looks until the context ends. A line is printed for each new alarm and
// when it could not look or can again; with JSON, a line for each look.
func (a *app) lookAgain(ctx context.Context, m *monitor.Monitor, o *monitorOptions, observer monitor.Observer) error {
	if metrics, ok := observer.(*telemetry.MonitorMetrics); ok {
		stop, err := a.serveMetrics(ctx, o.metrics, metrics.Handler())
		if err != nil {
			return err
		}
		defer stop()
	}
	trouble := ""
	m.Run(ctx, o.interval, func(r *monitor.Report, err error) {
		if r != nil && a.output == "json" {
			a.printLine(r)
		} else if r != nil {
			for i := range r.Fresh {
				printAlarm(a.stdout, &r.Fresh[i], true)
			}
		}
		switch now := errorText(err); {
		case now == trouble:
		case now != "":
			a.notef("could not look: %s", now)
			trouble = now
		default:
			a.notef("looks again")
			trouble = ""
		}
	})
	a.notef("stopped")
	return nil
}

// printLine prints a report in one line.
func (a *app) printLine(r *monitor.Report) {
	text, err := json.Marshal(r)
	if err != nil {
		a.notef("printing the result: %v", err)
		return
	}
	_, _ = a.stdout.Write(append(text, '\n')) // a terminal that went away cannot be told about it
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// serveMetrics answers Prometheus until stop is called.
func (a *app) serveMetrics(ctx context.Context, addr string, h http.Handler) (stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("invalid --metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.notef("metrics are not served any more: %v", err)
		}
	}()
	a.notef("metrics at http://%s/metrics", l.Addr())
	return func() {
		_ = srv.Close() // its connections are gone either way
		<-done
	}, nil
}
