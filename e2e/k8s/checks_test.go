package k8s

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// check is one promise of the manifests.
type check struct {
	name  string
	check func(*manifests) error
}

var checks = []check{
	{"pod security", checkPodSecurity},
	{"hardening", checkHardening},
	{"one user", checkOneUser},
	{"resources", checkResources},
	{"images", checkImages},
	{"references", checkReferences},
	{"selectors", checkSelectors},
	{"probes", checkProbes},
	{"services", checkServices},
	{"default deny", checkDefaultDeny},
	{"callers", checkCallers},
	{"scrape", checkScrape},
	{"disruption", checkDisruption},
	{"single writer", checkSingleWriter},
	{"claim", checkClaim},
	{"init", checkInit},
	{"configuration", checkConfig},
	{"shutdown", checkShutdown},
}

// checkAll renders the manifests and checks all that they promise, for a log of
// the given name.
func (f files) checkAll(initDir, serverDir, origin string) error {
	m, err := f.load(initDir, serverDir)
	if err != nil {
		return err
	}
	return errors.Join(m.check(), checkOrigin(m, origin))
}

func (m *manifests) check() error {
	var errs []error
	for _, c := range checks {
		if err := c.check(m); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

// selects tells whether a selector takes the pods of a workload.
func selects(s *metav1.LabelSelector, w workload) (bool, error) {
	sel, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return false, err
	}
	return sel.Matches(labels.Set(w.labels)), nil
}

// onlyServer demands that a selector takes the server's pods and no others.
func (m *manifests) onlyServer(what, namespace string, s *metav1.LabelSelector) error {
	set, _, err := m.server()
	if err != nil {
		return err
	}
	for _, w := range m.workloads() {
		got, err := selects(s, w)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		got = got && w.namespace == namespace
		if want := w.name == "StatefulSet "+set.Name; got != want {
			return fmt.Errorf("%s selects %s: got %t, want %t", what, w.name, got, want)
		}
	}
	return nil
}

func (m *manifests) configMap(name string) (*corev1.ConfigMap, error) {
	for _, c := range all[*corev1.ConfigMap](m) {
		if c.Name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no ConfigMap %q", name)
}

// port returns a container's port by name.
func port(c *corev1.Container, name string) (int32, error) {
	for _, p := range c.Ports {
		if p.Name == name {
			return p.ContainerPort, nil
		}
	}
	return 0, fmt.Errorf("container %s has no port %q", c.Name, name)
}
