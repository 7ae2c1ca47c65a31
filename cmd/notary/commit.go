package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// commits tells whether a draft's file is submitted as a commitment, and under
// which name: "" is the file's own, in a reveal.
func commits(d *client.Draft) (name string, ok bool) {
	switch b := d.Predicate.Body.(type) {
	case *trial.RevealBody:
		return "", true
	case *trial.UnblindingBody:
		return "participant", b.Scope == trial.UnblindParticipant
	}
	return d.Predicate.Kind.FixedSubject()
}

// aboutNoFile tells whether the draft is about something that its body names.
func aboutNoFile(d *client.Draft) bool {
	name, _ := d.Predicate.Kind.FixedSubject()
	_, committed := commits(d)
	return name != "" && !committed
}

// commit replaces the subject of the one input by a commitment to it, and gives a
// reveal its salt. The file's SHA-256 leaves this machine in a reveal alone.
func (a *app) commit(d *client.Draft, saltFile string, inputs []*input) error {
	name, ok := commits(d)
	reveal, opens := d.Predicate.Body.(*trial.RevealBody)
	switch {
	case !ok && saltFile != "":
		return fmt.Errorf("invalid --salt: a %s commits to nothing", d.Predicate.Kind)
	case !ok:
		return nil
	case len(inputs) != 1 || len(inputs[0].files) != 1:
		return fmt.Errorf("invalid PATH: a %s commits to one file", d.Predicate.Kind)
	case saltFile == "" && (!opens || reveal.Salt == [32]byte{}):
		return errors.New("missing --salt: want the file with the salt of the commitment; keep it, it opens the commitment")
	}
	file := inputs[0].files[0]
	var salt [32]byte
	var err error
	if saltFile == "" {
		salt = reveal.Salt
	} else if salt, err = a.readSalt(saltFile, !opens); err != nil {
		return err
	}
	c, err := commitTo(salt, file)
	if err != nil {
		return err
	}
	if !opens {
		inputs[0].subjects = []trial.Subject{{Name: name, Digests: c.Digests()}}
		return nil
	}
	reveal.Salt = salt
	inputs[0].subjects = []trial.Subject{{Name: file.Name, Digests: append(trial.SHA256(file.SHA256), c.Digests()...)}}
	return nil
}

// commitTo reads a file that was hashed once more, for its commitment.
func commitTo(salt [32]byte, file client.FileHash) (trial.Commitment, error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return trial.Commitment{}, fmt.Errorf("reading %s: %w", file.Path, err)
	}
	defer f.Close()
	h := sha256.New()
	c, err := trial.Commit(salt, io.TeeReader(f, h))
	if err != nil {
		return trial.Commitment{}, fmt.Errorf("%s: %w", file.Path, err)
	}
	if [32]byte(h.Sum(nil)) != file.SHA256 {
		return trial.Commitment{}, fmt.Errorf("%w %s: it changed while it was read; wait until it is complete", client.ErrFile, file.Path)
	}
	return c, nil
}

// readSalt reads 64 hexadecimal characters, and makes the file where it may and
// there is none.
func (a *app) readSalt(path string, fresh bool) (salt [32]byte, err error) {
	text, err := a.readInput(path, 1<<10)
	switch {
	case fresh && errors.Is(err, fs.ErrNotExist):
		if _, err := rand.Read(salt[:]); err != nil {
			return salt, fmt.Errorf("reading random bytes: %w", err)
		}
		if err := client.WriteNew(path, []byte(hex.EncodeToString(salt[:])+"\n"), 0o600); err != nil {
			return salt, err
		}
		a.notef("%s: a new salt; keep it as secret as the file: without it the commitment cannot be opened", path)
		return salt, nil
	case err != nil:
		return salt, fmt.Errorf("reading the salt: %w", err)
	}
	c, err := trial.ParseCommitment(strings.TrimSpace(string(text))) // the same form
	if err != nil || c == (trial.Commitment{}) {
		return salt, fmt.Errorf("invalid salt %s: want 64 lowercase hexadecimal characters, 32 random bytes", path)
	}
	return c, nil
}

// submitAbout submits a statement that is about no file.
func (a *app) submitAbout(ctx context.Context, flags *predicateFlags, file *predicateFile) error {
	role := trial.Role(first(flags.role, string(file.Role)))
	kind := trial.Kind(first(flags.kind, string(file.Kind)))
	return a.act(ctx, kind, role, func(_ *connection, _ *client.Book, _ *signer, d *client.Draft) error {
		if err := a.fill(d, flags, file); err != nil {
			return err
		}
		if _, committed := commits(d); committed {
			return fmt.Errorf("nothing to submit: want the PATH that the %s commits to", kind)
		}
		return nil
	})
}
