package main

import (
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startBound starts a process to which the modes of files apply, as they do to
// people: the tests may run as root, who reads everything. What it drops stays
// dropped for the thread alone, which ends here, and for what it starts.
func startBound(cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		for _, c := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
			has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
			if err == nil && has == 1 && unix.Geteuid() == 0 {
				err = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
			}
			if err != nil {
				started <- err
				return
			}
		}
		started <- cmd.Start()
	}()
	return <-started
}
