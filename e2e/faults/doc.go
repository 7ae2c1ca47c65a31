// Package faults holds the tests of the real server under faults that only an
// operating system can make: a disk that is full, that fails to sync, that lies
// about it, and a power cut. What a test lacks, such as root or strace, it names
// and is skipped.
package faults
