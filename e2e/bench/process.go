//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cores is what server and generator share.
var cores = runtime.GOMAXPROCS(0)

// stopPatience is how long a server may take to end what it began.
const stopPatience = time.Minute

// process is a server that runs.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it ended
	log    string        // the file that its standard error goes to
}

// spawn starts a server in a folder. Its standard error goes to a file, as under
// a service manager.
func spawn(dir string, stdout *os.File, name string, args ...string) (*process, error) {
	p := &process{exited: make(chan struct{}), log: filepath.Join(dir, "stderr.log")}
	f, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// Not CommandContext: a server is stopped with SIGTERM, and killed only when
	// that does not help.
	p.cmd = exec.CommandContext(context.Background(), name, args...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	if stdout != nil {
		p.cmd.Stdout = stdout
	}
	// A generator that is killed takes its servers with it. main holds its
	// thread, whose end the signal is bound to.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // a server that ends early is noticed by its callers
		close(p.exited)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the server.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopPatience):
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return fmt.Errorf("%s did not stop within %v: %s", filepath.Base(p.cmd.Path), stopPatience, p.tail())
}

// tail is the end of what the server wrote.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// failed explains an error by what the server wrote, if it ended.
func (p *process) failed(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-p.exited:
		return fmt.Errorf("%w; %s ended: %s", err, filepath.Base(p.cmd.Path), p.tail())
	default:
		return err
	}
}

// clockTick is the unit of CPU times in /proc, in which it has been 100 a second
// on every Linux architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu is the CPU time that the process took until now, in user and kernel.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		return 0, err
	}
	// The command's name, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("invalid /proc/%d/stat: %q", p.pid(), stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, err
}

// memory returns the resident set and its peak, in bytes.
func (p *process) memory() (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64) // others are not asked for
		switch fields[0] {
		case "VmRSS:":
			now = kib << 10
		case "VmHWM:":
			peak = kib << 10
		}
	}
	return now, peak, nil
}

// resetPeak begins the peak anew. A kernel that does not let us leaves the peak
// since the server's start.
func (p *process) resetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid()), []byte("5"), 0)
}

// ownCPU is the CPU time of this process, all threads.
func ownCPU() time.Duration { return usage(unix.RUSAGE_SELF) }

func usage(who int) time.Duration {
	var u unix.Rusage
	if unix.Getrusage(who, &u) != nil {
		return 0 // it fails for a wrong argument only
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busyCPU is the CPU time that the whole machine spent, by whomever.
func busyCPU() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var sum int64
	for i, f := range strings.Fields(line) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the label, idle, waiting for disks, guests
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * clockTick, nil
}
