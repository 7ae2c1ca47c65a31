package monitor

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
)

// TestLookAtATrial follows a trial that is as it should be, and keeps a copy that
// verifies offline.
func TestLookAtATrial(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	dir := t.TempDir()
	m := w.monitor(dir, "sponsor")
	r := look1(t, m)
	wantAlarms(t, r)
	if r.Statements != 2 || r.Scanned != r.LogSize || r.New != r.Scanned {
		t.Errorf("got %+v, want 2 statements and all entries", r)
	}
	for range 3 {
		w.clock.Add(time.Minute)
		w.dataset(mia, "701")
	}
	r = look1(t, m)
	wantAlarms(t, r)
	if r.Statements != 5 || r.Scanned != r.LogSize || r.New == 0 {
		t.Errorf("got %+v, want 5 statements", r)
	}
	// R01: datasets before the protocol.
	if r.Findings == nil || r.Findings.Major != 3 {
		t.Errorf("got findings %+v, want 3 major ones", r.Findings)
	}

	// Another process finds what this one left.
	again := w.monitor(dir, "sponsor")
	r = look1(t, again)
	wantAlarms(t, r)
	if r.New != 0 || r.Statements != 5 || r.Findings == nil || r.Findings.Major != 3 {
		t.Errorf("got %+v, want nothing new", r)
	}

	w.stop()
	trust, err := client.ReadTrust(filepath.Join(dir, copyDir, trustDir))
	must(t, err)
	paths, err := filepath.Glob(filepath.Join(dir, copyDir, receiptsDir, "*"+client.ReceiptSuffix))
	must(t, err)
	if len(paths) != 5 {
		t.Errorf("got %d receipts in the copy, want 5", len(paths))
	}
	for _, path := range paths {
		parsed, ev, err := client.ReadReceipt(path)
		must(t, err)
		if v := receipt.Verify(parsed, ev, trust, nil); !v.Verified {
			t.Errorf("%s: %s", path, v.Summary)
		}
	}
	if _, err := m.Look(context.Background()); err == nil {
		t.Error("got no error from a notary that is away")
	}
	if _, err := os.Stat(filepath.Join(dir, stateFile)); err != nil {
		t.Error(err)
	}
}
