package tesseralog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// lockName is this package's own lock. Tessera locks its files for each write
// only, so that two servers would take turns and each would think the log its own.
const lockName = stateFolder + "/server.lock"

// tesseraLocks are locked by Tessera while it works, and one of them makes it
// panic if it can't.
var tesseraLocks = []string{stateFolder + "/treeState.lock", stateFolder + "/publish.lock", stateFolder + "/gcState.lock"}

// heldLock is the descriptor of a lock. It is no os.File, whose finalizer would
// unlock the folder of a Log that Close gave up on.
type heldLock int

// noLock is what a folder that was never locked is read under.
const noLock = heldLock(-1)

func (h heldLock) Close() error {
	if h == noLock {
		return nil
	}
	if err := syscall.Close(int(h)); err != nil {
		return fmt.Errorf("unlocking the log folder: %w", err)
	}
	return nil
}

// lock takes the folder until the lock is closed or the process ends.
func (f folder) lock() (heldLock, error) {
	fd, err := syscall.Open(f.path(lockName), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return 0, fmt.Errorf("opening the lock of the log folder %s: %w", f, err)
	}
	held := heldLock(fd)
	err = lockError(string(f), syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB))
	if err == nil {
		err = f.probeTesseraLocks()
	}
	if err != nil {
		return 0, errors.Join(err, held.Close())
	}
	return held, nil
}

// lockShared takes the folder for reading only, beside others who read, and makes
// no file: a lock that is not there was never taken.
func (f folder) lockShared() (heldLock, error) {
	fd, err := syscall.Open(f.path(lockName), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock, nil
	}
	if err != nil {
		return noLock, fmt.Errorf("opening the lock of the log folder %s: %w", f, err)
	}
	held := heldLock(fd)
	err = lockError(string(f), syscall.Flock(fd, syscall.LOCK_SH|syscall.LOCK_NB))
	if err == nil {
		// The other kind, which Tessera takes, to learn that there is one.
		whole := syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart}
		err = lockError(string(f), syscall.FcntlFlock(uintptr(fd), syscall.F_SETLK, &whole))
	}
	if err != nil {
		return noLock, errors.Join(err, held.Close())
	}
	return held, nil
}

// probeTesseraLocks takes and drops the locks that Tessera will need. Locks of
// this kind are a process's: they say nothing about another Log in this one.
func (f folder) probeTesseraLocks() error {
	for _, name := range tesseraLocks {
		file, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return fmt.Errorf("opening a lock of the log folder: %w", err)
		}
		whole := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
		err = lockError(string(f), syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &whole))
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// lockError names what a lock call's error number means for the folder.
func lockError(dir string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: %s", ErrInUse, dir)
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("%w: %s: %w", ErrNoLocks, dir, err)
	}
	return fmt.Errorf("locking the log folder %s: %w", dir, err)
}
