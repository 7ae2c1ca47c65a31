package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadmeTour runs every ```sh block of the README in one shell, in order, as
// a reader would, and looks for what the text around them says.
func TestReadmeTour(t *testing.T) {
	readme := read(t, filepath.Join("..", "README.md"))
	var script strings.Builder
	script.WriteString("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllSubmatch(readme, -1)
	if len(blocks) < 5 {
		t.Fatalf("the README has %d blocks of commands, want the tour", len(blocks))
	}
	for _, b := range blocks {
		script.Write(b[1])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script.String())
	cmd.Dir = ".."
	gopath := t.TempDir()
	tmp := t.TempDir()
	cmd.Env = append(os.Environ(), "GOBIN="+filepath.Join(gopath, "bin"), "TMPDIR="+tmp,
		"PATH="+filepath.Join(gopath, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the tour fails: %v\n%s", err, out)
	}
	for _, want := range []string{
		"vs.csv: notarized as entry", "vs.csv: identical", "file differs, contents not comparable", "exit status 1",
		`"kind":"dataset"`, "tour.example", "all agree with the high-water mark",
	} {
		if !strings.Contains(strings.ReplaceAll(string(out), `": "`, `":"`), want) {
			t.Errorf("the tour's output has no %q:\n%s", want, out)
		}
	}
	fingerprints := regexp.MustCompile(`(?m)ingerprint\W+([0-9a-f]{64})`).FindAllSubmatch(out, -1)
	for _, f := range fingerprints {
		if string(f[1]) != string(fingerprints[0][1]) {
			t.Errorf("two trust folders of one trial have different fingerprints:\n%s", out)
		}
	}
	if len(fingerprints) < 2 {
		t.Errorf("the tour compared no fingerprints:\n%s", out)
	}
}
