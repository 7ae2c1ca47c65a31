package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/trial/rules"
	"github.com/trialnotary/trialnotary/trial/rules/timeline"
)

// exampleTrial tells the worked example beside the repository to a real notary and
// returns the flags by which the sponsor reads it.
func exampleTrial(t *testing.T) (flags []string) {
	t.Helper()
	var dir string
	var text []byte
	err := os.ErrNotExist
	for _, up := range []string{"../../../shared", "../../../../shared"} {
		if errors.Is(err, os.ErrNotExist) {
			dir = filepath.Join(filepath.FromSlash(up), "data", "demo")
			text, err = os.ReadFile(filepath.Join(dir, "timeline.json"))
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("no ../shared/data/demo/timeline.json here")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	story, err := timeline.Parse(text)
	must(err)
	steps, err := timeline.Write(story, timeline.Options{Pack: rules.Default().Digest, Read: func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	}})
	must(err)
	var now atomic.Pointer[time.Time]
	now.Store(&steps[0].At)
	tmp := t.TempDir()
	s, err := newServerAt(filepath.Join(tmp, "server"), func() time.Time { return *now.Load() })
	must(err)
	t.Cleanup(func() { must(s.stop()) })
	for i := range steps {
		now.Store(&steps[i].At)
		if _, err := s.service.Submit(t.Context(), steps[i].Envelope, nil); err != nil {
			t.Fatalf("event %d: %v", steps[i].Event, err)
		}
	}
	token := filepath.Join(tmp, "token")
	must(s.addUser("reader", token, store.Grant{Role: store.RoleAuditor, Trial: steps[0].Statement.ID}))
	return []string{
		"--server", s.grpc, "--insecure", "--token", token, "--state", filepath.Join(tmp, "state"), "--trial", steps[0].Statement.ID.String(),
	}
}

// The worked example has its five findings, the notary says the same, and the
// unlock explains what changed between the two locks.
func TestExampleOnTheCommandLine(t *testing.T) {
	t.Parallel() // it waits for a checkpoint 170 times
	flags := exampleTrial(t)
	command := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := run(t.Context(), append(args, flags...), strings.NewReader(""), &out, &errs); code != want {
			t.Fatalf("%v: got status %d, want %d\n%s%s", args, code, want, out.String(), errs.String())
		}
		return out.String()
	}
	var told struct {
		Findings []struct {
			Rule string `json:"rule"`
		} `json:"findings"`
		Events   []struct{} `json:"events"`
		Withheld *uint64    `json:"withheld"`
		Notary   struct {
			Agrees bool `json:"agrees"`
		} `json:"notary"`
	}
	if err := json.Unmarshal([]byte(command(exitOK, "chronology", "--output", "json")), &told); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range told.Findings {
		found = append(found, f.Rule)
	}
	if !slices.Equal(found, []string{"R05", "R12", "R13", "R14", "R10"}) {
		t.Errorf("got the findings %v", found)
	}
	if !told.Notary.Agrees || told.Withheld == nil || *told.Withheld != 0 || len(told.Events) < 150 {
		t.Errorf("got %d events, %v withheld, the notary agrees: %t", len(told.Events), told.Withheld, told.Notary.Agrees)
	}
	page := command(exitOK, "chronology", "--html", "-")
	if n := strings.Count(page, `<tr id="f`); n != 5 || strings.Count(page, `<tr id="e`) != len(told.Events) {
		t.Errorf("the page has %d findings, want 5", n)
	}
	command(exitNegative, "findings")
	locks := command(exitOK, "locks")
	if !strings.Contains(locks, "0 added, 0 removed, 1 changed") || !strings.Contains(locks, "SAE seriousness mis-entered") {
		t.Errorf("got\n%s", locks)
	}
}
