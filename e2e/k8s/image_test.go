package k8s

import (
	"bytes"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/zap"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// references finds the images of rendered manifests.
var references = regexp.MustCompile(`image: .*`)

var platforms = []string{"linux/amd64", "linux/arm64"}

// TestImage makes the container image twice, in two folders, and resolves the
// manifests with it: without a container engine, on a base that a registry on
// loopback serves, and with the same digest.
func TestImage(t *testing.T) {
	ko, koErr := exec.LookPath("ko")
	crane, craneErr := exec.LookPath("crane")
	if koErr != nil || craneErr != nil {
		t.Skip("ko and crane are not in PATH; make e2etools builds them")
	}
	srv := httptest.NewServer(registry.New(registry.Logger(zap.NewStdLog(zap.NewNop()))))
	defer srv.Close()
	host := strings.TrimPrefix(srv.URL, "http://")
	env := append(os.Environ(),
		"KO_DEFAULTBASEIMAGE="+pushBase(t, host),
		"KO_DOCKER_REPO="+host+"/notaryd",
		"GOFLAGS=-buildvcs=false", // a copy has no history
	)

	// Two copies of one moment: the folder itself may be worked on meanwhile.
	here := copyTree(t, root)
	elsewhere := copyTree(t, here)
	makeImage := exec.Command("make", "-C", here, "image", "KO="+ko, "IMAGE=image")
	makeImage.Env = env
	run(t, makeImage)
	dir := filepath.Join(here, "image")
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(manifest.Manifests); n != 1 {
		t.Fatalf("got %d images in the layout, want one index", n)
	}
	first := manifest.Manifests[0].Digest
	index, err := outer.ImageIndex(first)
	if err != nil {
		t.Fatal(err)
	}
	checkImage(t, index)
	// Pushed as docs/deploy.md says, it keeps its digest: anybody can compare.
	pushed := string(run(t, exec.Command(crane, "push", dir, host+"/pushed:1")))
	if want := host + "/pushed@" + first.String(); strings.TrimSpace(pushed) != want {
		t.Errorf("crane pushed %s, want %s", pushed, want)
	}

	rendered := render(t)
	resolve := exec.Command(ko, "resolve", "--bare", "--sbom=none", "-f", rendered)
	resolve.Dir, resolve.Env = elsewhere, env
	out := run(t, resolve)
	if n := bytes.Count(out, []byte("ko://")); n > 0 {
		t.Errorf("ko left %d images unresolved", n)
	}
	if want := host + "/notaryd@" + first.String(); bytes.Count(out, []byte(want)) != 1 {
		t.Errorf("a second build from another folder gave another image, want %s, got %q", want, references.FindAll(out, -1))
	}
	for doc := range bytes.SplitSeq(out, []byte("\n---\n")) {
		if len(bytes.TrimSpace(doc)) == 0 {
			continue
		}
		if _, err := decode(doc); err != nil {
			t.Errorf("ko broke a manifest: %v\n%s", err, doc)
		}
	}
}

// pushBase pushes a base image that holds nothing, for both platforms.
func pushBase(t *testing.T, host string) string {
	t.Helper()
	ref, err := name.ParseReference(host + "/base:latest")
	if err != nil {
		t.Fatal(err)
	}
	base := v1.ImageIndex(empty.Index)
	for _, p := range platforms {
		goos, goarch, _ := strings.Cut(p, "/")
		img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: goos, Architecture: goarch, RootFS: v1.RootFS{Type: "layers"}})
		if err != nil {
			t.Fatal(err)
		}
		base = mutate.AppendManifests(base, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: goos, Architecture: goarch}},
		})
	}
	if err := remote.WriteIndex(ref, base); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

// checkImage holds what the manifests rely on: both platforms, the program as
// the entry point, and no more layers than it needs.
func checkImage(t *testing.T, index v1.ImageIndex) {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range manifest.Manifests {
		got = append(got, d.Platform.String())
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"/ko-app/notaryd"}; !slices.Equal(config.Config.Entrypoint, want) {
			t.Errorf("%s: got entry point %q, want %q", d.Platform, config.Config.Entrypoint, want)
		}
		// What docs/operations.md types after `kubectl exec notaryd-0 --`.
		if !slices.ContainsFunc(config.Config.Env, func(e string) bool {
			return strings.HasPrefix(e, "PATH=") && slices.Contains(strings.Split(strings.TrimPrefix(e, "PATH="), ":"), "/ko-app")
		}) {
			t.Errorf("%s: the program is not in PATH: %q", d.Platform, config.Config.Env)
		}
		if !config.Created.IsZero() && config.Created.Unix() != 0 {
			t.Errorf("%s: the image carries the time of its build, %v", d.Platform, config.Created)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, platforms) {
		t.Errorf("got platforms %q, want %q", got, platforms)
	}
}

// render writes the embedded overlay as one file, as `kubectl kustomize` does.
func render(t *testing.T) string {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, embeddedDir))
	if err != nil {
		t.Fatal(err)
	}
	data, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "embedded.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// copyTree copies what the image is made of to another folder.
func copyTree(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	for _, dir := range []string{"cmd", "notary", "trial", "proto", "clients"} {
		copyFiles(t, filepath.Join(from, dir), filepath.Join(to, dir))
	}
	for _, file := range []string{"go.mod", "go.sum", ".ko.yaml", "Makefile"} {
		copyFile(t, filepath.Join(from, file), filepath.Join(to, file))
	}
	return to
}

func copyFiles(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		copyFile(t, path, filepath.Join(to, rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command and returns its standard output.
func run(t *testing.T, cmd *exec.Cmd) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}
