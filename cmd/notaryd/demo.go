package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func demoCommand(stdout io.Writer) *cobra.Command {
	var dir string
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "run the whole story on a fresh folder and keep serving",
		Long: "demo creates a notary on loopback, opens a trial with a sponsor and two sites,\n" +
			"notarizes datasets, a protocol and an amendment, verifies a receipt offline, and\n" +
			"shows what a changed byte, a revoked key and a rolled-back log lead to. Every step\n" +
			"is checked. It leaves data/, receipts/, trust/, log/ and keys/ to check by hand.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), dir, once, stdout)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "new or empty folder for everything (default: a new temporary folder)")
	cmd.Flags().BoolVar(&once, "once", false, "end when the story is told, with status 0 if every step held")
	return cmd
}

// demo tells the story.
func demo(ctx context.Context, dir string, once bool, stdout io.Writer) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "notary-demo-"); err != nil {
			return err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	s := &story{dir: dir, out: stdout}
	s.announce()
	defer func() { err = errors.Join(err, s.end(context.WithoutCancel(ctx))) }()
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"Create a notary and serve it", s.createNotary},
		{"The sponsor opens a trial", s.openTrial},
		{"The sponsor enrols people, and investigators vouch for their sites", s.enrolPeople},
		{"The sponsor notarizes the protocol", s.submitProtocol},
		{"Two sites notarize datasets", s.submitDatasets},
		{"The sponsor notarizes an amendment", s.submitAmendment},
		{"Verify a receipt offline", s.verifyOffline},
		{"Change one byte", s.changeByte},
		{"Revoke a key, then use it", s.useRevokedKey},
		{"Roll the log back", s.rollBack},
		{"Put the right log back", s.restore},
	}
	for i, step := range steps {
		s.sayf("\n[%d/%d] %s", i+1, len(steps), step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("demo step %d (%s): %w", i+1, step.title, err)
		}
	}
	s.sayf("\nEvery step held.")
	if once {
		return nil
	}
	s.tellCommands()
	server := s.server
	s.server = nil // run stops it
	return server.run(ctx)
}

// announce says what is about to happen, before it happens.
func (s *story) announce() {
	s.sayf("Trial Notary demo. Everything happens on this machine, in %s:", s.dir)
	s.sayf("a notary on loopback, a trial with a sponsor and two sites, datasets, a protocol and an")
	s.sayf("amendment; then one changed byte, one revoked key and one rolled-back log. The people, keys")
	s.sayf("and data are made up, and nothing leaves this machine.")
}

func (s *story) sayf(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// heldf reports one thing that was checked.
func (s *story) heldf(format string, args ...any) { s.sayf("  ok  "+format, args...) }

// createNotary is `notaryd init` and `notaryd serve`.
func (s *story) createNotary(ctx context.Context) error {
	// The log is thrown away: a random host label keeps its name from ever
	// meaning another one.
	label := make([]byte, 8)
	_, _ = rand.Read(label) // never fails: it ends the process instead
	origin := "demo-" + hex.EncodeToString(label) + ".example"
	err := initNotary(ctx, initOptions{dir: s.dir, origin: origin, grpc: "127.0.0.1:0", http: "127.0.0.1:0", now: time.Now()})
	if err != nil {
		return err
	}
	for _, sub := range []string{"data", "receipts", "trust", "keys/people", "tokens"} {
		if err := os.MkdirAll(s.path(sub), 0o750); err != nil {
			return err
		}
	}
	if s.config, err = LoadConfig(s.path("notaryd.yaml")); err != nil {
		return err
	}
	s.config.Limits.MinFreeBytes = 1 << 20 // a demo shall run on a small disk
	logFile, err := os.OpenFile(s.path("notaryd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	s.logFile = logFile
	s.logger, s.stopLogger = newLogger("info", logFile)
	if err := s.serve(ctx); err != nil {
		return err
	}
	s.heldf("log %s is empty and served over TLS: gRPC on %s, HTTP on %s", origin, s.server.grpcAddr, s.server.httpAddr)
	return nil
}

// serve starts the server. From the second time on it takes the same ports.
func (s *story) serve(ctx context.Context) error {
	server, err := start(ctx, s.config, s.logger, time.Now)
	if err != nil {
		return err
	}
	s.server = server
	s.config.Listen.GRPC, s.config.Listen.HTTP = server.grpcAddr, server.httpAddr
	return nil
}

// stop stops the server, so that its folder can be handled.
func (s *story) stop(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	return server.stop(ctx)
}

func (s *story) end(ctx context.Context) error {
	errs := []error{s.closeClients()}
	errs = append(errs, s.stop(ctx))
	if s.logFile != nil {
		s.stopLogger()
		errs = append(errs, s.logFile.Close())
	}
	return errors.Join(errs...)
}

func (s *story) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// tellCommands prints what can be tried by hand while the server runs.
func (s *story) tellCommands() {
	file, ca := s.path("data", s.exampleFile), s.path("tls/ca.crt")
	verify := fmt.Sprintf("go run ./cmd/notary verify --trust %s --receipt %s", s.path("trust"), s.path("receipts", s.exampleFile+".receipt.json"))
	submit := fmt.Sprintf("go run ./cmd/notary submit --server %s --ca %s --state %s --trial %s --kind dataset --receipts %s",
		s.server.grpcAddr, ca, s.path("state/by-hand"), s.charter, s.path("receipts-by-hand"))
	for _, c := range []struct{ what, command string }{
		{"verify a receipt offline: no network, no server", verify + " " + file},
		{"the same for the copy with one changed byte", verify + " " + s.path("data/changed", s.exampleFile)},
		{"notarize a dataset as the coordinator of site 701",
			fmt.Sprintf("%s --token %s --site 701 --key %s %s", submit, s.path("tokens/site-701"), s.path("keys/people/coordinator-701.key"), file)},
		{"the same with the key that was revoked, at site 704",
			fmt.Sprintf("%s --token %s --site 704 --key %s %s", submit, s.path("tokens/site-704"), s.path("keys/people/coordinator-704.key"), s.path("data/vs-704-late.json"))},
		{"read the trial's audit trail as an auditor, over HTTP",
			fmt.Sprintf("curl --cacert %s -H \"Authorization: Bearer $(cat %s)\" https://%s/v1/trials/%s/statements",
				ca, s.path("tokens/auditor"), s.server.httpAddr, s.charter)},
		{"the log's newest checkpoint: anyone may read it", fmt.Sprintf("curl --cacert %s https://%s/checkpoint", ca, s.server.httpAddr)},
		{"roll the log back again, once this has stopped (then: mv log-right back to log)",
			fmt.Sprintf("mv %s %s; cp -r %s %s; go run ./cmd/notaryd serve --config %s",
				s.config.Log.Dir, s.newLog, s.oldLog, s.config.Log.Dir, s.path("notaryd.yaml"))},
	} {
		s.sayf("\n  # %s\n  %s", c.what, c.command)
	}
	s.sayf("\n  # the API page (a browser warns about the demo's own certificate authority)\n  https://%s/docs", s.server.httpAddr)
	s.sayf("\nThe notary keeps serving: the commands run in the source folder, in another terminal. It stops with")
	s.sayf("Ctrl-C; %s stays.", s.dir)
}
