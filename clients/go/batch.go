package client

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/trialnotary/trialnotary/trial"
)

// Limits of a batch file.
const (
	// MaxBatch bounds the statements of one batch.
	MaxBatch     = 100_000
	maxBatchFile = 1 << 30
	maxNote      = 64 << 10
)

// Item is one signed statement of a batch.
type Item struct {
	Envelope *trial.Envelope
	// Note is the caller's own, such as where the receipt goes. It is stored
	// beside the envelope and sent nowhere.
	Note string
}

// Batch is a set of signed statements that is stored durably before any of them
// is sent. After a crash, State.Pending returns it with the same bytes.
type Batch struct {
	// Items are in the order in which they were given.
	Items []Item

	name string
	// mu owns done and file: an id is in done only after its line was written.
	mu   sync.Mutex
	done map[trial.ID]bool
	file *os.File // NAME.done, locked while a process works on the batch; nil without a State
	path string   // NAME.json
}

// Begin stores a batch; nothing may be sent before it returns. A nil State keeps
// it in memory.
func (s *State) Begin(items []Item) (*Batch, error) {
	if len(items) == 0 || len(items) > MaxBatch {
		return nil, fmt.Errorf("invalid batch: got %d statements, want 1 to %d", len(items), MaxBatch)
	}
	b := &Batch{Items: items, done: map[trial.ID]bool{}}
	if s == nil {
		return b, nil
	}
	text, err := marshalBatch(items)
	if err != nil {
		return nil, err
	}
	b.name = newBatchName()
	b.path = filepath.Join(s.dir, "batches", b.name+".json")
	// The lock comes first: whoever sees the batch sees that it is in work.
	if err := b.openDone(); err != nil {
		return nil, err
	}
	if err := WriteFile(b.path, text, 0o600); err != nil {
		return nil, errors.Join(err, b.file.Close(), remove(b.donePath()))
	}
	return b, nil
}

func newBatchName() string {
	var r [8]byte
	rand.Read(r[:])
	return hex.EncodeToString(r[:])
}

// Pending returns the batches that are not finished and that no process works
// on, and takes them over. Call Release for those that are not submitted.
func (s *State) Pending() ([]*Batch, error) {
	paths, err := filepath.Glob(filepath.Join(s.dir, "batches", "*.json"))
	if err != nil {
		return nil, fmt.Errorf("listing batches: %w", err)
	}
	sort.Strings(paths)
	var batches []*Batch
	for _, path := range paths {
		b, err := takeOver(path)
		if err != nil {
			return nil, errors.Join(err, releaseAll(batches))
		}
		if b != nil {
			batches = append(batches, b)
		}
	}
	return batches, nil
}

func releaseAll(batches []*Batch) error {
	var err error
	for _, b := range batches {
		err = errors.Join(err, b.Release())
	}
	return err
}

// takeOver opens a batch; it returns nil where another process works on it or
// has just finished it.
func takeOver(path string) (*Batch, error) {
	b := &Batch{name: strings.TrimSuffix(filepath.Base(path), ".json"), path: path, done: map[trial.ID]bool{}}
	err := b.openDone()
	if errors.Is(err, errInWork) {
		return nil, nil //nolint:nilnil // nothing to take over is no error
	}
	if err != nil {
		return nil, err
	}
	text, err := readLimited(path, maxBatchFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(b.file.Close(), remove(b.donePath()))
	}
	if err == nil {
		b.Items, err = parseBatch(text)
	}
	if err == nil {
		err = b.readDone()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the stored batch %s: %w", path, err), b.file.Close())
	}
	return b, nil
}

var errInWork = errors.New("in work")

func (b *Batch) donePath() string { return strings.TrimSuffix(b.path, ".json") + ".done" }

func (b *Batch) openDone() error {
	f, err := os.OpenFile(b.donePath(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening a batch: %w", err)
	}
	got, err := lockFile(f, false)
	if err == nil && !got {
		err = errInWork
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	b.file = f
	return nil
}

// readDone reads the ids of the answered statements. A line that a crash cut
// off does not count: its statement is sent again.
func (b *Batch) readDone() error {
	text, err := os.ReadFile(b.donePath())
	if err != nil {
		return fmt.Errorf("reading a batch: %w", err)
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	if whole < len(text) {
		if err := b.file.Truncate(int64(whole)); err != nil {
			return fmt.Errorf("mending a batch: %w", err)
		}
	}
	for _, id := range parseDone(text) {
		b.done[id] = true
	}
	return nil
}

// parseDone returns the ids of whole lines; a line that is no id is ignored,
// which costs no more than sending a statement again.
func parseDone(text []byte) []trial.ID {
	var ids []trial.ID
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		if id, err := trial.ParseID(string(line[:len(line)-1])); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// Unanswered returns the items that were not answered yet, in order.
func (b *Batch) Unanswered() []Item {
	b.mu.Lock()
	defer b.mu.Unlock()
	var items []Item
	for _, it := range b.Items {
		if !b.done[statementID(it.Envelope)] {
			items = append(items, it)
		}
	}
	return items
}

// Done notes that a statement was answered for good: a receipt that is where
// the caller wants it, or a refusal.
func (b *Batch) Done(id trial.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file != nil {
		if _, err := b.file.WriteString(id.String() + "\n"); err != nil {
			return fmt.Errorf("noting an answer: %w", err)
		}
	}
	b.done[id] = true
	return nil
}

// Release lets go of the batch. If every statement was answered, the batch is
// removed; otherwise it stays for State.Pending.
func (b *Batch) Release() error {
	left := len(b.Unanswered())
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.file == nil {
		return nil
	}
	// NAME.json goes first: whoever gets the lock next finds nothing to do.
	var err error
	if left == 0 {
		err = remove(b.path)
	}
	err = errors.Join(err, b.file.Close())
	b.file = nil
	if left == 0 {
		err = errors.Join(err, remove(b.donePath()))
	}
	if err != nil {
		return fmt.Errorf("closing a batch: %w", err)
	}
	return nil
}

// remove is os.Remove for a file that another process may have removed.
func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Discard forgets the batch: its unanswered statements will not be sent again
// by this client. They may be logged already.
func (b *Batch) Discard() error {
	for _, it := range b.Unanswered() {
		if err := b.Done(statementID(it.Envelope)); err != nil {
			return err
		}
	}
	return b.Release()
}

// batchFile is the spelling of NAME.json, such as
//
//	{"version":1,"items":[{"note":"adsl.xpt.receipt.json","envelope":{"payload":…}}]}
type batchFile struct {
	Version int         `json:"version"`
	Items   []batchItem `json:"items"`
}

type batchItem struct {
	Note     string         `json:"note"`
	Envelope jsontext.Value `json:"envelope"`
}

func marshalBatch(items []Item) ([]byte, error) {
	f := batchFile{Version: 1}
	for i, it := range items {
		if it.Envelope == nil {
			return nil, fmt.Errorf("invalid batch: got no envelope for statement %d, want one", i)
		}
		if len(it.Note) > maxNote {
			return nil, fmt.Errorf("invalid batch: got a note of %d bytes for statement %d, want at most %d", len(it.Note), i, maxNote)
		}
		f.Items = append(f.Items, batchItem{Note: it.Note, Envelope: it.Envelope.Marshal()})
	}
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("storing a batch: %w", err)
	}
	return append(text, '\n'), nil
}

// parseBatch reads a batch in its one spelling.
func parseBatch(text []byte) ([]Item, error) {
	var f batchFile
	if err := json.Unmarshal(text, &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("reading the batch: %w", err)
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("invalid batch version: got %d, want 1", f.Version)
	}
	if len(f.Items) == 0 || len(f.Items) > MaxBatch {
		return nil, fmt.Errorf("invalid batch: got %d statements, want 1 to %d", len(f.Items), MaxBatch)
	}
	items := make([]Item, 0, len(f.Items))
	for i, it := range f.Items {
		env, err := trial.ParseEnvelope(it.Envelope)
		if err != nil {
			return nil, fmt.Errorf("statement %d: %w", i, err)
		}
		items = append(items, Item{Envelope: env, Note: it.Note})
	}
	again, err := marshalBatch(items)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, errors.New("invalid batch: got another spelling, want the one that was written")
	}
	return items, nil
}
