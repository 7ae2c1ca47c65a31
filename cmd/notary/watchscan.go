package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	client "github.com/trialnotary/trialnotary/clients/go"
)

// sighting is a file that is not notarized as it is now.
type sighting struct {
	rel      string // with forward slashes
	size     int64
	modified time.Time
	mark     fileMark
	since    time.Time // when it was first seen so
	// failed is why it could not be notarized, told once; again is when to try
	// once more, and tries how often that was.
	failed string
	again  time.Time
	tries  int
	round  int // the last scan that saw it
}

func (s *sighting) same(info fs.FileInfo) bool {
	return s.size == info.Size() && s.modified.Equal(info.ModTime()) && s.mark == markOf(info)
}

// fileMark tells apart what has one size and one time of change: writers can set
// that time, and a copy brings the original's. It is zero where the system says
// nothing of the kind.
type fileMark struct {
	// changed is when the system itself noted the last change, in nanoseconds.
	changed int64
	// inode is which file it is. Some network file systems number files anew when
	// they are mounted, so it is compared within one run only.
	inode uint64
}

// scan looks at every file and returns those that may be notarized now.
func (w *watcher) scan(ctx context.Context) ([]*sighting, error) {
	if there, err := w.folderThere(); err != nil || !there {
		return nil, err
	}
	w.counts.Refused, w.counts.Failed, w.counts.Waiting, w.counts.Earlier = 0, 0, 0, nil
	w.round++
	var ready []*sighting
	err := filepath.WalkDir(w.root, func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rel := w.rel(p)
		if err != nil {
			if p == w.root {
				return err
			}
			// A file that went away in this moment is seen next time, or never.
			if !errors.Is(err, fs.ErrNotExist) {
				w.fail(w.sight(rel, nil), pathReason(err))
			}
			return nil
		}
		if d.IsDir() {
			if p != w.root && (!w.o.recursive || left(d.Name()) || w.isMine(d)) {
				return fs.SkipDir
			}
			return nil
		}
		if s := w.look(rel, d); s != nil {
			ready = append(ready, s)
		}
		return nil
	})
	for rel, s := range w.seen {
		if s.round != w.round && err == nil {
			delete(w.seen, rel)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.folderGone(err)
		return nil, nil
	}
	if err == nil && w.gone { // only now: a folder can be there and not be readable
		w.gone = false
		w.tell(watchEvent{Event: eventBack, Path: w.root})
	}
	return ready, err
}

// folderThere tells whether there is a folder to look at, and takes its lock
// again where it is another one than before.
func (w *watcher) folderThere() (bool, error) {
	info, err := os.Lstat(w.root)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no folder any more")
	}
	if err != nil {
		w.folderGone(err)
		return false, nil
	}
	if w.lock == nil || w.lock.Holds(filepath.Join(w.root, lockName)) {
		return true, nil
	}
	old := w.lock
	w.lock = nil
	return true, errors.Join(old.Unlock(), w.lockFolder())
}

func (w *watcher) folderGone(err error) {
	if !w.gone {
		w.gone = true
		w.tell(watchEvent{Event: eventGone, Path: w.root, Message: pathReason(err)})
	}
}

// look returns a file that has not changed for long enough.
func (w *watcher) look(rel string, d fs.DirEntry) *sighting {
	if left(d.Name()) || !w.wanted(rel) || w.isMine(d) {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return nil // it went away
	}
	if !info.Mode().IsRegular() {
		s := w.sight(rel, info)
		why := "it is neither a file nor a folder"
		if info.Mode()&fs.ModeSymlink != 0 {
			why = "it is a symbolic link, which is not followed"
		}
		if s.failed != why {
			s.failed = why
			w.tell(watchEvent{Event: eventSkipped, Path: rel, Message: why})
		}
		return nil
	}
	if k, ok := w.index.files[rel]; ok && k.same(info) {
		delete(w.seen, rel)
		if k.status == watchRefused {
			w.counts.refusedEarlier(rel)
		}
		return nil
	}
	s := w.sight(rel, info)
	now := w.now()
	switch {
	case now.Sub(s.since) < w.o.settle:
		w.counts.Waiting++
	case s.failed != "" && now.Before(s.again):
		w.counts.Failed++
	default:
		return s
	}
	return nil
}

// sight notes that a file is there. Without info it is one that cannot be looked at.
func (w *watcher) sight(rel string, info fs.FileInfo) *sighting {
	s, ok := w.seen[rel]
	if !ok || info != nil && !s.same(info) {
		failed := ""
		if ok {
			failed = s.failed // the same trouble is not told again
		}
		s = &sighting{rel: rel, since: w.now(), failed: failed}
		if info != nil {
			s.size, s.modified, s.mark = info.Size(), info.ModTime(), markOf(info)
		}
		w.seen[rel] = s
	}
	s.round = w.round
	return s
}

// fail tells once why a file cannot be notarized; it is tried again, ever more
// rarely.
func (w *watcher) fail(s *sighting, why string) {
	w.counts.Failed++
	if s.failed != why {
		s.failed = why
		w.tell(watchEvent{Event: eventFailed, Path: s.rel, Message: why})
	}
	s.again = w.now().Add(max(w.o.poll, retryAfter(s.tries)))
	s.tries++
}

// partial are the ends of the names under which programs write a file that is
// not complete.
var partial = []string{
	"~", ".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".tmp", ".temp", ".swp", ".swx", ".lock",
}

// ours are the ends of the names of what notary writes.
var ours = []string{client.ReceiptSuffix, client.EvidenceSuffix, client.ManifestSuffix, ".proof.json"}

// left tells whether a name is left out: hidden, not complete, or our own.
func left(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, ".") || strings.HasPrefix(lower, "~") {
		return true
	}
	for _, list := range [][]string{partial, ours} {
		for _, end := range list {
			if strings.HasSuffix(lower, end) {
				return true
			}
		}
	}
	return false
}

// wanted applies --include and --exclude.
func (w *watcher) wanted(rel string) bool {
	if matches(w.o.exclude, rel) {
		return false
	}
	return len(w.o.include) == 0 || matches(w.o.include, rel)
}

// matches tells whether a pattern fits: the path in the folder where it has a
// slash, else the name.
func matches(globs []string, rel string) bool {
	for _, glob := range globs {
		name := rel
		if !strings.Contains(glob, "/") {
			name = path.Base(rel)
		}
		if ok, err := path.Match(glob, name); err == nil && ok {
			return true
		}
	}
	return false
}

// isMine tells whether it is the configuration, a key, or a folder of notary.
func (w *watcher) isMine(d fs.DirEntry) bool {
	for _, m := range w.mine {
		if m.Name() != d.Name() || m.IsDir() != d.IsDir() {
			continue
		}
		if info, err := d.Info(); err == nil && os.SameFile(info, m) {
			return true
		}
	}
	return false
}

func (w *watcher) rel(p string) string {
	rel, err := filepath.Rel(w.root, p)
	if err != nil {
		return p
	}
	return filepath.ToSlash(rel)
}

// path is where a file lies, and name where its receipt goes, without suffix.
func (w *watcher) path(rel string) string { return filepath.Join(w.root, filepath.FromSlash(rel)) }
func (w *watcher) name(rel string) string {
	return filepath.Join(w.receipts, filepath.FromSlash(rel))
}
