//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/datasettest"
)

const (
	digestToolName = "content digest of a transport file, GB/s; sha256sum"
	digestGoName   = "content digest of a transport file, GB/s; Go's SHA-256"
)

// measureDigest holds the content digest of a SAS XPORT file against SHA-256 over
// the same file, in turns: with sha256sum, and with the package that it uses
// itself. The file is in the page cache, and each uses one core.
func (b *bench) measureDigest(ctx context.Context) error {
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		b.logf("digest: there is no sha256sum to hold it against")
	}
	dir, remove, err := b.fresh()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "adsl.xpt")
	size, err := b.writeTable(path)
	if err != nil {
		return err
	}
	for range 2*b.rounds + 1 {
		if err := b.digestOnce(ctx, tool, path, size); err != nil {
			return err
		}
	}
	return remove()
}

// writeTable writes a transport file of a table of the shape of ADSL.
func (b *bench) writeTable(path string) (size int64, err error) {
	repeat := 1024 // 370 MB
	if b.quick {
		repeat = 128
	}
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	if err := (datasettest.XPT{Repeat: repeat}).Write(f, datasettest.Subjects(1000)); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), f.Close()
}

// timing is what something took.
type timing struct{ clock, cpu time.Duration }

func timed(f func() error) (timing, error) {
	began, cpu := time.Now(), ownCPU()
	err := f()
	return timing{time.Since(began), ownCPU() - cpu}, err
}

func (b *bench) digestOnce(ctx context.Context, tool, path string, size int64) error {
	ours, err := timed(func() error { return contentDigest(ctx, path) })
	if err != nil {
		return err
	}
	plain, err := timed(func() error { return fileDigest(path) })
	if err != nil {
		return err
	}
	gigabytes := func(d time.Duration) float64 { return float64(size) / 1e9 / d.Seconds() }
	pairWith := func(name string, other timing) {
		b.result.pair(name, pair{gigabytes(ours.clock), gigabytes(other.clock), gigabytes(ours.cpu), gigabytes(other.cpu)})
	}
	pairWith(digestGoName, plain)
	b.logf("digest: %.2f GB/s, Go's SHA-256 %.2f GB/s", gigabytes(ours.cpu), gigabytes(plain.cpu))
	if tool == "" {
		return nil
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, tool, path)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running sha256sum: %w", err)
	}
	pairWith(digestToolName, timing{time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()})
	return nil
}

func contentDigest(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	r, err := dataset.Open(io.NewSectionReader(f, 0, info.Size()), dataset.Options{})
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = dataset.Digest(ctx, r)
	return err
}

func fileDigest(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{f}, make([]byte, 64<<10))
	return err
}
