package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// State is a folder in which a client keeps what must survive a crash:
//
//	lock                      taken while a checkpoint is compared and replaced
//	checkpoints/ORIGIN        the largest checkpoint seen of a log (signed note)
//	checkpoints/ORIGIN.proven the largest one proven to continue the first
//	batches/NAME.json         statements that were signed and not all answered
//	batches/NAME.done         the ids of those that were answered
//
// Several processes may use one folder at the same time.
type State struct{ dir string }

// OpenState opens a state folder and makes it if there is none.
func OpenState(dir string) (*State, error) {
	for _, d := range []string{dir, filepath.Join(dir, "checkpoints"), filepath.Join(dir, "batches")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("making the state folder: %w", err)
		}
	}
	return &State{dir: dir}, nil
}

// Dir returns the folder's path.
func (s *State) Dir() string { return s.dir }

// lock takes the folder's lock and returns how to release it.
func (s *State) lock() (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the state folder: %w", err)
	}
	if _, err := lockFile(f, true); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// originPattern is a host name: an origin that is a file name as it stands.
var originPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

func (s *State) seenPath(origin string) (string, error) {
	if !originPattern.MatchString(origin) {
		return "", fmt.Errorf("invalid log origin: got %q, want a host name", origin)
	}
	return filepath.Join(s.dir, "checkpoints", origin), nil
}

// Checkpoint returns the largest checkpoint seen of a log; ok is false where
// none was.
func (s *State) Checkpoint(origin string) (cp receipt.Checkpoint, ok bool, err error) {
	seen, ok, err := s.loadSeen(origin)
	return seen.largest, ok, err
}

func (s *State) loadSeen(origin string) (seenLog, bool, error) {
	path, err := s.seenPath(origin)
	if err != nil {
		return seenLog{}, false, err
	}
	largest, err := readSeen(path, origin)
	if errors.Is(err, fs.ErrNotExist) {
		return seenLog{}, false, nil
	}
	if err != nil {
		return seenLog{}, false, err
	}
	proven, err := readSeen(path+".proven", origin)
	if errors.Is(err, fs.ErrNotExist) {
		return seenLog{largest: largest, proven: largest}, true, nil
	}
	if err != nil {
		return seenLog{}, false, err
	}
	if proven.Size > largest.Size {
		largest = proven // a crash between the two writes of saveSeen
	}
	return seenLog{largest: largest, proven: proven}, true, nil
}

// readSeen reads a checkpoint that was verified before it was stored. A damaged
// file is an error and never "nothing seen": that would forget the high-water
// mark.
func readSeen(path, origin string) (receipt.Checkpoint, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return receipt.Checkpoint{}, fmt.Errorf("reading the largest checkpoint: %w", err)
	}
	cp, err := receipt.ParseCheckpoint(b)
	if err != nil {
		return receipt.Checkpoint{}, fmt.Errorf("the stored checkpoint %s is damaged: %w", path, err)
	}
	if cp.Origin != origin {
		return receipt.Checkpoint{}, fmt.Errorf("the stored checkpoint %s is damaged: got origin %q, want %q", path, cp.Origin, origin)
	}
	return cp, nil
}

// saveSeen stores both checkpoints. After a crash between the two writes the
// larger one counts: see loadSeen.
func (s *State) saveSeen(origin string, seen seenLog) error {
	path, err := s.seenPath(origin)
	if err != nil {
		return err
	}
	if err := WriteFile(path+".proven", seen.proven.Note, 0o600); err != nil {
		return err
	}
	return WriteFile(path, seen.largest.Note, 0o600)
}
