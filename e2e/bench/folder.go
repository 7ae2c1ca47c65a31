//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
)

const hashingName = "hashing a folder, GB/s; cores x sha256sum"

// measureHashing holds the client's folder hashing against sha256sum over the
// same files, in turns. The files are in the page cache: what is compared is
// hashing, not the disk.
func (b *bench) measureHashing(ctx context.Context) error {
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		b.logf("hashing: not measured, there is no sha256sum")
		return nil //nolint:nilerr // there is nothing to hold ours against, and that is printed
	}
	dir, remove, err := b.fresh()
	if err != nil {
		return err
	}
	files, size, err := writeFiles(dir, b.quick)
	if err != nil {
		return err
	}
	for range 2*b.rounds + 1 {
		if err := b.hashOnce(ctx, tool, dir, files, size); err != nil {
			return err
		}
	}
	return remove()
}

func (b *bench) hashOnce(ctx context.Context, tool, dir string, files []string, size int64) error {
	began := time.Now()
	cmd := exec.CommandContext(ctx, tool, files...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("running sha256sum: %w", err)
	}
	toolTime, toolCPU := time.Since(began), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	began = time.Now()
	cpu := ownCPU()
	if _, err := client.HashFolder(ctx, dir, nil); err != nil {
		return err
	}
	took, ownTime := time.Since(began), ownCPU()-cpu
	gigabytes := func(d time.Duration) float64 { return float64(size) / 1e9 / d.Seconds() }
	// By the clock we use all cores and the tool one; of CPU time each has one.
	b.result.pair(hashingName, pair{gigabytes(took), float64(cores) * gigabytes(toolTime), gigabytes(ownTime), gigabytes(toolCPU)})
	b.logf("hashing: %.2f GB/s, sha256sum %.2f GB/s on one core", gigabytes(took), gigabytes(toolTime))
	return nil
}

// writeFiles makes a folder of files as studies have them: a few large ones and
// many small ones.
func writeFiles(dir string, quick bool) (files []string, total int64, err error) {
	sizes := []int{128 << 20, 64 << 20, 64 << 20}
	for range 32 {
		sizes = append(sizes, 8<<20)
	}
	for range 500 {
		sizes = append(sizes, 20<<10)
	}
	if quick {
		sizes = sizes[2:]
	}
	block := make([]byte, 128<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(block) // never fails
	for i, size := range sizes {
		path := filepath.Join(dir, fmt.Sprintf("file-%04d.bin", i))
		if err := os.WriteFile(path, block[:size], 0o644); err != nil {
			return nil, 0, err
		}
		files, total = append(files, path), total+int64(size)
	}
	return files, total, nil
}
