package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

const volumeSize = 64 // MiB

// TestAPowerCut cuts the power at random moments under load, on a disk that tells
// the truth. Nothing that was acknowledged is lost.
func TestAPowerCut(t *testing.T) {
	v := newVolume(t, volumeSize)
	n := newNotary(t, filepath.Join(v.dir, "n"), "limits: {minFreeBytes: 1048576}\n")
	v.save(t) // the keys and the first statements, as they were before the test
	c := n.site()
	var lost []*trial.Envelope // sent and not answered
	const cuts = 8
	for range cuts {
		s := n.start(t)
		c.dial(t, s)
		before := c.answered()
		sent, errs := c.submitUntilRefused(t, slices.Concat(lost, n.signMany(t, 640)), func() {
			time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond) // the moment is what varies
			v.cutPower(t)
			s.kill()
		})
		lost = failed(sent, errs)
		t.Logf("%d receipts before the power cut", c.answered()-before)
		v.powerOn(t)
	}
	c.audit(t, lost)
}

// split places log and database on volumes of their own, beside the folder with
// the configuration.
func split(t *testing.T) (n *notary, log, db *volume) {
	t.Helper()
	log, db = newVolume(t, volumeSize), newVolume(t, volumeSize)
	n = newNotary(t, filepath.Join(t.TempDir(), "n"), "limits: {minFreeBytes: 1048576}\n"+
		fmt.Sprintf("log: {dir: %q}\nstore: {path: %q}\n", filepath.Join(log.dir, "log"), filepath.Join(db.dir, "notary.db")))
	run(t, "mv", filepath.Join(n.dir, "log"), log.dir)
	run(t, "mv", filepath.Join(n.dir, "notary.db"), db.dir)
	syscall.Sync()
	return n, log, db
}

// TestADiskThatLies lets a disk say "written" of what was in its memory, and cuts
// the power. The loss is seen at the next start, by name and number, before
// anything is signed.
func TestADiskThatLies(t *testing.T) {
	t.Run("the database's, without its syncs", func(t *testing.T) {
		n, _, db := split(t)
		path := filepath.Join(db.dir, "notary.db")
		lied := 0
		acknowledge(t, n, func(s *server) *injection { return inject(t, s, syncCalls, "retval=0", path, path+"-wal") }, func(i *injection) {
			lied = i.hits(t)
			db.cutPower(t)
		})
		if lied == 0 {
			t.Error("the disk did not have to lie")
		}
		db.powerOn(t)
		n.wantRefused(t, "the database is older than the log")
	})
	t.Run("the database's", func(t *testing.T) {
		n, _, db := split(t)
		db.save(t)
		acknowledge(t, n, nil, nil)
		db.restore(t)
		n.wantRefused(t, "the high-water mark is", "the database is older than the log")
	})
	t.Run("the log's", func(t *testing.T) {
		n, log, _ := split(t)
		log.save(t)
		acknowledge(t, n, nil, nil)
		log.restore(t)
		n.wantRefused(t, "log folder holds", "the high-water mark is", "entries are missing")
	})
	t.Run("both, with the second high-water mark elsewhere", func(t *testing.T) {
		v := newVolume(t, volumeSize)
		n := newNotary(t, filepath.Join(v.dir, "n"),
			fmt.Sprintf("limits: {minFreeBytes: 1048576}\nstore: {markPath: %q}\n", filepath.Join(t.TempDir(), "notary.mark")))
		run(t, n.program, "mark", "create", "--config", filepath.Join(n.dir, "notaryd.yaml"))
		v.save(t)
		acknowledge(t, n, nil, nil)
		v.restore(t)
		n.wantRefused(t, "the two copies of the high-water mark disagree", "lacks")
	})
	t.Run("both, which only a client can see", func(t *testing.T) {
		v := newVolume(t, volumeSize)
		n := newNotary(t, filepath.Join(v.dir, "n"), "limits: {minFreeBytes: 1048576}\n")
		v.save(t)
		acknowledge(t, n, nil, nil)
		state, err := client.OpenState(t.TempDir())
		must(t, err)
		must(t, n.lookAtLog(t, state))
		v.restore(t)
		if err := n.lookAtLog(t, state); !errors.Is(err, client.ErrRolledBack) {
			t.Errorf("got error %v, want %v", err, client.ErrRolledBack)
		}
	})
}

// lookAtLog lets a client that remembers the largest checkpoint look at the log
// of a server that is started for it.
func (n *notary) lookAtLog(t *testing.T, state *client.State) error {
	t.Helper()
	s := n.start(t)
	defer s.kill()
	c, err := client.Dial(s.addr, client.Options{
		TokenFile: filepath.Join(n.dir, "tokens/site-701"), CAFile: filepath.Join(n.dir, "tls/ca.crt"), State: state,
	})
	must(t, err)
	defer c.Close()
	_, _, err = c.Checkpoint(t.Context(), n.trust)
	return err
}

// acknowledge starts the server, submits, and ends it the hard way. lie begins to
// fault before anything is submitted, cut ends the disk before the server ends.
func acknowledge(t *testing.T, n *notary, lie func(*server) *injection, cut func(*injection)) *site {
	t.Helper()
	s := n.start(t)
	c := n.site()
	c.dial(t, s)
	var i *injection
	if lie != nil {
		i = lie(s)
	}
	for range 3 {
		c.mustSubmit(t, n.signMany(t, 10)...)
	}
	if cut != nil {
		cut(i)
	}
	s.kill()
	if i != nil {
		i.detach()
	}
	return c
}
