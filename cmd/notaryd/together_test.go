package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary"
	"github.com/trialnotary/trialnotary/notary/store"
	"github.com/trialnotary/trialnotary/notary/tesseralog"
)

// TestEverySectionIsFollowed: what the document tells to do is done by a test.
func TestEverySectionIsFollowed(t *testing.T) {
	followed := map[string]int{ // blocks
		lostSection: 1, fileSection: 1, conflictSection: 1, behindSection: 2, databaseSection: 1, payloadsSection: 2, rowSection: 1,
		marksSection: 3, togetherSection: 1, lockSection: 0, clockSection: 1, nothingSection: 1,
	}
	for title, r := range readRemedies(t) {
		if n, ok := followed[title]; !ok || n != len(r.blocks) {
			t.Errorf("section %q has %d blocks, the tests follow %d", title, len(r.blocks), n)
		}
		delete(followed, title)
	}
	if len(followed) > 0 {
		t.Errorf("docs/operations.md has no section %v", followed)
	}
}

// TestRolledBackTogether restores log and database to one earlier moment, without a
// second mark. Nothing in the folder tells; the client's memory does.
func TestRolledBackTogether(t *testing.T) {
	remedy := readRemedies(t)[togetherSection]
	r := newRelic(t, 4, 4)
	p := r.patient(t, "newest", withoutMark)
	p.put("older", "log", "notary.db")
	if said := p.check(); said != "" {
		t.Errorf("check says %q, and cannot know", said)
	}
	ctx := context.WithoutCancel(t.Context())
	s := p.twin()
	if err := s.serve(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.dial("site-" + siteNorth); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.clients["site-"+siteNorth].Checkpoint(ctx, s.trust)
	if !errors.Is(err, client.ErrRolledBack) || !remedy.covers(err.Error()) {
		t.Errorf("the client says %v, want ErrRolledBack as the document has it", err)
	} else if missing := fmt.Sprint(r.size - r.older); !strings.Contains(err.Error(), missing) {
		t.Errorf("the client says %v, want that %s entries are missing", err, missing)
	}
	if err := errors.Join(s.closeClients(), s.stop(ctx)); err != nil {
		t.Fatal(err)
	}
	remedy.follow(t, 0, map[string]string{"NOTARY": filepath.Join(p.dir, "n"), "BACKUP": filepath.Join(r.dir, "newest", "n")})
	p.well()
}

// TestTwoServers: on one folder, and on one database with two copies of the log.
func TestTwoServers(t *testing.T) {
	remedy := readRemedies(t)[lockSection]
	config := newNotary(t)
	c, err := LoadConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	first := &story{config: c, logger: zap.NewNop()}
	ctx := context.WithoutCancel(t.Context())
	if err := first.serve(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := first.stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	for name, change := range map[string]struct {
		do   func(c *Config)
		want error
	}{
		"one folder": {func(*Config) {}, store.ErrInUse},
		"one database": {func(c *Config) {
			dir := t.TempDir()
			copyTree(t, c.Log.Dir, dir)
			c.Log.Dir = dir
		}, store.ErrInUse},
		"one log": {func(c *Config) {
			c.Store.Path = filepath.Join(t.TempDir(), "notary.db")
			if err := store.Create(c.Store.Path); err != nil {
				t.Fatal(err)
			}
		}, tesseralog.ErrInUse},
	} {
		t.Run(name, func(t *testing.T) {
			other, err := LoadConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			change.do(other)
			second := &story{config: other, logger: first.logger}
			err = second.serve(ctx)
			if !errors.Is(err, change.want) || !remedy.covers(err.Error()) {
				t.Errorf("got %v, want %v as the document has it", err, change.want)
			}
		})
	}
	code, _, stderr := notaryd(t, "check", "--config", config)
	if code != exitRefused || !remedy.covers(stderr) {
		t.Errorf("check beside a server: exit status %d: %s", code, stderr)
	}
	if code, _, stderr := notaryd(t, "rebuild", "--config", config, "--out", filepath.Join(t.TempDir(), "new.db")); code != exitRefused || !remedy.covers(stderr) {
		t.Errorf("rebuild beside a server: exit status %d: %s", code, stderr)
	}
}

// TestNoLocks lets the kernel refuse every lock of one file to the real server, as a
// file system without locks does.
func TestNoLocks(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	remedy := readRemedies(t)[lockSection]
	config := newNotary(t)
	for _, file := range []string{"log/.state/server.lock", "notary.db.lock"} {
		path := filepath.Join(filepath.Dir(config), file)
		writeFile(t, path, nil) // strace finds files by path only where they are
		for _, command := range []string{"serve", "check"} {
			for _, fault := range []string{"flock:error=ENOLCK", "flock:error=ENOSYS", "flock:error=EOPNOTSUPP"} {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				cmd := exec.CommandContext(ctx, strace, "-f", "-qq", "-o", os.DevNull, "-P", path, "-e", "inject="+fault, os.Args[0])
				cmd.Env = append(os.Environ(), asServer+"="+strings.Join([]string{command, "--config", config}, "\n"))
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				err := cmd.Run()
				cancel()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != exitRefused || !remedy.covers(stderr.String()) {
					t.Errorf("%s, %s, %s: got %v: %s", file, command, fault, err, &stderr)
				}
			}
		}
	}
}

// TestAFarClock starts under a clock that is ten years ahead, then right, then an
// hour behind.
func TestAFarClock(t *testing.T) {
	remedy := readRemedies(t)[clockSection]
	s := trialForLoad(t)
	ctx := context.WithoutCancel(t.Context())
	config := s.path("notaryd.yaml")
	submit := func(offset time.Duration) (err error) {
		s.server, err = start(ctx, s.config, s.logger, func() time.Time { return time.Now().Add(offset) })
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.stop(ctx)) }()
		s.config.Listen.GRPC, s.config.Listen.HTTP = s.server.grpcAddr, s.server.httpAddr
		env := s.signDataset(t, s.people["coordinator-"+siteNorth], offset.String())
		_, err = s.server.parts.service.Submit(ctx, env, nil)
		return err
	}
	const tenYears = 10 * 365 * 24 * time.Hour
	if err := submit(tenYears); !errors.Is(err, notary.ErrClock) || !remedy.covers(err.Error()) {
		t.Errorf("ten years ahead: got %v, want ErrClock as the document has it", err)
	}
	if err := submit(0); err != nil {
		t.Errorf("set right: got %v", err)
	}
	if err := submit(-time.Hour); err != nil {
		t.Errorf("an hour behind: got %v", err)
	}
	// The document's command looks at the machine's own clock. What a confirmed time
	// does is the service's to test.
	remedy.follow(t, 0, map[string]string{"NOTARY": filepath.Dir(config), "TODAY": time.Now().UTC().Format(time.DateOnly)})
	if err := submit(time.Second); err != nil {
		t.Errorf("confirmed: got %v", err)
	}
}

// TestRebuildRefuses: what no source has is named, and nothing is left behind.
func TestRebuildRefuses(t *testing.T) {
	r := newRelic(t, 4, 4)
	p := r.patient(t, "newest", withMark)
	p.put("older", "notary.db")
	dir := t.TempDir()
	out := filepath.Join(dir, "new.db")
	garbage := filepath.Join(t.TempDir(), "garbage")
	writeFile(t, garbage, bytes.Repeat([]byte("garbage"), 100))
	wrongReceipts := t.TempDir()
	writeFile(t, filepath.Join(wrongReceipts, "x"+client.ReceiptSuffix), []byte("{}"))
	for name, test := range map[string]struct {
		flags []string
		says  string
	}{
		"statements are lost":   {nil, fmt.Sprintf("their indexes: [%d %d", r.older, r.older+1)},
		"checkpoint is none":    {[]string{"--checkpoint", garbage}, garbage},
		"older is no database":  {[]string{"--from", garbage}, "not a store of the notary"},
		"a receipt is none":     {[]string{"--receipts", wrongReceipts}, "invalid receipt"},
		"no such checkpoint":    {[]string{"--checkpoint", filepath.Join(dir, "none")}, "no such file"},
		"checkpoint is too old": {[]string{"--checkpoint", filepath.Join(r.dir, "older/n/log/checkpoint")}, "but a checkpoint of"},
	} {
		code, stdout, stderr := notaryd(t, append([]string{"rebuild", "--config", p.config, "--out", out}, test.flags...)...)
		if code != exitRefused || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: got exit status %d: %s%s, want %q", name, code, stdout, stderr, test.says)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
	if code, _, stderr := notaryd(t, "rebuild", "--config", p.config, "--out", p.path("notary.db")); code != exitRefused || !strings.Contains(stderr, "exists") {
		t.Errorf("over an existing file: exit status %d: %s", code, stderr)
	}
	if code, _, _ := notaryd(t, "rebuild", "--config", p.config); code != exitUsage {
		t.Errorf("without --out: exit status %d", code)
	}
}

// TestANewEpoch follows the document's last resort.
func TestANewEpoch(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next")
	readRemedies(t)[nothingSection].follow(t, 0, map[string]string{"NEXT": next, "NEXT_ORIGIN": "notary-2.example"})
	if code, _, stderr := notaryd(t, "check", "--config", filepath.Join(next, "notaryd.yaml")); code != exitOK {
		t.Errorf("the new log: exit status %d: %s", code, stderr)
	}
}
