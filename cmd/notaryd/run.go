package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitOK      = 0
	exitRefused = 1 // a check failed or an operation was refused
	exitUsage   = 2 // wrong usage or unreadable input
)

// usageError marks an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the whole program. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "notaryd",
		Short:         "the Trial Notary's server",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetArgs(args)
	root.AddCommand(
		initCommand(stdout), serveCommand(stdout, stderr), demoCommand(stdout),
		checkCommand(stdout), rebuildCommand(stdout), markCommand(stdout), clockCommand(stdout), userCommand(stdout), caCommand(stdout), versionCommand(stdout),
	)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintln(stderr, "notaryd:", err)
	var usage usageError
	if errors.As(err, &usage) || isCobraUsage(err) {
		return exitUsage
	}
	return exitRefused
}

// isCobraUsage recognises the errors that cobra makes itself: it has no type
// for them.
func isCobraUsage(err error) bool {
	for _, p := range []string{"unknown command", "required flag", "accepts ", "requires at least", "unknown flag"} {
		if strings.HasPrefix(err.Error(), p) {
			return true
		}
	}
	return false
}

// must panics on errors that only a programming mistake can cause.
func must(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}
