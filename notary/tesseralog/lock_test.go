package tesseralog

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/trialnotary/trialnotary/notary/receipt"
)

func TestLockErrors(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.EWOULDBLOCK: ErrInUse, syscall.EACCES: ErrInUse,
		syscall.ENOLCK: ErrNoLocks, syscall.ENOSYS: ErrNoLocks, syscall.EOPNOTSUPP: ErrNoLocks, syscall.EINVAL: ErrNoLocks,
		syscall.EIO: syscall.EIO,
	} {
		err := lockError("/srv/log", errno)
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "/srv/log") {
			t.Errorf("%v: got %v, want %v", errno, err, want)
		}
	}
	if err := lockError("/srv/log", nil); err != nil {
		t.Errorf("no error: got %v", err)
	}
}

// TestTesseraLocks: a lock that Tessera could not open would make it panic.
func TestTesseraLocks(t *testing.T) {
	for _, name := range tesseraLocks {
		f := newFixture(t)
		if err := os.RemoveAll(folder(f.dir).path(name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(folder(f.dir).path(name), 0o755); err != nil {
			t.Fatal(err)
		}
		f.refused(syscall.EISDIR, name)
	}
}

func TestKlogWarning(t *testing.T) {
	for line, want := range map[string]string{
		"W1121 11:29:00.123456       7 files.go:123] publishCheckpoint: no space left\n": "publishCheckpoint: no space left",
		"E1121 11:29:00.123456       7 files.go:123] Integrate failed: x\n":              "Integrate failed: x",
		"I1121 11:29:00.123456       7 files.go:123] Initializing\n":                     "",
		"W no header": "W no header",
		"":            "",
	} {
		if got, _ := klogWarning([]byte(line)); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestParseBody(t *testing.T) {
	const root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
	for name, test := range map[string]struct {
		text string
		ok   bool
	}{
		"good":         {"log.example\n0\n" + root + "\n", true},
		"extension":    {"log.example\n0\n" + root + "\nmore\n", false},
		"other origin": {"other.example\n0\n" + root + "\n", false},
		"leading zero": {"log.example\n00\n" + root + "\n", false},
		"short root":   {"log.example\n0\n47DE\n", false},
		"no root":      {"log.example\n0\n", false},
		"CRLF":         {"log.example\r\n0\r\n" + root + "\r\n", false},
		"empty":        {"", false},
	} {
		size, got, err := parseBody([]byte(test.text), origin)
		if (err == nil) != test.ok {
			t.Errorf("%s: got %v", name, err)
		}
		if test.ok && (size != 0 || got != emptyRoot()) {
			t.Errorf("%s: got %d, %x", name, size, got)
		}
		if !test.ok && err == nil && got != (receipt.Hash{}) {
			t.Errorf("%s: got %x", name, got)
		}
	}
}
