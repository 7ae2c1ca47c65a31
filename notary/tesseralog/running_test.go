package tesseralog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/notary"
)

// TestDamagedWhileRunning damages the folder under a running log of 5 entries and
// adds 3. No checkpoint may be signed over it, and the next start must refuse it.
func TestDamagedWhileRunning(t *testing.T) {
	for name, test := range map[string]struct {
		do      func(f *fixture, older string)
		running []string // what stops the log; nil where several things do
		kind    any      // of the refusal at the next start
		start   []string
	}{
		"hash tile flipped": {
			func(f *fixture, _ string) { f.damage("tile/0/000.p/5", flip(70)) },
			[]string{"tile/0/000.p/8", "hash 2"}, new(*FileError), []string{"tile/0/000.p/8", "hash 2"}},
		"hash tile missing": {
			func(f *fixture, _ string) { f.remove("tile/0/000.p/5") },
			[]string{"adding an entry"}, new(*FileError), []string{"tile/0/000.p/5", "missing"}},
		"entry bundle flipped": {
			func(f *fixture, _ string) { f.damage("tile/entries/000.p/5", flip(-1)) },
			[]string{"tile/entries/000.p/8", "entry 4"}, new(*FileError), []string{"tile/entries/000.p/8", "entry 4"}},
		"entry bundle missing": {
			func(f *fixture, _ string) { f.remove("tile/entries/000.p/5") },
			[]string{"adding an entry"}, new(*FileError), []string{"tile/entries/000.p/5", "missing"}},
		"tree state from a copy": {
			func(f *fixture, older string) { f.restore(older, treeStateFile) },
			nil, new(*ConflictError), []string{"first 5 entries"}},
		"tree state missing": {
			func(f *fixture, _ string) { f.remove(treeStateFile) },
			nil, new(*FileError), []string{treeStateFile, "holds 3 entries"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.fill(2)
			older := f.copyOf()
			l := f.open()
			f.add(l, 3)
			test.do(f, older)
			err := f.tryAdd(t.Context(), l, 3)
			wantError(t, err, notary.ErrLogStopped, test.running...)
			wantError(t, l.Err(), notary.ErrLogStopped, test.running...)
			if mark, _, _ := f.marks.LoadMark(t.Context()); mark.Size != 5 || l.Checkpoint().Size != 5 {
				t.Errorf("got mark %d, checkpoint of %d, want 5", mark.Size, l.Checkpoint().Size)
			}
			mustProve(t, l, 1, entry(1)) // What was published stays provable.
			closeLog(t, l)
			f.refused(test.kind, test.start...)
		})
	}
}

// TestCheckpointReplaced: someone else writes the checkpoint of a running log.
func TestCheckpointReplaced(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(f *fixture)
		parts []string
	}{
		"damaged":        {func(f *fixture) { f.damage(checkpointFile, flip(20)) }, []string{"log file checkpoint"}},
		"of another key": {func(f *fixture) { otherCheckpoint(f, origin) }, []string{"not signed by"}},
		"forked":         {func(f *fixture) { signCheckpoint(f, f.signer, origin, 5, [32]byte{1}) }, []string{"first 5 entries", "the published checkpoint"}},
		"from beyond":    {func(f *fixture) { signCheckpoint(f, f.signer, origin, 9, [32]byte{1}) }, []string{"covers 9 entries, the log has 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			l := f.open()
			f.add(l, 5)
			test.do(f)
			select {
			case <-l.alive.Done():
			case <-time.After(20 * time.Second):
				t.Fatal("nobody noticed")
			}
			wantError(t, l.Err(), notary.ErrLogStopped, test.parts...)
			if l.Checkpoint().Size != 5 {
				t.Errorf("got checkpoint of %d entries", l.Checkpoint().Size)
			}
		})
	}
}

// TestFutureTime: Tessera publishes nothing while the checkpoint's time lies in
// the future, as it does after the clock was set back.
func TestFutureTime(t *testing.T) {
	f := newFixture(t)
	f.fill(1)
	later := time.Now().Add(time.Hour)
	set := func() {
		if err := os.Chtimes(filepath.Join(f.dir, checkpointFile), later, later); err != nil {
			t.Fatal(err)
		}
	}
	set()
	l := f.open()
	f.add(l, 1)
	set()
	f.add(l, 1)
}

// TestMarkFails: the mark's store fails. The log stops, signs nothing above the
// mark, and goes on after a restart.
func TestMarkFails(t *testing.T) {
	cause := errors.New("disk full")
	for name, stored := range map[string]bool{"not stored": false, "stored all the same": true} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			l := f.open()
			f.add(l, 5)
			f.marks.Fail(cause, stored)
			err := f.tryAdd(t.Context(), l, 3)
			wantError(t, err, cause, "moving the high-water mark from 5 to 8")
			wantError(t, err, notary.ErrLogStopped)
			if l.Checkpoint().Size != 5 {
				t.Errorf("got checkpoint of %d entries", l.Checkpoint().Size)
			}
			_, err = l.Add(t.Context(), entry(9))(t.Context())
			wantError(t, err, notary.ErrLogStopped)
			closeLog(t, l)
			l = f.open()
			if l.Size() != 8 || l.Checkpoint().Size != 8 {
				t.Errorf("after a restart: got size %d, checkpoint of %d", l.Size(), l.Checkpoint().Size)
			}
			mustProve(t, l, 7, entry(7))
			f.add(l, 1)
		})
	}
}

func TestMarkLost(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	f.add(l, 5)
	f.marks.Lose()
	f.add(l, 3)
	closeLog(t, l)
	f.refused(new(*MarkBehindError), "mark is 5", "checkpoint of 8")
}

func TestMarkMovedByAnother(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	f.add(l, 5)
	f.marks.Set(notary.Mark{Size: 6, Root: [32]byte{1}}, true)
	wantError(t, f.tryAdd(t.Context(), l, 3), notary.ErrMarkConflict)
}

// TestFullDisk has Tessera's writes fail.
func TestFullDisk(t *testing.T) {
	f := newFixture(t)
	l := f.open()
	f.add(l, 5)
	// A file where Tessera needs a folder fails its writes, root or not.
	if err := os.Rename(filepath.Join(f.dir, "tile/entries"), filepath.Join(f.dir, "moved")); err != nil {
		t.Fatal(err)
	}
	f.write("tile/entries", nil)
	wantError(t, f.tryAdd(t.Context(), l, 3), notary.ErrLogStopped, "adding an entry", "tile/entries")
}

// TestCloseGivesUp: a log that could not be closed in time keeps the folder, as
// Tessera may still write to it.
func TestCloseGivesUp(t *testing.T) {
	f := newFixture(t)
	c := f.config()
	c.CheckpointInterval = time.Hour
	l, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	wait := l.Add(t.Context(), entry(0))
	l.Hurry()
	if _, err := wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wantError(t, l.Close(ctx), context.DeadlineExceeded, "closing the log")
	f.refused(ErrInUse)

	// The process ends.
	if err := l.locked.Close(); err != nil {
		t.Fatal(err)
	}
	if l := f.open(); l.Checkpoint().Size != 1 {
		t.Errorf("got checkpoint of %d entries, want 1", l.Checkpoint().Size)
	}
}
