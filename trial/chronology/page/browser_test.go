package page

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// browse opens a page in a real browser and returns what became of it and what the
// browser had to say about it.
func browse(t *testing.T, html string) (dom, console string) {
	t.Helper()
	var program string
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			program = p
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium here; make packages installs one")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "page.html")
	must(t, os.WriteFile(path, []byte(html), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	// The sandbox cannot be had by root in a container; what is opened is ours.
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--enable-logging=stderr", "--log-level=0", "--dump-dom", "file://"+path)
	cmd.WaitDelay = 10 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	for line := range strings.Lines(said.String()) {
		if strings.Contains(line, "CONSOLE") {
			console += line
		}
	}
	return out.String(), console
}

// A browser shows the page as it was written and has nothing to object to.
func TestBrowser(t *testing.T) {
	r := madeUp()
	html := written(t, r)
	dom, console := browse(t, html)
	if console != "" {
		t.Errorf("the browser says\n%s", console)
	}
	for _, tag := range []string{"<tr", "<a ", "<use ", "<rect ", "<text", "<svg", "<title"} {
		if got, want := strings.Count(dom, tag), strings.Count(html, tag); got != want {
			t.Errorf("the browser shows %d of %s, want %d", got, tag, want)
		}
	}
	for i := range r.Events {
		if e := &r.Events[i]; i != 3 && strings.Count(dom, "entry "+e.Title) == 0 && !strings.Contains(dom, "<td>"+strings.ReplaceAll(e.Title, "&", "&amp;")) {
			t.Errorf("the browser does not show %q", e.Title)
		}
	}

	// What the policy forbids would have been told.
	_, console = browse(t, strings.Replace(html, "</body>", `<p style="color:red">x</p><script>1</script></body>`, 1))
	if !strings.Contains(console, "Content Security Policy") {
		t.Errorf("a script and a style of another passed: %q", console)
	}
}
