package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/trialnotary/trialnotary/trial/dataset"
)

// readSize is how much of a file is read at once, in bytes.
const readSize = 256 << 10

// ErrFile means that a file cannot be notarized as it is; the message names the
// file and says why.
var ErrFile = errors.New("cannot notarize")

// FileHash is a file as it was hashed.
type FileHash struct {
	// Name is the base name, or inside a folder the relative path with forward
	// slashes.
	Name string
	// Path is where it was read.
	Path   string
	Size   int64
	SHA256 [32]byte
	// Table is the content digest, where the file was hashed to be notarized.
	Table Table
}

// Progress is told how many bytes were hashed since it was last called. It is
// called by several goroutines at once.
type Progress func(bytes int64)

var buffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// HashFile streams a file through SHA-256, and where it holds a table computes
// its content digest; a table without one is no error. It fails with ErrFile for a symbolic
// link, an empty file, anything but a regular file, and a file whose size or
// modification time changed while it was read.
func HashFile(ctx context.Context, path string, progress Progress) (FileHash, error) {
	return HashFileWith(ctx, path, dataset.Options{}, progress)
}

// HashFileWith is HashFile for a table that is to be read with options: in an
// encoding that its statement then names.
func HashFileWith(ctx context.Context, path string, o dataset.Options, progress Progress) (FileHash, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return FileHash{}, fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
	}
	if err := checkRegular(path, before); err != nil {
		return FileHash{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return FileHash{}, fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
	}
	defer f.Close()
	opened, err := f.Stat()
	if err != nil {
		return FileHash{}, fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
	}
	if !os.SameFile(before, opened) || changed(before, opened) {
		return FileHash{}, fmt.Errorf("%w %s: it was replaced while it was opened", ErrFile, path)
	}
	h := FileHash{Name: filepath.Base(path), Path: path}
	h.SHA256, h.Size, err = hashReader(ctx, f, progress)
	if err != nil {
		return FileHash{}, fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
	}
	// Before the last look at the file: both digests are of the same bytes.
	if h.Table, err = readTable(ctx, f, h.Size, o); err != nil {
		return FileHash{}, fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
	}
	after, err := os.Lstat(path)
	if err != nil {
		return FileHash{}, fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
	}
	if !os.SameFile(before, after) || changed(before, after) || h.Size != before.Size() {
		return FileHash{}, fmt.Errorf("%w %s: it changed while it was read; wait until it is complete", ErrFile, path)
	}
	return h, nil
}

func hashReader(ctx context.Context, r io.Reader, progress Progress) (sum [32]byte, size int64, err error) {
	hash := sha256.New()
	pooled, _ := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	buf := *pooled
	for {
		if err := ctx.Err(); err != nil {
			return sum, size, err
		}
		n, err := r.Read(buf)
		if n > 0 {
			hash.Write(buf[:n])
			size += int64(n)
			if progress != nil {
				progress(int64(n))
			}
		}
		if err == io.EOF {
			hash.Sum(sum[:0])
			return sum, size, nil
		}
		if err != nil {
			return sum, size, err
		}
	}
}

func checkRegular(path string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%w %s: it is a symbolic link; name the file that it points to", ErrFile, path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w %s: it is neither a file nor a folder", ErrFile, path)
	case info.Size() == 0:
		return fmt.Errorf("%w %s: it is empty", ErrFile, path)
	}
	return nil
}

func changed(a, b fs.FileInfo) bool {
	return a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime())
}

// reason drops the path that our own message names already.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// HashAsIs streams a file through SHA-256 as it is now, to be compared with a
// receipt: empty files and symbolic links to files are read like others.
func HashAsIs(ctx context.Context, path string, progress Progress) (FileHash, error) {
	f, err := os.Open(path)
	if err != nil {
		return FileHash{}, fmt.Errorf("reading %s: %w", path, reason(err))
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return FileHash{}, errors.Join(fmt.Errorf("invalid file %s: got something else, want a regular file", path), err)
	}
	h := FileHash{Name: filepath.Base(path), Path: path}
	h.SHA256, h.Size, err = hashReader(ctx, f, progress)
	if err != nil {
		return FileHash{}, fmt.Errorf("reading %s: %w", path, reason(err))
	}
	return h, nil
}

// HashFolderAsIs is HashAsIs for every file of a folder, sorted bytewise by
// relative path, on all cores.
func HashFolderAsIs(ctx context.Context, root string, progress Progress) ([]FileHash, error) {
	files, err := listFolder(root, func(string, fs.FileInfo) error { return nil })
	if err != nil {
		return nil, err
	}
	return files, hashAll(ctx, files, func(ctx context.Context, path string) (FileHash, error) {
		return HashAsIs(ctx, path, progress)
	})
}

// ListFolder lists the files of a folder and its subfolders, sorted bytewise by
// relative path, with their sizes. It fails with ErrFile if there is anything
// that cannot be notarized, and names it; hidden files are files like others.
func ListFolder(root string) ([]FileHash, error) {
	info, err := os.Lstat(root)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrFile, root, reason(err))
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%w %s: it is a symbolic link; name the folder that it points to", ErrFile, root)
	}
	files, err := listFolder(root, checkRegular)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w %s: the folder holds no files", ErrFile, root)
	}
	return files, nil
}

func listFolder(root string, check func(string, fs.FileInfo) error) ([]FileHash, error) {
	var files []FileHash
	err := walkFiles(root, func(name, path string, d fs.DirEntry) error {
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
		}
		if err := check(path, info); err != nil {
			return err
		}
		files = append(files, FileHash{Name: name, Path: path, Size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b FileHash) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}

// walkFiles calls f for everything in a folder and its subfolders that is no
// folder: with its relative path with forward slashes, and with its path.
func walkFiles(root string, f func(name, path string, d fs.DirEntry) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%w %s: %w", ErrFile, path, reason(err))
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return fmt.Errorf("%w %s: %w", ErrFile, path, err)
		}
		return f(filepath.ToSlash(rel), path, d)
	})
}

// HashFolder hashes every file of a folder on all cores, sorted bytewise by
// relative path. It fails like HashFile and ListFolder.
func HashFolder(ctx context.Context, root string, progress Progress) ([]FileHash, error) {
	files, err := ListFolder(root)
	if err != nil {
		return nil, err
	}
	if err := HashAll(ctx, files, progress); err != nil {
		return nil, err
	}
	return files, UnchangedFolder(root, files)
}

// UnchangedFolder fails with ErrFile if files came to a folder or went from it
// since it was listed.
func UnchangedFolder(root string, files []FileHash) error {
	// Names are enough: whoever hashed a file looked at it afterwards.
	var again []string
	err := walkFiles(root, func(name, _ string, _ fs.DirEntry) error {
		again = append(again, name)
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(again)
	if !slices.EqualFunc(again, files, func(name string, f FileHash) bool { return name == f.Name }) {
		return fmt.Errorf("%w %s: files came or went while it was read", ErrFile, root)
	}
	return nil
}

// HashAll hashes files in place on all cores; each one's Path is read and its
// Name is kept. The first error ends it.
func HashAll(ctx context.Context, files []FileHash, progress Progress) error {
	return HashAllWith(ctx, files, dataset.Options{}, progress)
}

// HashAllWith is HashAll with the options of HashFileWith.
func HashAllWith(ctx context.Context, files []FileHash, o dataset.Options, progress Progress) error {
	return hashAll(ctx, files, func(ctx context.Context, path string) (FileHash, error) {
		return HashFileWith(ctx, path, o, progress)
	})
}

func hashAll(ctx context.Context, files []FileHash, hash func(context.Context, string) (FileHash, error)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range files {
		f := &files[i]
		g.Go(func() error {
			h, err := hash(ctx, f.Path)
			if err != nil {
				return err
			}
			if f.Name != "" {
				h.Name = f.Name
			}
			*f = h
			return nil
		})
	}
	return g.Wait()
}
