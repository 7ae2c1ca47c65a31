//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/monitor"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

const (
	followName = "following the log's entries, entries/s of a monitor; of hashing the same files"
	// millionName is what a million entries take over one second, and heapName the
	// peak of the monitor's heap over one MiB.
	millionName = "seconds to follow 1,000,000 entries; one second"
	heapName    = "peak heap of a monitor that follows the large log, MiB; one MiB"
)

// measureMonitor lets a monitor of a new trial follow the large log from its first
// entry, and holds it against reading the same files of entries from disk and
// hashing each entry, in turns.
func (b *bench) measureMonitor(ctx context.Context) (err error) {
	dir, err := b.largeLog(ctx)
	if err != nil {
		return err
	}
	n, err := startNotaryd(b.notaryd, dir, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	id, err := newIdentity(time.Now())
	if err != nil {
		return err
	}
	if err := n.openTrial(ctx, id); err != nil {
		return err
	}
	if err := b.grown(dir, int64(1+len(id.Enrolments))); err != nil {
		return err
	}
	for range b.rounds {
		if err := b.followOnce(ctx, n, filepath.Join(dir, "log", "tile", "entries")); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) followOnce(ctx context.Context, n *notaryd, entriesDir string) error {
	dir, remove, err := b.fresh()
	if err != nil {
		return err
	}
	state, err := client.OpenState(filepath.Join(dir, "client"))
	if err != nil {
		return err
	}
	c, err := client.Dial(n.grpc, client.Options{
		TokenFile: filepath.Join(n.dir, "token"), Insecure: true, State: state, Tiles: "http://" + n.http,
	})
	if err != nil {
		return err
	}
	m, err := monitor.Open(monitor.Config{Client: c, Trust: n.trust, Dir: dir})
	if err != nil {
		return errors.Join(err, c.Close())
	}
	var report *monitor.Report
	stop := peakHeap()
	ours, err := timed(func() (err error) {
		report, err = m.Look(ctx)
		return err
	})
	peak := stop()
	if err := errors.Join(err, c.Close()); err != nil {
		return err
	}
	if report.Wrong() || report.New != report.LogSize {
		return fmt.Errorf("following the log: got %d of %d entries and the alarms %+v", report.New, report.LogSize, report.Alarms)
	}
	var hashed uint64
	bare, err := timed(func() (err error) {
		hashed, err = hashEntries(entriesDir)
		return err
	})
	if err != nil {
		return err
	}
	rate := func(entries uint64, d time.Duration) float64 { return float64(entries) / d.Seconds() }
	b.result.pair(followName, pair{rate(report.New, ours.clock), rate(hashed, bare.clock), rate(report.New, ours.cpu), rate(hashed, bare.cpu)})
	seconds := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(report.New) }
	b.result.pair(millionName, pair{seconds(ours.clock), 1, seconds(ours.cpu), 1})
	b.result.pair(heapName, pair{peak, 1, peak, 1})
	b.logf("monitor: %d entries in %.1f s (%.1f s of CPU), peak heap %.0f MiB; hashing alone %.1f s of CPU",
		report.New, ours.clock.Seconds(), ours.cpu.Seconds(), peak, bare.cpu.Seconds())
	return remove()
}

// peakHeap samples the heap in use until stop, which returns its peak in MiB above
// what was in use at the beginning.
func peakHeap() (stop func() float64) {
	inUse := func() uint64 {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapInuse
	}
	runtime.GC()
	before, done, out := inUse(), make(chan struct{}), make(chan uint64)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		peak := before
		for {
			select {
			case <-done:
				out <- max(peak, inUse())
				return
			case <-tick.C:
				peak = max(peak, inUse())
			}
		}
	}()
	return func() float64 {
		close(done)
		return float64(<-out-before) / (1 << 20)
	}
}

// hashEntries hashes each entry of the full files of a log, as whoever proves
// nothing would.
func hashEntries(dir string) (entries uint64, err error) {
	files := os.DirFS(dir)
	err = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasSuffix(path, ".p"):
			return fs.SkipDir // partial files are parts of the full ones
		case d.IsDir():
			return nil
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		for len(text) >= 2 {
			size := int(binary.BigEndian.Uint16(text))
			if len(text) < 2+size {
				return fmt.Errorf("invalid entries in %s", path)
			}
			_ = receipt.LeafHash(text[2 : 2+size])
			text = text[2+size:]
			entries++
		}
		return nil
	})
	return entries, err
}
