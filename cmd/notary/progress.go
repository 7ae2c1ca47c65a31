package main

import (
	"runtime"
	"time"

	"github.com/schollz/progressbar/v3"

	client "github.com/trialnotary/trialnotary/clients/go"
)

// isPosix tells whether file modes mean anything.
const isPosix = runtime.GOOS != "windows"

// bar shows how many bytes of total were hashed, on a terminal only. It returns
// nil progress elsewhere; done must be called in any case.
func (a *app) bar(total int64, what string) (progress client.Progress, done func()) {
	if !isTerminal(a.stderr) {
		return nil, func() {}
	}
	b := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	return func(n int64) { _ = b.Add64(n) }, func() { _ = b.Finish() }
}

// counter is bar for things that are counted one by one.
func (a *app) counter(total int, what string) (progress, done func()) {
	if !isTerminal(a.stderr) || total < 2 {
		return func() {}, func() {}
	}
	b := progressbar.NewOptions(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	return func() { _ = b.Add(1) }, func() { _ = b.Finish() }
}
