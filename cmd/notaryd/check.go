package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
)

func checkCommand(stdout io.Writer) *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "check --config FILE",
		Short: "read the whole log and every statement back while no server runs",
		Long: "check walks every entry, every tile and every statement of a notary that does\n" +
			"not run, recomputes the log's root and compares each statement with its entry.\n" +
			"It signs and recovers nothing, so a copy can be checked without harm.\n" +
			"It exits with 1 and names the first thing that is wrong. A server that runs\n" +
			"does the same on its own (times.fullCheck).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := LoadConfig(config)
			if err != nil {
				return usageError{err}
			}
			return check(cmd.Context(), c, stdout)
		},
	}
	cmd.Flags().StringVar(&config, "config", "notaryd.yaml", "the server's configuration")
	return cmd
}

// check signs nothing and recovers nothing: on a copy it must not become a
// second history.
func check(ctx context.Context, c *Config, stdout io.Writer) error {
	p := &parts{config: c}
	var report notary.CheckReport
	settings, err := p.openStorage(ctx, tesseralog.Config{ReadOnly: true})
	if err == nil {
		report, err = notary.Examine(ctx, settings)
	}
	if err := errors.Join(err, p.close(ctx)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "checked %d log entries and %d statements of %d trials (%d time marks): all agree with the high-water mark\n",
		report.Entries, report.Statements, report.Trials, report.Marks)
	if err == nil && report.Pending > 0 {
		_, err = fmt.Fprintf(stdout, "%d statements were stored and not answered; the next start logs them\n", report.Pending)
	}
	return err
}

// markCommand makes the second copy of the high-water mark for a notary that has
// run without one.
func markCommand(stdout io.Writer) *cobra.Command {
	var config string
	cmd := &cobra.Command{Use: "mark", Short: "handle the second copy of the high-water mark"}
	create := &cobra.Command{
		Use:   "create --config FILE",
		Short: "create store.markPath from the database, while no server runs",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withStore(config, func(c *Config, s *store.Store) (err error) {
				if c.Store.MarkPath == "" {
					return usageError{errors.New("config has no store.markPath")}
				}
				lock, err := store.Lock(c.Store.Path) // a server would move the mark meanwhile
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, lock.Close()) }()
				mark, _, err := s.LoadMark(cmd.Context())
				if err != nil {
					return err
				}
				if err := store.CreateFileMark(c.Store.MarkPath, mark); err != nil {
					return err
				}
				_, err = fmt.Fprintf(stdout, "wrote the high-water mark, %d entries, to %s\n", mark.Size, c.Store.MarkPath)
				return err
			})
		},
	}
	cmd.PersistentFlags().StringVar(&config, "config", "notaryd.yaml", "the server's configuration")
	cmd.AddCommand(create)
	return cmd
}
