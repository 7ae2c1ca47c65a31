package tesseralog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// Tessera logs through klog, which is process-wide and writes to standard error.
// What it logs is often the only trace of a failure, such as a checkpoint that
// could not be written, so warnings and errors go to the newest log's Config.Warn.
var (
	routeKlog sync.Once
	klogSink  atomic.Pointer[func(string)]
)

func routeWarnings(warn func(string)) {
	klogSink.Store(&warn)
	routeKlog.Do(func() {
		klog.SetLoggerWithOptions(logr.Discard(), klog.WriteKlogBuffer(func(line []byte) {
			if message, ok := klogWarning(line); ok {
				(*klogSink.Load())(message)
			}
		}))
	})
}

// klogWarning returns the message of a klog line, such as
//
//	W1121 11:29:00.123456       7 files.go:123] publishCheckpoint: no space left
//
// if it is a warning or worse.
func klogWarning(line []byte) (string, bool) {
	if len(line) == 0 || line[0] == 'I' {
		return "", false
	}
	if _, message, ok := bytes.Cut(line, []byte("] ")); ok {
		line = message
	}
	return string(bytes.TrimSuffix(line, []byte("\n"))), true
}

// errDisk means that the disk failed to write or to sync a file of the log.
var errDisk = errors.New("the disk failed the log")

// warned is told what Tessera warns of. Tessera publishes again and again until
// it succeeds, which is right on a full disk. After a failed sync the next may
// succeed though the bytes are lost, so the log stops; that there was one stands
// in the message alone.
func (l *Log) warned(message string) {
	if strings.Contains(message, syscall.EIO.Error()) {
		l.stop(fmt.Errorf("%w: %s", errDisk, message))
	}
	l.cfg.Warn(message)
}
