package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// watchIndex spares watch to hash a folder again at every start, and keeps what
// was refused. It decides nothing that receipts and stored batches decide: where
// it is lost, files are hashed again and refusals told again, and no file that
// has its receipt gets a second statement.
type watchIndex struct {
	path  string
	files map[string]watched
	lines int      // in the file
	f     *os.File // open for appending
	w     *bufio.Writer
}

// watched is what was last done about a path.
type watched struct {
	size     int64
	modified time.Time
	changed  int64 // see fileMark
	sha256   [32]byte
	status   string
	id       trial.ID
}

const (
	watchNotarized = "notarized"
	watchRefused   = "refused"
)

func (k watched) same(info fs.FileInfo) bool {
	return k.size == info.Size() && k.modified.Equal(info.ModTime()) && k.changed == markOf(info).changed
}

// watchLine is a line of the index, such as
//
//	{"path":"dm.xpt","size":4096,"modified":"2026-01-31T09:00:00Z","changed":1769850000000000000,"sha256":"…","status":"notarized","statement":"…"}
type watchLine struct {
	Path      string    `json:"path"`
	Size      int64     `json:"size"`
	Modified  time.Time `json:"modified"`
	Changed   int64     `json:"changed,omitzero"`
	SHA256    string    `json:"sha256"`
	Status    string    `json:"status"`
	Statement string    `json:"statement"`
}

const maxWatchLine = 64 << 10

// watchName is the name of a folder's index for one trial.
func watchName(root string, charter trial.ID) string {
	sum := sha256.Sum256([]byte(charter.String() + "\n" + root))
	return hex.EncodeToString(sum[:16])
}

func openWatchIndex(path string) (*watchIndex, error) {
	x := &watchIndex{path: path}
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.files = map[string]watched{}
	case err != nil:
		return nil, fmt.Errorf("reading what was watched: %w", err)
	default:
		x.files, err = readWatchIndex(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("reading what was watched: %s: %w", path, err)
		}
	}
	if err := x.compact(); err != nil {
		return nil, err
	}
	return x, nil
}

// forgetRefused drops what was refused, so that it is submitted once more.
func (x *watchIndex) forgetRefused() {
	for rel, k := range x.files {
		if k.status == watchRefused {
			delete(x.files, rel)
		}
	}
}

// readWatchIndex reads lines; of two about one path the later counts. A line that
// is damaged does not count, nor what follows an endless one: those files are hashed again.
func readWatchIndex(r io.Reader) (map[string]watched, error) {
	files := map[string]watched{}
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxWatchLine)
	for in.Scan() {
		if rel, k, ok := parseWatchLine(in.Bytes()); ok {
			files[rel] = k
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, err
	}
	return files, nil
}

func parseWatchLine(text []byte) (string, watched, bool) {
	var l watchLine
	if err := json.Unmarshal(bytes.TrimSpace(text), &l, json.RejectUnknownMembers(true)); err != nil {
		return "", watched{}, false
	}
	k := watched{size: l.Size, modified: l.Modified, changed: l.Changed, status: l.Status}
	sum, err := trial.ParseID(l.SHA256) // the same form
	if err != nil {
		return "", k, false
	}
	k.sha256 = sum
	if k.id, err = trial.ParseID(l.Statement); err != nil {
		return "", k, false
	}
	clean := l.Path != "" && l.Path == path.Clean(l.Path) && !path.IsAbs(l.Path) && l.Path != ".." && !strings.HasPrefix(l.Path, "../")
	return l.Path, k, clean && l.Size > 0 && (l.Status == watchNotarized || l.Status == watchRefused)
}

func marshalWatchLine(rel string, k watched) ([]byte, error) {
	text, err := json.Marshal(watchLine{
		Path: rel, Size: k.size, Modified: k.modified.UTC(), Changed: k.changed, SHA256: hex.EncodeToString(k.sha256[:]), Status: k.status, Statement: k.id.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("noting what was watched: %w", err)
	}
	return append(text, '\n'), nil
}

// compact writes the index anew, without lines that later ones replaced or a crash
// cut off, and opens it.
func (x *watchIndex) compact() error {
	var text bytes.Buffer
	for rel, k := range x.files {
		line, err := marshalWatchLine(rel, k)
		if err != nil {
			return err
		}
		text.Write(line)
	}
	if err := client.WriteFile(x.path, text.Bytes(), 0o600); err != nil {
		return err
	}
	x.lines = len(x.files)
	var err error
	if x.f, err = os.OpenFile(x.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return fmt.Errorf("noting what was watched: %w", err)
	}
	x.w = bufio.NewWriter(x.f)
	return nil
}

// put notes what was done about a path.
func (x *watchIndex) put(rel string, k watched) error {
	line, err := marshalWatchLine(rel, k)
	if err != nil {
		return err
	}
	x.files[rel] = k
	x.lines++
	_, _ = x.w.Write(line) // sync sees whether it could be written
	return nil
}

// sync hands on what was noted. That it may be lost in a power cut costs no more
// than hashing again.
func (x *watchIndex) sync() error {
	// After a full disk the file ends anywhere and takes nothing more: it is written
	// anew, now or when there is room.
	if err := x.w.Flush(); err == nil && x.lines <= 2*len(x.files)+1000 {
		return nil
	}
	_ = x.f.Close()
	return x.compact()
}

func (x *watchIndex) close() error {
	if x.f == nil {
		return nil
	}
	return errors.Join(x.w.Flush(), x.f.Close())
}
