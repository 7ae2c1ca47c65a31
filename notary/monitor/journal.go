package monitor

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/notary/receipt"
	"github.com/trialnotary/trialnotary/trial"
)

// held is a statement that was checked and is in the local copy.
type held struct {
	Index uint64    `json:"logIndex"`
	ID    trial.ID  `json:"-"`
	Text  string    `json:"statementId"`
	Time  time.Time `json:"logTime,omitzero"`
	// Keys tells that it gives the trial keys.
	Keys bool `json:"keys,omitzero"`
}

// maxJournal bounds statements.ndjson, in bytes.
const maxJournal = 1 << 30

// readJournal reads statements.ndjson: one line for each statement of the copy. A
// last line without its end is what a crash left, and is dropped; its statement is
// fetched again.
func readJournal(path string) ([]held, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of statements: %w", err)
	}
	all, err := parseJournal(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func parseJournal(text []byte) ([]held, error) {
	if len(text) > maxJournal {
		return nil, fmt.Errorf("invalid list of statements: got %d bytes, want at most %d", len(text), maxJournal)
	}
	var all []held
	seen := map[trial.ID]bool{}
	for n := 1; ; n++ {
		line, rest, ok := bytes.Cut(text, []byte{'\n'})
		if !ok {
			return all, nil
		}
		text = rest
		var h held
		if err := json.Unmarshal(line, &h, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("invalid list of statements: line %d: %w", n, err)
		}
		id, err := trial.ParseID(h.Text)
		if err != nil {
			return nil, fmt.Errorf("invalid list of statements: line %d: %w", n, err)
		}
		if h.ID = id; !seen[id] {
			seen[id] = true
			all = append(all, h)
		}
	}
}

// appendJournal adds lines durably, behind the last whole line.
func appendJournal(path string, more []held) error {
	if len(more) == 0 {
		return nil
	}
	b, err := journalText(more)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("writing the list of statements: %w", err)
	}
	end, err := wholeLines(f)
	if err == nil {
		_, err = f.WriteAt(b, end)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the list of statements: %w", err)
	}
	return nil
}

// journalText writes lines of the journal.
func journalText(all []held) ([]byte, error) {
	var b []byte
	for _, h := range all {
		line, err := json.Marshal(h)
		if err != nil {
			return nil, fmt.Errorf("writing the list of statements: %w", err)
		}
		b = append(append(b, line...), '\n')
	}
	return b, nil
}

// wholeLines cuts off a last line without its end and returns the file's size.
func wholeLines(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end := info.Size()
	var last [4096]byte
	for end > 0 {
		n := min(int64(len(last)), end)
		if _, err := f.ReadAt(last[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(last[:n], '\n'); i >= 0 {
			end = end - n + int64(i) + 1
			break
		}
		end -= n
	}
	return end, f.Truncate(end)
}

// copyName is where the copy holds a receipt, without its suffix.
func copyName(index uint64) string { return fmt.Sprintf("%012d", index) }

// receipt reads a receipt of the copy back. One that is damaged is put aside, for
// whoever asks what happened to it, and leaves the list of statements, so that the
// next look fetches it again; so does one that is gone.
func (m *Monitor) receipt(h held) (*receipt.Receipt, error) {
	path := m.path(copyDir, receiptsDir, copyName(h.Index)+client.ReceiptSuffix)
	r, err := readCopy(path, h)
	if err == nil {
		return r, nil
	}
	err = fmt.Errorf("the copy's %s is damaged, the next look fetches it again: %w", path, err)
	if aside := os.Rename(path, path+".damaged"); aside != nil && !errors.Is(aside, fs.ErrNotExist) {
		return nil, errors.Join(err, aside)
	}
	return nil, errors.Join(err, m.forget(h))
}

func readCopy(path string, h held) (*receipt.Receipt, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r, err := receipt.Parse(text)
	if err != nil {
		return nil, err
	}
	if id := trial.ID(sha256.Sum256(r.Envelope.Payload)); id != h.ID || r.Index != h.Index {
		return nil, fmt.Errorf("got statement %s at index %d, want %s at %d", id, r.Index, h.ID, h.Index)
	}
	return r, nil
}

// statement reads a statement of the copy back.
func (m *Monitor) statement(h held) (*trial.Statement, error) {
	r, err := m.receipt(h)
	if err != nil {
		return nil, err
	}
	return trial.ParseStatement(r.Envelope.Payload)
}

// forget takes a statement out of the list of those that are held. The fold begins
// anew when it is there again.
func (m *Monitor) forget(h held) error {
	all := slices.DeleteFunc(slices.Clone(m.all), func(o held) bool { return o.ID == h.ID })
	text, err := journalText(all)
	if err != nil {
		return err
	}
	if err := client.WriteFile(m.path(journalFile), text, 0o600); err != nil {
		return fmt.Errorf("writing the list of statements: %w", err)
	}
	m.all, m.fold = all, nil
	delete(m.byID, h.ID)
	return nil
}
