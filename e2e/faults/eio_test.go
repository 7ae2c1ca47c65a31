package faults

import (
	"path/filepath"
	"testing"
	"time"
)

// TestAFailingSync lets the disk fail to sync, once for each file that is written
// on a statement's way. Nothing is acknowledged that is not durable, writing stops
// for good, also when the disk seems well again, no sync is tried again, and a
// restart recovers.
func TestAFailingSync(t *testing.T) {
	cases := map[string]struct {
		paths []string // in the notary's folder; none: every file
		// late tells that the fault comes when everything about a statement is
		// durable but the file that publishes it: receipts may still be given.
		late bool
	}{
		"of any file":                   {},
		"of the database":               {paths: []string{"notary.db", "notary.db-wal"}},
		"of the log's state":            {paths: []string{"log/.state"}},
		"of the log's hashes":           {paths: []string{"log/tile/0", "log/tile/0/000.p"}},
		"of the log's entries":          {paths: []string{"log/tile/entries", "log/tile/entries/000.p"}},
		"of the log's checkpoint":       {paths: []string{"log"}, late: true},
		"of the second high-water mark": {paths: []string{"mark", "mark/notary.mark.new"}},
	}
	for name, fault := range cases {
		t.Run(name, func(t *testing.T) {
			n := newNotary(t, filepath.Join(t.TempDir(), "n"), "")
			n.useSecondMark(t)
			s := n.start(t)
			c := n.site()
			c.dial(t, s)
			c.mustSubmit(t, n.signMany(t, 3)...)

			var paths []string
			for _, p := range fault.paths {
				paths = append(paths, filepath.Join(n.dir, p))
			}
			i := inject(t, s, "error=EIO", paths...)
			sent := n.signMany(t, 16)
			errs := c.submitAll(sent)
			if got := wantReasons(t, errs, "LOG_STOPPED", "TRY_AGAIN"); got > 0 && !fault.late {
				t.Errorf("%d receipts were given while the disk failed to sync", got)
			}
			eventually(t, "the service is not serving", func() bool { return !c.serving() })
			unanswered := failed(sent, errs)

			hit := i.syncs(t)
			more := n.signMany(t, 3)
			wantStopped(t, c.submitAll(more))
			time.Sleep(500 * time.Millisecond) // several checkpoint intervals
			if again := i.syncs(t) - hit; hit == 0 || again > 0 {
				t.Errorf("%d syncs failed, and %d more after the service had stopped", hit, again)
			}
			t.Logf("%d syncs failed", hit)

			i.detach() // the next sync would succeed, and prove nothing
			wantStopped(t, c.submitAll(more))
			c.wantReadable(t)
			s.kill()
			c.audit(t, append(unanswered, more...))
		})
	}
}

func wantStopped(t *testing.T, errs []error) {
	t.Helper()
	if got := wantReasons(t, errs, "LOG_STOPPED"); got > 0 {
		t.Errorf("%d receipts were given by a stopped service", got)
	}
}
