package k8s

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	root = "../.." // the repository, seen from here

	initDir     = "k8s/init"
	embeddedDir = "k8s/overlays/embedded"
)

// files is a tree of manifests in memory, so that a test can spoil one line.
type files map[string]string

// source reads the repository's manifests.
func source(t *testing.T) files {
	t.Helper()
	out := files{}
	err := filepath.WalkDir(filepath.Join(root, "k8s"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no manifests found")
	}
	return out
}

// replace spoils one place; a place that is not there, or there twice, would
// make the test prove nothing.
func (f files) replace(t *testing.T, name, from, to string) {
	t.Helper()
	if n := strings.Count(f[name], from); n != 1 {
		t.Fatalf("%s holds %q %d times, want once", name, from, n)
	}
	f[name] = strings.Replace(f[name], from, to, 1)
}

// checkYAML parses every file as one strict document.
func (f files) checkYAML() error {
	for name, content := range f {
		if _, err := strictYAML([]byte(content)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func strictYAML(data []byte) (any, error) {
	var v any
	err := yaml.Load(data, &v, yaml.WithUniqueKeys())
	return v, err
}

// render builds one kustomization and decodes each of its documents strictly:
// unknown, misspelt and duplicate fields and malformed quantities are errors.
func (f files) render(dir string) ([]metav1.Object, error) {
	mem := filesys.MakeFsInMemory()
	for name, content := range f {
		if err := mem.WriteFile("/"+name, []byte(content)); err != nil {
			return nil, err
		}
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(mem, "/"+dir)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", dir, err)
	}
	var out []metav1.Object
	for _, r := range resources.Resources() {
		doc, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		obj, err := decode(doc)
		if err != nil {
			return nil, fmt.Errorf("%s: %s %s: %w", dir, r.GetKind(), r.GetName(), err)
		}
		out = append(out, obj)
	}
	return out, nil
}

func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	var errs []error
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		errs = append(errs, add(s))
	}
	return s, errors.Join(errs...)
}

func decode(doc []byte) (metav1.Object, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	v, err := strictYAML(doc)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var head metav1.TypeMeta
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	obj, err := scheme.New(schema.FromAPIVersionAndKind(head.APIVersion, head.Kind))
	if err != nil {
		return nil, err
	}
	strict, err := kjson.UnmarshalStrict(data, obj)
	if err := errors.Join(append(strict, err)...); err != nil {
		return nil, err
	}
	meta, ok := obj.(metav1.Object)
	if !ok {
		return nil, fmt.Errorf("%s has no metadata", head.Kind)
	}
	return meta, nil
}

// workload is one pod template and who makes pods of it.
type workload struct {
	name      string
	namespace string
	labels    map[string]string
	spec      *corev1.PodSpec
}

// manifests is everything that an installation applies.
type manifests struct {
	objects []metav1.Object
}

// load renders the two kustomizations that an installation applies, one after
// the other.
func (f files) load(initDir, serverDir string) (*manifests, error) {
	if err := f.checkYAML(); err != nil {
		return nil, err
	}
	var m manifests
	for _, dir := range []string{initDir, serverDir} {
		objects, err := f.render(dir)
		if err != nil {
			return nil, err
		}
		m.objects = append(m.objects, objects...)
	}
	return &m, nil
}

// all returns the objects of one type.
func all[T metav1.Object](m *manifests) []T {
	var out []T
	for _, o := range m.objects {
		if t, ok := o.(T); ok {
			out = append(out, t)
		}
	}
	return out
}

// one returns the only object of a type.
func one[T metav1.Object](m *manifests) (T, error) {
	var zero T
	found := all[T](m)
	if len(found) != 1 {
		return zero, fmt.Errorf("got %d objects of type %T, want one", len(found), zero)
	}
	return found[0], nil
}

func (m *manifests) workloads() []workload {
	var out []workload
	for _, s := range all[*appsv1.StatefulSet](m) {
		out = append(out, workload{"StatefulSet " + s.Name, s.Namespace, s.Spec.Template.Labels, &s.Spec.Template.Spec})
	}
	for _, j := range all[*batchv1.Job](m) {
		out = append(out, workload{"Job " + j.Name, j.Namespace, j.Spec.Template.Labels, &j.Spec.Template.Spec})
	}
	return out
}

// server returns the StatefulSet and its only container.
func (m *manifests) server() (*appsv1.StatefulSet, *corev1.Container, error) {
	s, err := one[*appsv1.StatefulSet](m)
	if err != nil {
		return nil, nil, err
	}
	if n := len(s.Spec.Template.Spec.Containers); n != 1 {
		return nil, nil, fmt.Errorf("StatefulSet %s: got %d containers, want one", s.Name, n)
	}
	return s, &s.Spec.Template.Spec.Containers[0], nil
}
