package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/trialnotary/trialnotary/notary/receipt"
	notaryv1 "github.com/trialnotary/trialnotary/proto/notary/v1"
)

// ErrOtherAnchors means that a trust folder's anchors are not those that were
// expected: another notary, another sponsor key or another trial.
var ErrOtherAnchors = errors.New("the anchors differ")

// FetchTrust fetches the trust folder of a trial, named by its charter's id or
// by a registry number. Whoever uses it for the first time must compare its
// Fingerprint by another channel: until then it proves nothing about who the
// notary and the sponsor are.
func (c *Client) FetchTrust(ctx context.Context, trial string) (*receipt.Trust, error) {
	var resp *notaryv1.GetTrustMaterialResponse
	err := c.retry(ctx, func(ctx context.Context) (err error) {
		resp, err = c.api.GetTrustMaterial(ctx, &notaryv1.GetTrustMaterialRequest{Trial: trial})
		return err
	})
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(resp.GetFiles()))
	for _, f := range resp.GetFiles() {
		if _, twice := files[f.GetPath()]; twice {
			return nil, fmt.Errorf("invalid trust folder: got %q twice, want once", f.GetPath())
		}
		files[f.GetPath()] = f.GetContent()
	}
	t, err := receipt.ParseTrust(files)
	if err != nil {
		return nil, fmt.Errorf("the notary's trust folder: %w", err)
	}
	if got := t.Charter.String(); got != resp.GetCharter() {
		return nil, fmt.Errorf("invalid trust folder: got charter %s, want %s", got, resp.GetCharter())
	}
	if got := t.Fingerprint(); got != resp.GetFingerprint() {
		return nil, fmt.Errorf("invalid trust folder: got fingerprint %s, want %s", got, resp.GetFingerprint())
	}
	return t, nil
}

// ReadTrust reads a trust folder. Files that do not belong to one are ignored.
func ReadTrust(dir string) (*receipt.Trust, error) {
	files, err := readTrustFiles(dir)
	if err != nil {
		return nil, err
	}
	t, err := receipt.ParseTrust(files)
	if err != nil {
		return nil, fmt.Errorf("the trust folder %s: %w", dir, err)
	}
	return t, nil
}

// trustPatterns name the files of a trust folder.
var trustPatterns = []string{
	"trusted_root.json", "policy", "log.vkey", "notary.pub", "sponsor.pub", "charter",
	"authority/*.json", "keys/*.pub",
}

func readTrustFiles(dir string) (map[string][]byte, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("reading the trust folder: %w", err)
	}
	root := os.DirFS(dir)
	files := map[string][]byte{}
	for _, pattern := range trustPatterns {
		paths, err := fs.Glob(root, pattern)
		if err != nil {
			return nil, fmt.Errorf("reading the trust folder: %w", err)
		}
		for _, p := range paths {
			b, err := readLimited(filepath.Join(dir, filepath.FromSlash(p)), maxTrustFile)
			if err != nil {
				return nil, fmt.Errorf("reading the trust folder: %w", err)
			}
			files[p] = b
		}
	}
	return files, nil
}

// WriteTrust writes a trust folder, or refreshes one that is there. It fails
// with ErrOtherAnchors, and changes nothing, if the folder has other anchors,
// and if an authority statement that the folder holds is missing from t: a
// notary cannot make a revocation be forgotten.
func WriteTrust(dir string, t *receipt.Trust) error {
	files := t.Files()
	held, err := readTrustFiles(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(held) > 0 {
		if err := mayRefresh(dir, held, t, files); err != nil {
			return err
		}
	}
	paths := make([]string, 0, len(files))
	for p := range files {
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			return fmt.Errorf("invalid trust folder: got the path %q, want one inside the folder", p)
		}
		paths = append(paths, p)
	}
	sort.Strings(paths)
	if len(held) == 0 {
		return writeNewTrust(dir, paths, files)
	}
	return writeTrustFiles(dir, paths, files, held)
}

// writeNewTrust makes a trust folder in one step: a part of one is none, and would
// be in the way of what comes next.
func writeNewTrust(dir string, paths []string, files map[string][]byte) error {
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("writing the trust folder: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, ".tmp-trust-*")
	if err != nil {
		return fmt.Errorf("writing the trust folder: %w", err)
	}
	err = os.Chmod(tmp, 0o755)
	if err == nil {
		err = writeTrustFiles(tmp, paths, files, nil)
	}
	if err == nil {
		// An empty folder gives way, one with something in it stays as it is.
		if err = os.Rename(tmp, dir); err == nil {
			return syncDir(parent)
		}
		err = writeTrustFiles(dir, paths, files, nil)
	}
	return errors.Join(err, os.RemoveAll(tmp))
}

func writeTrustFiles(dir string, paths []string, files, held map[string][]byte) error {
	for _, p := range paths {
		path := filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("writing the trust folder: %w", err)
		}
		if string(held[p]) == string(files[p]) {
			continue
		}
		if err := WriteFile(path, files[p], 0o644); err != nil {
			return err
		}
	}
	return nil
}

func mayRefresh(dir string, held map[string][]byte, t *receipt.Trust, files map[string][]byte) error {
	old, err := receipt.ParseTrust(held)
	if err != nil {
		return fmt.Errorf("the trust folder %s: %w", dir, err)
	}
	if err := SameAnchors(old, t); err != nil {
		return fmt.Errorf("the trust folder %s: %w", dir, err)
	}
	before, err := asOf(held, old)
	if err != nil {
		return fmt.Errorf("the trust folder %s: %w", dir, err)
	}
	after, err := asOf(files, t)
	if err != nil {
		return fmt.Errorf("invalid trust folder: %w", err)
	}
	if before != nil && (after == nil || after.Size < before.Size) {
		return fmt.Errorf("invalid trust folder: got an older list of enrolments and revocations than that of entry %d, which %s holds already", before.Size, dir)
	}
	for p := range held {
		if _, ok := files[p]; !ok && strings.HasPrefix(p, "authority/") {
			return fmt.Errorf("invalid trust folder: got none of %s, want what %s holds already", p, dir)
		}
	}
	return nil
}

// SameAnchors fails with ErrOtherAnchors unless both folders have the same
// fingerprint.
func SameAnchors(want, got *receipt.Trust) error {
	if w, g := want.Fingerprint(), got.Fingerprint(); w != g {
		return fmt.Errorf("%w: got fingerprint %s, want %s", ErrOtherAnchors, g, w)
	}
	return nil
}
