package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// A file that takes another's place within the settling, with its size and its time
// of change, begins its own settling; and so it is after it was notarized.
func TestWatchReplacedByItsLike(t *testing.T) {
	if (markOf(mustStat(t, t.TempDir())) == fileMark{}) {
		t.Skip("this system does not tell when a file was changed")
	}
	watchFaults(t, func(r *watchRig) {
		p := r.watch("--settle", "2s")
		p.await("watching: ", 1)
		at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
		for i := range 25 {
			// For longer than the settling, it is another file every 100 ms.
			r.write(".next", fmt.Sprintf("row %02d\n", i))
			if err := errors.Join(os.Chtimes(r.path(".next"), at, at), os.Rename(r.path(".next"), r.path("a.csv"))); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		p.await("notarized: a.csv", 1)
		if n := len(r.statements()["a.csv"]); n != 1 {
			t.Errorf("got %d statements, want one of the last content:\n%s", n, p.text())
		}
		r.verifies("a.csv")
		r.write(".next", "row 99\n")
		if err := errors.Join(os.Chtimes(r.path(".next"), at, at), os.Rename(r.path(".next"), r.path("a.csv"))); err != nil {
			t.Fatal(err)
		}
		p.await("notarized: a.csv", 2)
		p.end(os.Interrupt)
		r.verifies("a.csv")
	})
}

func mustStat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func (r *watchRig) verifies(rel string) {
	r.t.Helper()
	cmd := r.command("verify", "--trust", "trust", "inbox/"+rel)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Errorf("%v: %s", err, out)
	}
}

// What could never have a receipt is told before it is signed, and holds up no
// other file: a name without room for the suffixes, one that is no text, a folder
// that may not be written to.
func TestWatchNoRoomForAReceipt(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		long := strings.Repeat("n", 230) + ".csv" // the receipt fits, an earlier one's name would not
		r.write(long, "long\n")
		r.write("bad\xff.csv", "bad\n")
		r.write("line\nbreak.csv", "line\n")
		if err := os.Mkdir(r.path("closed"), 0o755); err != nil {
			t.Fatal(err)
		}
		r.write("closed/a.csv", "closed\n")
		if err := os.Chmod(r.path("closed"), 0o555); err != nil {
			t.Fatal(err)
		}
		r.write("z.csv", "z\n")
		p := r.watch("--recursive")
		p.await("notarized: z.csv", 1)
		p.await("failed: \"line\\nbreak.csv\"", 1)
		p.await("failed: "+long, 1)
		p.await("failed: \"bad\\xff.csv\"", 1)
		p.await("failed: closed/a.csv: cannot write receipts", 1)
		if err := os.Chmod(r.path("closed"), 0o755); err != nil {
			t.Fatal(err)
		}
		p.await("notarized: closed/a.csv", 1)
		p.end(os.Interrupt)
		if text := p.text(); strings.Contains(text, eventCannot) || strings.Count(text, "failed: ") != 4 {
			t.Errorf("got\n%s", text)
		}
		q := r.watch("--recursive", "--once", "--output", "json")
		_ = q.cmd.Wait()
		if code := q.cmd.ProcessState.ExitCode(); code != exitUsage || strings.Count(q.text(), `"event":"failed"`) != 3 {
			t.Errorf("got status %d:\n%s", code, q.text())
		}
	})
}

// A folder that is there and cannot be read is told once, and once when it can.
func TestWatchFolderUnreadable(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		p := r.watch()
		p.await("watching: ", 1)
		if err := os.Chmod(r.path(""), 0o300); err != nil {
			t.Fatal(err)
		}
		p.await("folder gone: ", 1)
		time.Sleep(300 * time.Millisecond) // many looks
		if err := os.Chmod(r.path(""), 0o755); err != nil {
			t.Fatal(err)
		}
		p.await("folder back: ", 1)
		r.write("a.csv", "a\n")
		p.await("notarized: a.csv", 1)
		p.end(os.Interrupt)
		if text := p.text(); strings.Count(text, "folder gone: ") != 1 || strings.Count(text, "folder back: ") != 1 {
			t.Errorf("got\n%s", text)
		}
	})
}

// The lock of another account, which may only be read, is a lock.
func TestWatchLockOfAnother(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		p := r.watch()
		p.await("watching: ", 1)
		if mode := mustStat(t, r.path(lockName)).Mode().Perm(); mode != 0o644 {
			t.Errorf("got mode %o, want that others may read it", mode)
		}
		if err := os.Chmod(r.path(lockName), 0o444); err != nil {
			t.Fatal(err)
		}
		q := r.watch("--state", t.TempDir(), "--once")
		if err := q.cmd.Wait(); err == nil || !strings.Contains(q.text(), "is watched already") {
			t.Errorf("got %v:\n%s", err, q.text())
		}
		p.end(os.Interrupt)
		q = r.watch("--state", t.TempDir(), "--once")
		if err := q.cmd.Wait(); err != nil {
			t.Errorf("got %v:\n%s", err, q.text())
		}
	})
}

// Stopped before its end, --once does not say that all is well.
func TestWatchOnceStopped(t *testing.T) {
	watchFaults(t, func(r *watchRig) {
		r.write("a.csv", "a\n")
		p := r.watch("--once", "--settle", "1h")
		p.await("watching: ", 1)
		if code := p.end(os.Interrupt); code != exitNegative {
			t.Errorf("got status %d, want %d:\n%s", code, exitNegative, p.text())
		}
	})
}

// After a full disk, what was done is noted as soon as there is room.
func TestWatchIndexAfterAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	path := filepath.Join(t.TempDir(), "state", "index.jsonl")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	x, err := openWatchIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.f.Close(); err != nil {
		t.Fatal(err)
	}
	x.f, x.w = full, bufio.NewWriter(full)
	k := watched{size: 4, modified: time.Unix(1700000000, 5).UTC(), status: watchNotarized, id: trial.ID{2}}
	// Nowhere to write it anew either: it is an error, and nothing is lost.
	moved := filepath.Dir(path) + " away"
	err = errors.Join(os.Rename(filepath.Dir(path), moved), x.put("a.csv", k))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := x.sync(); err == nil {
			t.Error("got no error, want one")
		}
	}
	if err := errors.Join(os.Rename(moved, filepath.Dir(path)), x.put("b.csv", k), x.sync(), x.put("c.csv", k), x.sync()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || bytes.Count(text, []byte("\n")) != 3 {
		t.Errorf("got %v, %s", err, text)
	}
	if err := x.close(); err != nil {
		t.Error(err)
	}
}
