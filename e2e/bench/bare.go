//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// bareP256 returns how many P-256 signatures one core verifies a second: by the
// clock, and of the thread's own CPU time, which a busy machine falsifies less.
func bareP256(d time.Duration) (byClock, byCPU float64) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, 0 // crypto/rand does not fail
	}
	digest := sha256.Sum256([]byte("the figure that no notary exceeds"))
	sig, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		return 0, 0
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n := 0
	began, cpu := time.Now(), usage(unix.RUSAGE_THREAD)
	for time.Since(began) < d {
		for range 50 {
			if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], sig) {
				return 0, 0
			}
		}
		n += 50
	}
	return float64(n) / time.Since(began).Seconds(), float64(n) / (usage(unix.RUSAGE_THREAD) - cpu).Seconds()
}
