package faults

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

const (
	diskSize = 128 // MiB
	reserve  = 16 << 20
)

// fill makes a file that leaves so many bytes free.
func fill(t *testing.T, disk string, leave int64) (file string) {
	t.Helper()
	file = filepath.Join(disk, "filler")
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	must(t, err)
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for {
		free := freeBytes(t, disk) - leave
		if free <= 0 {
			return file
		}
		if _, err := f.Write(chunk[:min(free, int64(len(chunk)))]); err != nil {
			return file // to the last byte
		}
	}
}

func newNotaryOnSmallDisk(t *testing.T) (*notary, string) {
	t.Helper()
	disk := mountTmpfs(t, diskSize)
	return newNotary(t, filepath.Join(disk, "n"), "limits: {minFreeBytes: 16777216}\n"), disk
}

// TestTheReserve fills the disk under load. From the reserve on statements are
// refused before anything is stored, those in flight end well, reads go on, and
// with the space back the same process takes statements again by itself.
func TestTheReserve(t *testing.T) {
	n, disk := newNotaryOnSmallDisk(t)
	s := n.start(t)
	c := n.site()
	c.dial(t, s)
	c.mustSubmit(t, n.signMany(t, 3)...)

	sent, errs := c.submitUntilRefused(t, n.signMany(t, 4000), func() {
		for leave := int64(reserve + 24<<20); leave >= reserve; leave -= 1 << 20 {
			fill(t, disk, leave)
			time.Sleep(20 * time.Millisecond) // the load eats into it
		}
	})
	if len(failed(sent, errs)) == 0 {
		t.Error("no statement was refused, though the reserve was reached")
	}
	got := wantReasons(t, errs, "STORAGE_FULL")
	if free := freeBytes(t, disk); free < reserve/2 {
		t.Errorf("%d MiB are left of a reserve of %d", free>>20, reserve>>20)
	}
	t.Logf("%d receipts, %d refusals, %d KiB of the reserve used", got, len(errs)-got, (reserve-freeBytes(t, disk))>>10)

	refused := n.signMany(t, 20)
	size := c.logSize(t)
	if got := wantReasons(t, c.submitAll(refused), "STORAGE_FULL"); got > 0 {
		t.Errorf("%d receipts were given with the reserve in use", got)
	}
	if more := c.logSize(t) - size; more > 0 {
		t.Errorf("%d entries were logged", more)
	}
	must(t, os.WriteFile(filepath.Join(disk, "one more"), make([]byte, 1<<20), 0o600))
	eventually(t, "health says no", func() bool { return !c.serving() })
	c.wantReadable(t)
	if _, err := c.submit(c.receipts[0].env); err != nil {
		t.Errorf("a statement that has its receipt: %v", err)
	}

	must(t, os.Remove(filepath.Join(disk, "filler")))
	eventually(t, "health says yes again", c.serving)
	c.mustSubmit(t, refused...)
	c.mustSubmit(t, failed(sent, errs)...)
	s.kill()
	c.audit(t, nil)
}

// submitUntilRefused submits from many callers, beside fault, until each of them
// was refused once. It returns what was sent with each one's error.
func (c *site) submitUntilRefused(t *testing.T, envs []*trial.Envelope, fault func()) (sent []*trial.Envelope, errs []error) {
	t.Helper()
	var mu sync.Mutex // guards sent and errs
	var wait sync.WaitGroup
	for _, mine := range chunks(envs, 32) {
		wait.Go(func() {
			for _, env := range mine {
				_, err := c.submit(env)
				mu.Lock()
				sent, errs = append(sent, env), append(errs, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	fault()
	wait.Wait()
	return sent, errs
}

func chunks(envs []*trial.Envelope, n int) (out [][]*trial.Envelope) {
	for i := range n {
		out = append(out, envs[i*len(envs)/n:(i+1)*len(envs)/n])
	}
	return out
}

// TestADiskThatIsFullToTheLastByte is what happens where somebody else uses the
// reserve up, again and again, under load. No receipt is given that does not hold,
// reads go on, and with the space back the same process takes statements again by
// itself, though the log may have stopped in the middle of a write.
func TestADiskThatIsFullToTheLastByte(t *testing.T) {
	n, disk := newNotaryOnSmallDisk(t)
	s := n.start(t)
	c := n.site()
	c.dial(t, s)
	c.mustSubmit(t, n.signMany(t, 3)...)
	var unanswered []*trial.Envelope
	for range 3 {
		before := c.answered()
		sent, errs := c.submitUntilRefused(t, slices.Concat(unanswered, n.signMany(t, 1000)), func() {
			eventually(t, "the first answers", func() bool { return c.answered() > before })
			fill(t, disk, 0)
		})
		got := wantReasons(t, errs, "STORAGE_FULL", "TRY_AGAIN")
		unanswered = failed(sent, errs)
		t.Logf("%d statements have receipts, %d have not", got, len(unanswered))
		c.wantReadable(t)
		eventually(t, "health says no", func() bool { return !c.serving() })
		must(t, os.Remove(filepath.Join(disk, "filler")))
		eventually(t, "health says yes again", c.serving)
	}
	s.kill()
	t.Logf("the log stopped and was opened again %d times", strings.Count(s.stderr.String(), "starting anew"))
	c.audit(t, unanswered)
}

// TestAFullDiskOfLargeStatements is the same where most of what is written goes to
// the file beside the database, by large pieces and past the write-ahead log: first up
// to the reserve, then to the last byte.
func TestAFullDiskOfLargeStatements(t *testing.T) {
	n, disk := newNotaryOnSmallDisk(t)
	s := n.start(t)
	c := n.site()
	c.dial(t, s)
	c.mustSubmit(t, append(n.signLarge(t, 2), n.sign(t))...)
	var unanswered []*trial.Envelope
	for round, reasons := range [][]string{{"STORAGE_FULL"}, {"STORAGE_FULL", "TRY_AGAIN"}, {"STORAGE_FULL", "TRY_AGAIN"}} {
		before := c.answered()
		sent, errs := c.submitUntilRefused(t, slices.Concat(unanswered, n.signMixed(t, 320)), func() {
			eventually(t, "the first answers", func() bool { return c.answered() > before })
			fill(t, disk, reserve+8<<20)
			if round == 0 {
				fill(t, disk, reserve)
				return
			}
			fill(t, disk, 0) // at once, so that those in flight meet it too
		})
		got := wantReasons(t, errs, reasons...)
		unanswered = failed(sent, errs)
		if len(unanswered) == 0 {
			t.Error("no statement was refused on a full disk")
		}
		t.Logf("%d statements have receipts, %d have not", got, len(unanswered))
		if got := wantReasons(t, c.submitAll(n.signLarge(t, 4)), reasons...); got > 0 {
			t.Errorf("%d receipts were given on a full disk", got)
		}
		c.wantReadable(t) // the first one is large
		eventually(t, "health says no", func() bool { return !c.serving() })
		must(t, os.Remove(filepath.Join(disk, "filler")))
		eventually(t, "health says yes again", c.serving)
		c.mustSubmit(t, unanswered...)
		unanswered = nil
	}
	s.kill()
	c.audit(t, nil)
}

// signMixed signs large statements and as many small ones, in turns.
func (n *notary) signMixed(t *testing.T, count int) (envs []*trial.Envelope) {
	t.Helper()
	for range count / 2 {
		envs = append(envs, n.signFiles(t, 1000), n.sign(t))
	}
	return envs
}

func (c *site) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.receipts)
}
