package tesseralog

import (
	"os"
	"testing"
	"time"
)

// TestCheckpointOfTheFuture sets the checkpoint file's time ahead, as it stands
// after the clock was set back: Tessera would publish nothing until then. It goes on
// at a start, and while the log runs.
func TestCheckpointOfTheFuture(t *testing.T) {
	f := newFixture(t)
	f.fill(3)
	ahead := func(by time.Duration) {
		t.Helper()
		at := time.Now().Add(by)
		if err := os.Chtimes(folder(f.dir).path(checkpointFile), at, at); err != nil {
			t.Fatal(err)
		}
	}
	ahead(10 * 365 * 24 * time.Hour)
	l := f.open()
	f.add(l, 1)
	for _, by := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
		ahead(by)
		f.add(l, 1) // returns once a checkpoint covers it
	}
	if got := l.Checkpoint().Size; got != 6 {
		t.Errorf("got a checkpoint of %d entries, want 6", got)
	}
	if info, err := os.Stat(folder(f.dir).path(checkpointFile)); err != nil || info.ModTime().After(time.Now()) {
		t.Errorf("the checkpoint's time is %v, %v", info.ModTime(), err)
	}
}
