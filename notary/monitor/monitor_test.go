package monitor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
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

// TestDamagedCopy harms receipts of the copy. A look says which, and the next one
// fetches them again.
func TestDamagedCopy(t *testing.T) {
	w := newWorld(t)
	mia := w.open()
	w.dataset(mia, "701")
	dir := t.TempDir()
	wantAlarms(t, look1(t, w.monitor(dir, "sponsor")))
	paths, err := filepath.Glob(filepath.Join(dir, copyDir, receiptsDir, "*"+client.ReceiptSuffix))
	must(t, err)
	if len(paths) != 3 {
		t.Fatalf("got %d receipts in the copy, want 3", len(paths))
	}
	whole, err := os.ReadFile(paths[2])
	must(t, err)
	for name, harm := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 100) },
		"gone":      os.Remove,
		"another's": func(path string) error { return os.WriteFile(path, whole, 0o600) },
	} {
		for _, path := range paths[:2] { // the charter and the enrolment
			must(t, harm(path))
			m := w.monitor(dir, "sponsor")
			if _, err := m.Look(t.Context()); err == nil || !strings.Contains(err.Error(), path+" is damaged, the next look fetches it again") {
				t.Fatalf("%s: got error %v, want one that names %s", name, err, path)
			}
			r := look1(t, m)
			wantAlarms(t, r)
			if r.Statements != 3 || r.Findings == nil || r.Findings.Major != 1 {
				t.Errorf("%s: got %+v, want 3 statements and one finding", name, r)
			}
			if r := look1(t, w.monitor(dir, "sponsor")); r.Statements != 3 || r.New != 0 {
				t.Errorf("%s: got %+v after another start, want 3 statements and nothing new", name, r)
			}
		}
	}
}
