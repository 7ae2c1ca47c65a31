package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
)

// fit leaves out, and tells, what could be signed and then have no receipt: that
// would hold up every file after it.
func (w *watcher) fit(ready []*sighting) []*sighting {
	folders := map[string]error{}
	return slices.DeleteFunc(ready, func(s *sighting) bool {
		name := w.name(s.rel)
		folder := filepath.Dir(name)
		err, asked := folders[folder]
		if !asked {
			err = mayWrite(folder)
			folders[folder] = err
		}
		if !utf8.ValidString(s.rel) {
			err = errors.New("its name is not in UTF-8, and a statement could not name it")
		}
		if err == nil {
			err = roomFor(name)
		}
		if err != nil {
			w.fail(s, err.Error())
		}
		return err != nil
	})
}

// mayWrite fails where no receipt can be written into a folder.
func mayWrite(folder string) error {
	err := os.MkdirAll(folder, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(folder, ".notary-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot write receipts: %w; want another folder: --receipts DIR", err)
	}
	return nil
}

// roomFor fails where the receipt and the evidence of a file, or those that a later
// one would push aside, cannot have their names.
func roomFor(name string) error {
	for _, path := range []string{name + client.EvidenceSuffix, kept(name, trial.ID{}) + client.EvidenceSuffix} {
		info, err := os.Lstat(path)
		switch {
		case err == nil && !info.Mode().IsRegular():
			return fmt.Errorf("cannot write the evidence: %s is no file", path)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("cannot write the evidence: %s: %s", path, pathReason(err))
		}
	}
	return nil
}

// kept is the name, without suffix, under which the receipt of an earlier statement
// is set aside.
func kept(name string, id trial.ID) string { return name + "." + id.String()[:16] }
