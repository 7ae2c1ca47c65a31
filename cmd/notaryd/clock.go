package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/trialnotary/trialnotary/notary/store"
)

// sinceBoot returns the time since the machine started, its sleep included. Nobody
// sets this clock.
func sinceBoot() time.Duration {
	var now unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)) // fails for an unknown clock only
	return time.Duration(now.Nano())
}

// clockCommand lets an operator vouch for the machine's clock where nothing else
// tells that so much time has passed.
func clockCommand(stdout io.Writer) *cobra.Command {
	var config string
	cmd := &cobra.Command{Use: "clock", Short: "handle the clock that time marks are made of"}
	confirm := &cobra.Command{
		Use:   "confirm --config FILE YYYY-MM-DD",
		Short: "confirm that the machine's clock is right, before the next start",
		Long: "confirm records that the machine's clock is right, after it was refused at a\n" +
			"start for being far ahead of the newest time mark. Give today's date in UTC from\n" +
			"another source than this machine: it is compared with the machine's clock.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now().UTC()
			if err := compareDate(args[0], now); err != nil {
				return err
			}
			return withStore(config, func(_ *Config, s *store.Store) error {
				if err := s.SetMoment(cmd.Context(), store.MomentConfirmed, now); err != nil {
					return err
				}
				_, err := fmt.Fprintf(stdout, "confirmed that it is %s; start the server\n", now.Format(time.RFC3339))
				return err
			})
		},
	}
	cmd.PersistentFlags().StringVar(&config, "config", "notaryd.yaml", "the server's configuration")
	cmd.AddCommand(confirm)
	return cmd
}

// compareDate refuses a date that is not now's. Around midnight the neighbour is
// taken as well.
func compareDate(given string, now time.Time) error {
	date, err := time.Parse(time.DateOnly, given)
	if err != nil {
		return usageError{fmt.Errorf("invalid date: got %q, want today's in UTC, such as 2026-03-01", given)}
	}
	if date.Sub(now.Truncate(24*time.Hour)).Abs() > 24*time.Hour {
		return fmt.Errorf("the machine's clock says %s, not %s: set the clock right first", now.Format(time.DateOnly), given)
	}
	return nil
}
