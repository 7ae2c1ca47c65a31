package faults

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// injection is a fault that strace makes in the system calls of a process.
type injection struct {
	file   string // the system calls that were seen
	detach func() // ends the fault; the process goes on
}

// Calls that a disk may fail.
const (
	syncCalls  = "fsync,fdatasync,sync_file_range,msync,syncfs"
	writeCalls = "pwrite64,pwritev"
)

// inject makes calls of a server end in a fault from now on: those on the paths,
// or all where there are none. fault is strace's, such as "error=EIO".
func inject(t *testing.T, s *server, calls, fault string, paths ...string) *injection {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	i := &injection{file: filepath.Join(t.TempDir(), "strace")}
	args := []string{"-f", "-y", "-o", i.file, "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + fault}
	for _, p := range paths {
		args = append(args, "-P", p)
	}
	cmd := exec.Command("strace", append(args, "-p", strconv.Itoa(s.cmd.Process.Pid))...)
	said, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(said)
	attached := false
	for !attached && lines.Scan() {
		attached = strings.Contains(lines.Text(), "attached")
		if strings.Contains(lines.Text(), "not permitted") {
			t.Skipf("strace may not attach here: %s", lines.Text())
		}
	}
	if !attached {
		t.Fatal("strace did not attach")
	}
	done := make(chan struct{})
	go func() { // strace names every thread that comes
		for lines.Scan() {
		}
		close(done)
	}()
	i.detach = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
		_ = cmd.Wait()
	})
	t.Cleanup(i.detach)
	return i
}

// hits returns how many calls on files were hit so far: the server's log lines go
// to a pipe.
func (i *injection) hits(t *testing.T) (n int) {
	t.Helper()
	seen, err := os.ReadFile(i.file)
	must(t, err)
	for line := range strings.Lines(string(seen)) {
		if strings.Contains(line, "(INJECTED)") && !strings.Contains(line, "<pipe:") {
			n++
		}
	}
	return n
}
