package tesseralog

import (
	"fmt"

	f_log "github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

// parseBody reads the text that Tessera wants signed and takes no other spelling
// of it.
func parseBody(text []byte, origin string) (size uint64, root receipt.Hash, err error) {
	var parsed f_log.Checkpoint
	rest, err := parsed.Unmarshal(text)
	switch {
	case err != nil:
		return 0, root, fmt.Errorf("reading a checkpoint to sign: %w", err)
	case parsed.Origin != origin:
		return 0, root, fmt.Errorf("invalid checkpoint to sign: got origin %q, want %q", parsed.Origin, origin)
	case len(rest) > 0 || len(parsed.Hash) != hashSize || string(parsed.Marshal()) != string(text):
		return 0, root, fmt.Errorf("invalid checkpoint to sign: got %q", text)
	}
	return parsed.Size, receipt.Hash(parsed.Hash), nil
}

// openCheckpoint verifies a checkpoint as it stands in the folder. Lines of other
// keys, such as witnesses', are allowed.
func openCheckpoint(raw []byte, verifier note.Verifier) (receipt.Checkpoint, error) {
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		return receipt.Checkpoint{}, &FileError{checkpointFile, fmt.Sprintf("not signed by %s's key: %v", verifier.Name(), err)}
	}
	size, root, err := parseBody([]byte(opened.Text), verifier.Name())
	if err != nil {
		return receipt.Checkpoint{}, &FileError{checkpointFile, err.Error()}
	}
	return receipt.Checkpoint{Origin: verifier.Name(), Size: size, Root: root, Note: raw}, nil
}

func (f folder) readCheckpoint(verifier note.Verifier) (receipt.Checkpoint, error) {
	raw, err := f.read(checkpointFile)
	if err != nil {
		return receipt.Checkpoint{}, err
	}
	return openCheckpoint(raw, verifier)
}
