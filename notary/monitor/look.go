package monitor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// look is one look at the log and the trial.
type look struct {
	m   *Monitor
	now time.Time

	raised map[string]bool // ids of alarms that this look saw, old ones too
	fresh  []Alarm         // those that are new

	marks    *markList
	receipts *client.Receipts
	keys     *keys
	// listed is what the notary shows of the trial, by index.
	listed map[uint64]trial.ID
	order  []uint64 // of listed
	target receipt.Checkpoint
	// began is how many entries were scanned before.
	began uint64
	// waits says why the scan stopped before the end, and uncompared why findings
	// were not compared.
	waits, uncompared string
	// more counts the alarms of a kind that are not kept one by one.
	more map[Kind]int

	findings *Comparison
}

// errStop ends a look that saw something after which nothing else counts; the alarm
// is raised.
var errStop = errors.New("the look ends here")

// Look looks once. The report holds what is known also where it fails; the error
// says why it could not look, while alarms are no error.
func (m *Monitor) Look(ctx context.Context) (*Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	began := time.Now()
	r, err := m.lookLocked(ctx)
	if m.cfg.Observer != nil && r != nil {
		m.cfg.Observer.Looked(r, time.Since(began))
	}
	return r, err
}

func (m *Monitor) lookLocked(ctx context.Context) (r *Report, err error) {
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := m.refresh(); err != nil {
		return nil, err
	}
	l := &look{m: m, now: m.cfg.Clock().UTC().Truncate(time.Millisecond), raised: map[string]bool{}, more: map[Kind]int{}, began: m.doc.Scanned}
	// After a clock that was ahead, nothing would be too old for as long as it was.
	for _, at := range []*time.Time{&m.doc.Fresh, &m.doc.Grew} {
		if at.After(l.now) {
			*at = l.now
		}
	}
	if l.marks, err = openMarks(m.path(marksFile), m.doc.Marks); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.marks.close()) }()
	failed := l.follow(ctx)
	if m.doc == nil { // another moved it on, or the disk failed
		return nil, failed
	}
	if errors.Is(failed, errStop) {
		failed = nil
		// Somebody may have acknowledged the alarm; it still is not all well.
		l.waits = "the look ended at an alarm, and nothing after that was looked at"
	}
	l.age()
	r = l.report(failed)
	if err := m.save(); err != nil {
		return nil, errors.Join(failed, err)
	}
	if err := l.deliver(ctx); err != nil {
		return nil, errors.Join(failed, err)
	}
	r.Queued = len(m.doc.Queue)
	return r, failed
}

// follow does what a look does, until something ends it.
func (l *look) follow(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		l.checkpoint, l.authority, l.list, l.scan, l.missed, l.lateKeys, l.compare,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// broken sorts an error of the client: a log that is not what it was is an alarm
// that ends the look, what could not be asked is an error.
func (l *look) broken(err error) error {
	switch {
	case errors.Is(err, client.ErrForked):
		l.raisef(KindForked, subject{}, "%v", err)
	case errors.Is(err, client.ErrRolledBack):
		l.raisef(KindRolledBack, subject{}, "%v", err)
	case errors.Is(err, client.ErrLogDamaged):
		l.raisef(KindLogFiles, subject{}, "%v", err)
	default:
		return err
	}
	return errStop
}

// checkpoint reads the log's checkpoint and proves that it continues the one that
// was trusted.
func (l *look) checkpoint(ctx context.Context) error {
	d, c := l.m.doc, l.m.cfg.Client
	cp, err := c.PublishedCheckpoint(ctx, l.m.trust)
	switch {
	case errors.Is(err, client.ErrLogFiles):
		return err
	case err != nil:
		l.raisef(KindCheckpoint, subject{}, "%v", err)
		return errStop
	}
	d.Read = l.now
	if err := l.continues(ctx, cp); err != nil {
		return err
	}
	// What the notary says to callers must be the same log.
	newest, _, err := c.Checkpoint(ctx, l.m.trust)
	switch {
	case errors.Is(err, client.ErrForked) || errors.Is(err, client.ErrRolledBack):
		l.keepConflict(cp)
		return l.broken(err)
	case err != nil:
		return err
	}
	small, large := cp, newest
	if small.Size > large.Size {
		small, large = large, small
	}
	// The files may lag behind: then the proof has to wait for them.
	if err := c.Continues(ctx, small, large); err != nil && (!errors.Is(err, client.ErrLogFiles) || errors.Is(err, client.ErrLogDamaged)) {
		l.keepConflict(newest)
		return l.broken(err)
	}
	if cp.Size >= newest.Size {
		d.Fresh = l.now
	}
	l.target = cp
	l.settle(KindCheckpoint)
	return nil
}

// continues compares the published checkpoint with the one that was trusted, and
// trusts it if it is larger.
func (l *look) continues(ctx context.Context, cp receipt.Checkpoint) error {
	d, c := l.m.doc, l.m.cfg.Client
	old, known, err := d.trusted()
	if err != nil {
		return err
	}
	switch {
	case !known || cp.Size > old.Size:
		if known {
			if err := c.Continues(ctx, old, cp); err != nil {
				l.keepConflict(cp)
				return l.broken(err)
			}
		}
		d.Checkpoint, d.Grew = string(cp.Note), l.now
		return l.m.save()
	case cp.Size == old.Size && cp.Root != old.Root:
		l.keepConflict(cp)
		return l.broken(fmt.Errorf("%w: %s signed two different roots for %d entries", client.ErrForked, cp.Origin, cp.Size))
	case cp.Size < old.Size:
		// A mirror that lags, or a log that lost entries: the notary's word tells.
		if _, _, err := c.Checkpoint(ctx, l.m.trust); err != nil {
			l.keepConflict(cp)
			return l.broken(err)
		}
		newest, err := l.newest(ctx)
		if err != nil {
			return err
		}
		if newest.Size < old.Size {
			l.keepConflict(cp)
			return l.broken(fmt.Errorf("%w: %s now has %d entries and had %d before", client.ErrRolledBack, cp.Origin, newest.Size, old.Size))
		}
		return fmt.Errorf("%w: they are behind: they show %d entries, and %d were there before", client.ErrLogFiles, cp.Size, old.Size)
	}
	return nil
}

func (l *look) newest(ctx context.Context) (receipt.Checkpoint, error) {
	cp, _, err := l.m.cfg.Client.Checkpoint(ctx, l.m.trust)
	return cp, err
}

// keepConflict keeps a checkpoint that contradicts the one that was trusted: both
// are signed, and together they prove it.
func (l *look) keepConflict(cp receipt.Checkpoint) {
	for _, note := range [][]byte{cp.Note, []byte(l.m.doc.Checkpoint)} {
		one, err := receipt.ParseCheckpoint(note)
		if err != nil {
			continue
		}
		path := l.m.path(conflictsDir, fmt.Sprintf("%d-%x.checkpoint", one.Size, one.Root[:8]))
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			// The alarm is raised whether or not there is room for its proof.
			_ = client.WriteFile(path, note, 0o600)
		}
	}
}

// authority refreshes the trust folder and reads the keys to look for.
func (l *look) authority(ctx context.Context) error {
	t, err := l.m.cfg.Client.FetchTrust(ctx, l.m.trust.Charter.String())
	if err != nil {
		if _, refused := errors.AsType[*client.Refused](err); refused {
			l.raisef(KindTrust, subject{name: "refused"}, "the notary no longer hands out the trial's trust folder: %v", err)
			return errStop
		}
		return err
	}
	switch err := client.WriteTrust(l.m.path(copyDir, trustDir), t); {
	case err != nil && isDisk(err):
		return err
	case err != nil:
		l.raisef(KindTrust, subject{}, "%v", err)
	default:
		l.m.trust = t
		l.settle(KindTrust)
	}
	if l.keys, err = l.m.readKeys(); err != nil {
		return err
	}
	l.receipts = l.m.cfg.Client.Receipts(l.m.trust)
	return nil
}

// isDisk tells an error of this machine's from what a folder holds.
func isDisk(err error) bool {
	_, is := errors.AsType[*fs.PathError](err)
	return is
}

// list reads which statements the notary shows.
func (l *look) list(ctx context.Context) error {
	l.listed = map[uint64]trial.ID{}
	for s, err := range l.m.cfg.Client.List(ctx, client.Query{Trial: l.m.trust.Charter.String()}) {
		if err != nil {
			return err
		}
		id, err := trial.ParseID(s.GetStatementId())
		if err != nil {
			return fmt.Errorf("the notary's list: %w", err)
		}
		index := s.GetLogIndex()
		if n := len(l.order); n > 0 && index <= l.order[n-1] {
			return fmt.Errorf("the notary's list: got index %d after %d, want log order", index, l.order[n-1])
		}
		if index >= l.target.Size {
			break // and all that follow, however many the notary says there are
		}
		l.listed[index] = id
		l.order = append(l.order, index)
	}
	return nil
}

// age raises an alarm for a checkpoint that is too old.
func (l *look) age() {
	d, c := l.m.doc, &l.m.cfg
	fresh := d.Fresh
	if fresh.IsZero() {
		fresh = l.now // nothing was ever seen: the first look counts
		d.Fresh = l.now
	}
	if age := l.now.Sub(fresh); c.MaxAge > 0 && age > c.MaxAge {
		l.raisef(KindStale, subject{name: "unseen"}, "the log's newest checkpoint was seen last at %s, %s ago", fresh.Format(time.RFC3339), age.Round(time.Second))
	}
	if age := l.now.Sub(d.Grew); c.ExpectGrowth > 0 && !d.Grew.IsZero() && age > c.ExpectGrowth {
		l.raisef(KindStale, subject{name: "rest"}, "the log has not grown since %s, %s ago", d.Grew.Format(time.RFC3339), age.Round(time.Second))
	}
	l.settle(KindStale)
}
