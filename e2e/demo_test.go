package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// story is the folder that one run of `notaryd demo --once` left behind. All
// tests of this package share it: they copy what they damage.
var story = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "notary-e2e-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "notaryd")
	if out, err := command("..", "go", "build", "-o", bin, "./cmd/notaryd").CombinedOutput(); err != nil {
		return "", &commandError{"go build ./cmd/notaryd", out, err}
	}
	demo := filepath.Join(dir, "demo")
	if out, err := command("..", bin, "demo", "--once", "--dir", demo).CombinedOutput(); err != nil {
		return "", &commandError{"notaryd demo --once", out, err}
	}
	return demo, nil
})

func demo(t *testing.T) string {
	t.Helper()
	dir, err := story()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := story(); err == nil {
		_ = os.RemoveAll(filepath.Dir(dir))
	}
	os.Exit(code)
}

type commandError struct {
	name   string
	output []byte
	err    error
}

func (e *commandError) Error() string { return e.name + ": " + e.err.Error() + "\n" + string(e.output) }

func command(dir, name string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	_ = cancel // the command's own end releases it; the test process ends soon after
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	return cmd
}

// read returns a file's bytes.
func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// write puts bytes into a new file of the test's own folder.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
