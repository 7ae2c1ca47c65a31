//go:build unix

package client

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("writing to %s: %w", dir, err)
	}
	err = d.Sync()
	if errors.Is(err, unix.EINVAL) {
		err = nil // the file system has nothing to flush
	}
	return errors.Join(err, d.Close())
}

// lockFile takes an exclusive lock on f, waiting for it if wait is set. It tells
// whether it got the lock; the lock ends with the file's closing or the process.
func lockFile(f *os.File, wait bool) (bool, error) {
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, fmt.Errorf("locking %s: %w", f.Name(), err)
		}
	}
}
