package k8s

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// fence finds the fenced blocks of a page.
var fence = regexp.MustCompile("(?s)\n```([a-z]*)\n(.*?\n)```\n")

// overlay returns the repository's manifests as `trialnotary` and, beside them,
// the files that docs/deploy.md tells its reader to write. A block whose first
// line is a comment with a path is such a file.
func overlay(t *testing.T) files {
	t.Helper()
	out := files{}
	for name, content := range source(t) {
		out["trialnotary/"+name] = content
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/deploy.md"))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		first, _, _ := strings.Cut(block[2], "\n")
		if name, ok := strings.CutPrefix(first, "# deploy/"); ok && block[1] == "yaml" {
			out["deploy/"+name] = block[2]
			n++
		}
	}
	if n != 3 {
		t.Fatalf("got %d files in docs/deploy.md, want 3", n)
	}
	return out
}

const (
	ownInit   = "deploy/init"
	ownServer = "deploy/server"
	ownOrigin = "notary-2026.example.org"
)

// TestDocumentedOverlay holds that what docs/deploy.md tells its reader to write
// keeps every promise.
func TestDocumentedOverlay(t *testing.T) {
	if err := overlay(t).checkAll(ownInit, ownServer, ownOrigin); err != nil {
		t.Error(err)
	}
}

// TestSpoiltOverlays refuses what a reader may get wrong.
func TestSpoiltOverlays(t *testing.T) {
	const (
		config     = "deploy/server/notaryd.yaml"
		server     = "deploy/server/kustomization.yaml"
		initial    = "deploy/init/kustomization.yaml"
		components = "trialnotary/k8s/components/"
	)
	for _, tc := range []struct {
		name, file, from, to string
		want                 string
	}{
		{"origins differ", config, "origin: notary-2026.example.org", "origin: notary-2027.example.org", "origin"},
		{"mark on the log's claim", config, "/var/lib/notaryd-mark/mark", "/var/lib/notaryd/mark", "markPath"},
		{"mark without a claim", server, "  - ../../trialnotary/k8s/components/second-mark\n", "", "markPath"},
		{"certificate without a Secret", server, "  - ../../trialnotary/k8s/components/tls-secret\n", "", "Secret"},
		{"key for everybody", components + "tls-secret/kustomization.yaml", "0440", "0444", "defaultMode"},
		{"shared mark", components + "second-mark/kustomization.yaml", "ReadWriteOncePod", "ReadWriteMany", "ReadWriteOncePod"},
		{"tag", server, "    digest: sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n", "    newTag: latest\n", "by digest"},
		{"another image for init", initial, "newName: registry.example.org/notaryd", "newName: registry.example.org/other", "as elsewhere"},
		{"prefix", server, "namespace: trial-notary\n", "namespace: trial-notary\nnamePrefix: my-\n", "my-notaryd"},
		{"another namespace", server, "namespace: trial-notary\n", "namespace: elsewhere\n", "elsewhere"},
		{"misspelt kustomization", server, "components:", "component:", "component"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := overlay(t)
			f.replace(t, tc.file, tc.from, tc.to)
			err := f.checkAll(ownInit, ownServer, ownOrigin)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("refused for another reason:\n got %v\nwant %q", err, tc.want)
			}
		})
	}
}

// unit returns the systemd unit of docs/operations.md.
func unit(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range fence.FindAllStringSubmatch(string(page), -1) {
		if block[1] == "ini" {
			found = append(found, block[2])
		}
	}
	if len(found) != 1 {
		t.Fatalf("got %d ini blocks in docs/operations.md, want one", len(found))
	}
	return found[0]
}

// TestUnit has systemd itself read the unit, without one that runs.
func TestUnit(t *testing.T) {
	text := unit(t)
	for _, want := range []string{
		"\nExecStart=/usr/local/bin/notaryd serve --config /var/lib/notaryd/notary/notaryd.yaml\n",
		"\nAssertPathExists=/var/lib/notaryd/notary/notaryd.yaml\n",
		"\nTimeoutStopSec=60s\n", // times.shutdown and half a minute, as in the pod
		"\nNoNewPrivileges=yes\n",
		"\nProtectSystem=strict\n",
		"\nCapabilityBoundingSet=\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit lacks %q", strings.TrimSpace(want))
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not in PATH")
	}
	for _, tc := range []struct {
		name, from, to string
		ok             bool
	}{
		{"as it stands", "", "", true},
		{"misspelt setting", "ProtectSystem=", "ProtectSytem=", false},
		{"unknown value", "KillMode=mixed", "KillMode=mxed", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// The program is not installed where the tests run.
			text := strings.Replace(text, "/usr/local/bin/notaryd", "/bin/sh", 1)
			if tc.from != "" {
				text = strings.Replace(text, tc.from, tc.to, 1)
			}
			file := filepath.Join(t.TempDir(), "notaryd.service")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			// It warns of what it does not know, and exits with 0.
			out, err := exec.Command(analyze, "verify", file).CombinedOutput()
			if ok := err == nil && !strings.Contains(string(out), "notaryd.service:"); ok != tc.ok {
				t.Errorf("got %t, want %t: %v\n%s", ok, tc.ok, err, out)
			}
		})
	}
}
