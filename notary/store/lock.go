package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

var (
	// ErrInUse means that another server has the database.
	ErrInUse = errors.New("the database is in use by another server")
	// ErrNoLocks means that the database lies on a file system without file locks,
	// which SQLite needs as well.
	ErrNoLocks = errors.New("file system does not support file locks")
)

// Lock takes the database for one server until it is closed or the process ends.
// SQLite lets several processes write, which the commands that manage users rely
// on; two servers would each log statements that the other one stored. The lock is
// a file beside the database, because SQLite's locks are on the database itself.
func Lock(path string) (io.Closer, error) {
	file, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the database: %w", err)
	}
	return lock(file, syscall.LOCK_EX, syscall.F_WRLCK)
}

// LockShared takes the database for reading only, beside others who read, and
// creates nothing: where no server ever locked the database there is nothing to
// take.
func LockShared(path string) (io.Closer, error) {
	file, err := os.Open(path + ".lock")
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the lock of the database: %w", err)
	}
	return lock(file, syscall.LOCK_SH, syscall.F_RDLCK)
}

// lock takes both kinds of lock: flock for us, and the kind that SQLite uses, to
// learn that there is one.
func lock(file *os.File, how int, kind int16) (io.Closer, error) {
	err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
	if err == nil {
		err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: kind, Whence: io.SeekStart})
	}
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EACCES):
		err = fmt.Errorf("%w: %s is locked", ErrInUse, file.Name())
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EINVAL):
		err = fmt.Errorf("%w: %s: %w", ErrNoLocks, file.Name(), err)
	default:
		err = fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	return nil, errors.Join(err, file.Close())
}
