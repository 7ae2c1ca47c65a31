//go:build linux

// Command bench measures notaryd: it starts the real server on loopback, drives
// it over gRPC with a bounded load that was signed in advance, verifies every
// receipt, and does the same to Rekor v2 in the same run, interleaved. Nothing
// is asserted about time: it prints figures, ratios and what they should reach.
// docs/performance.md says what each line means.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// Servers are bound to the thread that starts them; see spawn.
	runtime.LockOSThread()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // this is main
	}
}
