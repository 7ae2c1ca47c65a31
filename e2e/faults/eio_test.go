package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// failures are the files that are written on a statement's way, each of which the
// disk fails to sync or to write.
var failures = map[string]struct {
	paths []string // in the notary's folder; none: every file
	calls string   // "" is every sync
	// many makes statements so large that the database's write-ahead log is moved
	// into its file.
	many bool
	// large makes the statements on whose way the fault comes such.
	large bool
	// late tells that the fault comes when everything about a statement is durable:
	// receipts may still be given.
	late bool
}{
	"to sync anything":                   {},
	"to sync the database":               {paths: []string{"notary.db", "notary.db-wal"}},
	"to write the database":              {paths: []string{"notary.db", "notary.db-wal"}, calls: writeCalls},
	"to sync the database's file":        {paths: []string{"notary.db"}, many: true, late: true},
	"to sync the large payloads":         {paths: []string{"notary.db-payloads"}, large: true},
	"to write the large payloads":        {paths: []string{"notary.db-payloads"}, calls: writeCalls, large: true},
	"to sync the log's state":            {paths: []string{"log/.state"}},
	"to sync the log's hashes":           {paths: []string{"log/tile/0", "log/tile/0/000.p"}},
	"to sync the log's entries":          {paths: []string{"log/tile/entries", "log/tile/entries/000.p"}},
	"to sync the log's checkpoint":       {paths: []string{"log"}, late: true},
	"to sync the second high-water mark": {paths: []string{"mark", "mark/notary.mark.new"}},
}

// TestAFailingSync lets the disk fail. Nothing is acknowledged that is not
// durable, writing stops for good, also when the disk seems well again, nothing is
// tried again, and a restart recovers.
func TestAFailingSync(t *testing.T) {
	for name, f := range failures {
		t.Run(name, func(t *testing.T) {
			n := newNotary(t, filepath.Join(t.TempDir(), "n"), "")
			n.useSecondMark(t)
			s := n.start(t)
			c := n.site()
			c.dial(t, s)
			c.mustSubmit(t, append(n.signMany(t, 3), n.signLarge(t, 1)...)...)

			if f.many {
				bulk := n.site()
				bulk.dial(t, s)
				bulk.growLog(t)
			}
			var paths []string
			for _, p := range f.paths {
				paths = append(paths, filepath.Join(n.dir, p))
			}
			if f.calls == "" {
				f.calls = syncCalls
			}
			i := inject(t, s, f.calls, "error=EIO", paths...)
			sent := n.signMany(t, 16)
			if f.large {
				sent = n.signLarge(t, 4)
			}
			errs := c.submitAll(sent)
			for round := 0; f.many && round < 16 && len(failed(sent, errs)) == 0; round++ {
				more := n.signMedium(t, 256)
				sent, errs = append(sent, more...), append(errs, c.submitAll(more)...)
			}
			if got := wantReasons(t, errs, "LOG_STOPPED", "TRY_AGAIN"); got > 0 && !f.late {
				t.Errorf("%d receipts were given while the disk failed", got)
			}
			eventually(t, "the service is not serving", func() bool { return !c.serving() })

			hit := i.hits(t)
			more := n.signMany(t, 3)
			wantStopped(t, c.submitAll(more))
			time.Sleep(500 * time.Millisecond) // several checkpoint intervals
			if again := i.hits(t) - hit; hit == 0 || again > 0 {
				t.Errorf("%d calls failed, and %d more after the service had stopped", hit, again)
			}
			t.Logf("%d calls failed", hit)

			i.detach() // the next call would succeed, and prove nothing
			wantStopped(t, c.submitAll(more))
			c.wantReadable(t)
			s.kill()
			c.audit(t, append(failed(sent, errs), more...))
		})
	}
}

// growLog submits until the database's write-ahead log is about to be moved into
// its file, at 16,000 pages of 4 KiB.
func (c *site) growLog(t *testing.T) {
	t.Helper()
	for {
		info, err := os.Stat(filepath.Join(c.n.dir, "notary.db-wal"))
		must(t, err)
		if info.Size() > 14_000*4<<10 {
			return
		}
		c.mustSubmit(t, c.n.signMedium(t, 256)...)
	}
}

func wantStopped(t *testing.T, errs []error) {
	t.Helper()
	if got := wantReasons(t, errs, "LOG_STOPPED"); got > 0 {
		t.Errorf("%d receipts were given by a stopped service", got)
	}
}
