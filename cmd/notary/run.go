// Command notary is the Trial Notary's client: it makes keys, notarizes files,
// and verifies receipts offline.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// Exit statuses, as docs/notary.md gives them.
const (
	exitOK       = 0
	exitNegative = 1
	exitUsage    = 2
)

// errNegative means that everything worked and the answer is no; what it is was
// printed already.
var errNegative = errors.New("negative")

// errUnreadable means that inputs could not be read; which ones and why was
// printed already.
var errUnreadable = errors.New("unreadable")

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time

	configPath string
	// flags are the connection flags as given; cfg is the configuration with
	// the flags laid over it.
	cfg    config
	flags  config
	output string
	// attempts bounds how often one statement is sent; 0 is the client's own.
	attempts int
	// actOut names the receipt of an act.
	actOut string
	// afterAct completes the result of an act that was logged, nil for most.
	afterAct func(ctx context.Context, c *connection, r *submitResult)
}

// run executes one command and returns the exit status. Results go to stdout,
// progress, warnings and errors to stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errNegative) {
		return exitNegative
	}
	if errors.Is(err, errUnreadable) {
		return exitUsage
	}
	a.printError(err)
	return exitStatus(err)
}

// exitStatus maps an error: a refusal, a receipt that does not hold, a log that
// lost entries and a missing answer are 1; everything else is wrong usage or an
// unreadable input.
func exitStatus(err error) int {
	if _, ok := errors.AsType[*client.Refused](err); ok {
		return exitNegative
	}
	for _, e := range []error{
		client.ErrReceipt, client.ErrRolledBack, client.ErrForked, client.ErrOtherAnchors,
		client.ErrUnanswered, client.ErrNotSignedIn, errBlinding,
	} {
		if errors.Is(err, e) {
			return exitNegative
		}
	}
	return exitUsage
}

func (a *app) printError(err error) {
	fmt.Fprintf(a.stderr, "notary: %v\n", err)
	if a.output == "json" {
		_ = a.printJSON(struct {
			Error errorResult `json:"error"`
		}{newErrorResult(err)})
	}
}

// errorResult is an error in JSON output.
type errorResult struct {
	Message string `json:"message"`
	// Reason is the notary's fixed reason, such as UNKNOWN_KEY.
	Reason string `json:"reason,omitzero"`
	// Blinding holds the places for which the blinding guard refused.
	Blinding []string `json:"blinding,omitzero"`
}

func newErrorResult(err error) errorResult {
	r := errorResult{Message: err.Error()}
	if refused, ok := errors.AsType[*client.Refused](err); ok {
		r.Reason = string(refused.Reason)
	} else if bad, ok := errors.AsType[*trial.Refusal](err); ok {
		r.Reason = string(bad.Reason) // the notary would give the same
	}
	if guarded, ok := errors.AsType[*blindingRefusal](err); ok {
		r.Blinding = guarded.found
	}
	return r
}

// printJSON prints one JSON document.
func (a *app) printJSON(v any) error {
	text, err := json.Marshal(v, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	_, err = a.stdout.Write(append(text, '\n'))
	return err
}

// print prints a result: as JSON, or by text.
func (a *app) print(v any, text func(w io.Writer)) error {
	if a.output == "json" {
		return a.printJSON(v)
	}
	text(a.stdout)
	return nil
}

// notef tells the user something that is no result.
func (a *app) notef(format string, args ...any) {
	fmt.Fprintf(a.stderr, "notary: "+format+"\n", args...)
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "notary",
		Short: "Notarize a trial's files and verify their receipts",
		Long: `notary hashes files on this machine, signs a statement about them, submits it to a
Trial Notary and keeps the receipt. A receipt shows that a file has not changed since it
was submitted, in what order things were submitted and who signed. It never shows that
data were true when they were entered. No file's content leaves this machine.

Settings that stay the same may stand in notary.yaml in the working folder.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.configure()
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	a.globalFlags(root)
	root.AddCommand(
		a.keygenCommand(), a.trialCommand(), a.enrolCommand(), a.endorseCommand(), a.revokeCommand(),
		a.recoverCommand(), a.registerCommand(), a.submitCommand(), a.watchCommand(), a.listCommand(), a.receiptCommand(),
		a.verifyCommand(), a.diffCommand(), a.trustCommand(), a.auditTrailCommand(), a.checkPackageCommand(),
		a.rulesCommand(), a.chronologyCommand(), a.findingsCommand(), a.locksCommand(), a.monitorCommand(),
		a.versionCommand(),
	)
	sayUsage(root)
	return root
}

// sayUsage makes the commands under one say what they take where they got too few or
// too many arguments: the library gives the number alone.
func sayUsage(parent *cobra.Command) {
	for _, cmd := range parent.Commands() {
		sayUsage(cmd)
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
				}
				return nil
			}
		}
	}
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.configPath, "config", "", "configuration `FILE` (default: notary.yaml in the working folder)")
	f.StringVar(&a.output, "output", "text", "`FORMAT` of results: text or json")
	f.StringVar(&a.flags.Server, "server", "", "the notary's `ADDR`, host:port")
	f.StringVar(&a.flags.Token, "token", "", "`FILE` with the bearer token")
	f.StringVar(&a.flags.CA, "ca", "", "PEM `FILE` with the authorities that vouch for the server")
	f.StringVar(&a.flags.Cert, "cert", "", "PEM `FILE` with a client certificate")
	f.StringVar(&a.flags.CertKey, "cert-key", "", "PEM `FILE` with the client certificate's key")
	f.StringVar(&a.flags.ServerName, "server-name", "", "`NAME` in the server's certificate, if not the host")
	f.BoolVar(&a.flags.Insecure, "insecure", false, "no TLS; loopback addresses only")
	f.StringVar(&a.flags.Tiles, "tiles", "", "`URL` of the log's public files, to check that the log continues")
	f.StringVar(&a.flags.State, "state", "", "`DIR` for unanswered statements and checkpoints (default: the user's state folder)")
	f.IntVar(&a.attempts, "attempts", 0, "how often a statement is sent before giving up (default 10)")
	f.StringVar(&a.flags.Trial, "trial", "", "the trial `T`: its charter's id or a registry number")
	f.StringVar(&a.flags.Trust, "trust", "", "the trial's trust folder `DIR`")
}

// configure reads the configuration and lays the flags over it.
func (a *app) configure() error {
	if a.output != "text" && a.output != "json" {
		return fmt.Errorf("invalid --output: got %q, want text or json", a.output)
	}
	cfg, err := readConfig(a.configPath)
	if err != nil {
		return err
	}
	for _, f := range []struct{ dst, flag *string }{
		{&cfg.Server, &a.flags.Server}, {&cfg.Token, &a.flags.Token}, {&cfg.CA, &a.flags.CA},
		{&cfg.Cert, &a.flags.Cert}, {&cfg.CertKey, &a.flags.CertKey}, {&cfg.ServerName, &a.flags.ServerName},
		{&cfg.Tiles, &a.flags.Tiles}, {&cfg.State, &a.flags.State}, {&cfg.Trial, &a.flags.Trial},
		{&cfg.Trust, &a.flags.Trust}, {&cfg.Site, &a.flags.Site}, {&cfg.Key, &a.flags.Key},
		{&cfg.Receipts, &a.flags.Receipts},
	} {
		if *f.flag != "" {
			*f.dst = *f.flag
		}
	}
	cfg.Insecure = cfg.Insecure || a.flags.Insecure
	a.cfg = cfg
	return nil
}

// isTerminal tells whether a progress bar makes sense.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
