package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// mountTmpfs mounts a small disk of so many MiB.
func mountTmpfs(t *testing.T, size int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", size)); err != nil {
		t.Skipf("mounting a small disk needs root: %v", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	return dir
}

// unmount is for folders whose users have ended.
func unmount(t *testing.T, dir string) {
	t.Helper()
	if err := syscall.Unmount(dir, 0); err != nil {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		t.Errorf("unmounting %s: %v", dir, err)
	}
}

func freeBytes(t *testing.T, dir string) int64 {
	t.Helper()
	var fs syscall.Statfs_t
	must(t, syscall.Statfs(dir, &fs))
	return int64(fs.Bavail) * fs.Bsize
}

// volume is an ext4 file system in a file, which can lose its power.
type volume struct {
	image, dir string
	mounted    bool
}

// newVolume makes and mounts one of so many MiB. Nothing reaches it but what is
// synced: the file system's own time for that is long.
func newVolume(t *testing.T, size int) *volume {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system needs root")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	v := &volume{image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir()}
	must(t, os.WriteFile(v.image, nil, 0o600))
	must(t, os.Truncate(v.image, int64(size)<<20))
	run(t, "mkfs.ext4", "-q", "-F", v.image)
	if out, err := v.mountCommand().CombinedOutput(); err != nil {
		t.Skipf("no loop device here: %v: %s", err, out)
	}
	v.mounted = true
	t.Cleanup(func() { v.unmount(t) })
	return v
}

func (v *volume) mountCommand() *exec.Cmd {
	return exec.Command("mount", "-o", "loop,commit=300,noatime", v.image, v.dir)
}

func (v *volume) mount(t *testing.T) {
	t.Helper()
	if out, err := v.mountCommand().CombinedOutput(); err != nil {
		t.Fatalf("mounting: %v: %s", err, out)
	}
	v.mounted = true
}

func (v *volume) unmount(t *testing.T) {
	t.Helper()
	if v.mounted {
		unmount(t, v.dir)
		v.mounted = false
	}
}

// cutPower stops the file system at once, as xfstests do: nothing that was not
// written to the disk yet will be, the journal's newest records included.
func (v *volume) cutPower(t *testing.T) {
	t.Helper()
	const shutdown = 0x8004587d // EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
	flags := uint32(2)          // EXT4_GOING_FLAGS_NOLOGFLUSH
	f, err := os.Open(v.dir)
	must(t, err)
	defer f.Close()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		t.Skipf("this file system cannot be shut down: %v", errno)
	}
}

// powerOn mounts what the disk holds, once every user of the old mount is gone.
func (v *volume) powerOn(t *testing.T) {
	t.Helper()
	v.unmount(t)
	v.mount(t)
}

// save copies what the disk holds after everything was written to it; restore
// brings it back, as a disk does that said "written" of what was in its memory.
func (v *volume) save(t *testing.T) {
	t.Helper()
	syscall.Sync()
	run(t, "cp", "--sparse=always", v.image, v.image+".old")
}

func (v *volume) restore(t *testing.T) {
	t.Helper()
	v.unmount(t)
	must(t, os.Rename(v.image+".old", v.image))
	v.mount(t)
}

func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}
