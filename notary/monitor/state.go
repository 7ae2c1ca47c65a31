package monitor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// The files of a monitor's folder.
const (
	stateFile    = "state.json"
	journalFile  = "statements.ndjson"
	marksFile    = "marks.idx"
	lockName     = "lock"
	conflictsDir = "conflicts"
	copyDir      = "copy"
	trustDir     = "trust"
	receiptsDir  = "receipts"
	marksDir     = "marks"
)

// stateFormat names the form of state.json.
const stateFormat = "trialnotary monitor state v1"

// maxState bounds state.json, in bytes.
const maxState = 64 << 20

// document is state.json: all that a monitor must not forget.
type document struct {
	Format string `json:"format"`
	// Seq counts the versions: whoever replaces one must have read the one before.
	Seq uint64 `json:"seq"`
	// Trial, Fingerprint and Site are what the folder is for.
	Trial       string `json:"trial"`
	Fingerprint string `json:"fingerprint"`
	Site        string `json:"site,omitzero"`
	// Checkpoint is the largest one that was trusted, a signed note.
	Checkpoint string `json:"checkpoint,omitzero"`
	// Scanned counts the entries that were scanned, all before it, and Marks those
	// of them that are the notary's time marks: so many indexes marks.idx holds.
	Scanned uint64 `json:"scanned"`
	Marks   uint64 `json:"marks"`
	// Keys are those that were looked for in all scanned entries, from an index on.
	Keys map[string]uint64 `json:"keys,omitzero"`
	// Read is when a checkpoint was read last, Fresh when it was the log's newest
	// as far as could be seen, and Grew when it was seen to be larger.
	Read  time.Time `json:"read,omitzero"`
	Fresh time.Time `json:"fresh,omitzero"`
	Grew  time.Time `json:"grew,omitzero"`
	// Alarms are in the order in which they were raised.
	Alarms []Alarm `json:"alarms,omitzero"`
	// Queue holds the alarms that the webhook has to be told of, in order.
	Queue []Delivery `json:"queue,omitzero"`
}

// ErrOtherTrial means that a folder is another trial's, another site's or
// another notary's.
var ErrOtherTrial = errors.New("the monitor's folder is for something else")

// ErrMovedOn means that another process has written the state since it was read.
// Nothing was overwritten; look again.
var ErrMovedOn = errors.New("another monitor has moved the state on")

// ErrBusy means that another process looked all the while.
var ErrBusy = errors.New("another monitor is at work in this folder")

func (m *Monitor) path(names ...string) string {
	return filepath.Join(append([]string{m.cfg.Dir}, names...)...)
}

// lock waits for the folder's lock.
func (m *Monitor) lock(ctx context.Context) (unlock func() error, err error) {
	deadline := time.NewTimer(m.cfg.LockWait)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		held, err := client.TryLock(m.path(lockName))
		switch {
		case err == nil:
			return held.Unlock, nil
		case !errors.Is(err, client.ErrLocked):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-deadline.C:
			return nil, fmt.Errorf("%w: %s", ErrBusy, m.cfg.Dir)
		case <-tick.C:
		}
	}
}

// load reads state.json; nil is none.
func (m *Monitor) load() (*document, error) {
	text, err := os.ReadFile(m.path(stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no state is no error
	}
	if err != nil {
		return nil, fmt.Errorf("reading the monitor's state: %w", err)
	}
	d, err := parseState(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.path(stateFile), err)
	}
	return d, nil
}

// parseState reads state.json. A damaged one is an error and never "nothing seen".
func parseState(text []byte) (*document, error) {
	if len(text) > maxState {
		return nil, fmt.Errorf("invalid monitor state: got %d bytes, want at most %d", len(text), maxState)
	}
	d := new(document)
	if err := json.Unmarshal(text, d, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("invalid monitor state: %w", err)
	}
	if d.Format != stateFormat {
		return nil, fmt.Errorf("invalid monitor state: got format %.40q, want %q", d.Format, stateFormat)
	}
	if _, err := trial.ParseID(d.Trial); err != nil {
		return nil, fmt.Errorf("invalid monitor state: trial: %w", err)
	}
	cp, ok, err := d.trusted()
	switch {
	case err != nil:
		return nil, fmt.Errorf("invalid monitor state: %w", err)
	case !ok && d.Scanned > 0:
		return nil, errors.New("invalid monitor state: got entries and no checkpoint")
	case ok && d.Scanned > cp.Size:
		return nil, fmt.Errorf("invalid monitor state: got %d entries scanned of %d", d.Scanned, cp.Size)
	case d.Marks > d.Scanned:
		return nil, fmt.Errorf("invalid monitor state: got %d time marks among %d entries", d.Marks, d.Scanned)
	}
	for i, a := range d.Alarms {
		if a.Status != StatusOpen && a.Status != StatusResolved && a.Status != StatusAcknowledged {
			return nil, fmt.Errorf("invalid monitor state: alarms[%d].status: got %q", i, a.Status)
		}
	}
	return d, nil
}

// trusted returns the largest checkpoint that was trusted. It was verified before
// it was stored.
func (d *document) trusted() (cp receipt.Checkpoint, ok bool, err error) {
	if d.Checkpoint == "" {
		return cp, false, nil
	}
	cp, err = receipt.ParseCheckpoint([]byte(d.Checkpoint))
	return cp, err == nil, err
}

func (d *document) marshal() ([]byte, error) {
	text, err := json.Marshal(d, jsontext.WithIndent(" "))
	if err != nil {
		return nil, fmt.Errorf("writing the monitor's state: %w", err)
	}
	return append(text, '\n'), nil
}

// save replaces state.json, unless another has since it was read: the lock keeps
// others away, and this what no lock keeps away.
func (m *Monitor) save() error {
	now, err := m.load()
	if err != nil {
		return err
	}
	if now == nil && m.doc.Seq > 0 || now != nil && now.Seq != m.doc.Seq {
		m.doc = nil
		return ErrMovedOn
	}
	m.doc.Seq++
	text, err := m.doc.marshal()
	if err == nil {
		err = client.WriteFile(m.path(stateFile), text, 0o600)
	}
	if err != nil {
		m.doc = nil // what is on disk is not known
	}
	return err
}

// markList is marks.idx: the log indexes of the notary's time marks, eight bytes
// each. A year of marks every minute takes four megabytes, so it stays on disk.
type markList struct {
	f     *os.File
	count uint64
}

// openMarks opens the list and drops what a crash left behind count.
func openMarks(path string, count uint64) (*markList, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the list of time marks: %w", err)
	}
	info, err := f.Stat()
	if err == nil && uint64(info.Size()) < 8*count {
		err = fmt.Errorf("%s is damaged: got %d bytes, want %d", path, info.Size(), 8*count)
	}
	if err == nil {
		err = f.Truncate(int64(8 * count))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &markList{f: f, count: count}, nil
}

// add appends indexes durably; the state says when they count.
func (l *markList) add(indexes []uint64) error {
	if len(indexes) == 0 {
		return nil
	}
	b := make([]byte, 0, 8*len(indexes))
	for _, i := range indexes {
		b = binary.BigEndian.AppendUint64(b, i)
	}
	if _, err := l.f.WriteAt(b, int64(8*l.count)); err != nil {
		return fmt.Errorf("writing the list of time marks: %w", err)
	}
	if err := l.f.Sync(); err != nil {
		return fmt.Errorf("writing the list of time marks: %w", err)
	}
	l.count += uint64(len(indexes))
	return nil
}

func (l *markList) at(i uint64) (uint64, error) {
	var b [8]byte
	if _, err := l.f.ReadAt(b[:], int64(8*i)); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("reading the list of time marks: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// below returns how many marks lie before a log index.
func (l *markList) below(index uint64) (uint64, error) {
	lo, hi := uint64(0), l.count
	for lo < hi {
		mid := (lo + hi) / 2
		at, err := l.at(mid)
		if err != nil {
			return 0, err
		}
		if at < index {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

func (l *markList) close() error { return l.f.Close() }
