package k8s

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	psaapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// checkPodSecurity asks Kubernetes' own evaluator, at the level that the
// namespace enforces, which must be restricted.
func checkPodSecurity(m *manifests) error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	// The namespace stands in both kustomizations.
	namespaces := map[string]psaapi.Policy{}
	for _, ns := range all[*corev1.Namespace](m) {
		p, errs := psaapi.PolicyToEvaluate(ns.Labels, psaapi.Policy{})
		if len(errs) > 0 {
			return errs.ToAggregate()
		}
		if p.Enforce.Level != psaapi.LevelRestricted || p.Warn.Level != psaapi.LevelRestricted || p.Audit.Level != psaapi.LevelRestricted {
			return fmt.Errorf("namespace %s: got pod-security %s, want restricted", ns.Name, &p)
		}
		namespaces[ns.Name] = p
	}
	var errs []error
	for _, w := range m.workloads() {
		p, ok := namespaces[w.namespace]
		if !ok {
			return fmt.Errorf("%s stands in namespace %q, which is not made", w.name, w.namespace)
		}
		for _, lv := range []psaapi.LevelVersion{p.Enforce, p.Warn} {
			r := policy.AggregateCheckResults(evaluator.EvaluatePod(lv, &metav1.ObjectMeta{}, w.spec))
			if !r.Allowed {
				errs = append(errs, fmt.Errorf("%s: %s", w.name, r.ForbiddenDetail()))
			}
		}
	}
	return errors.Join(errs...)
}

// checkHardening holds what Pod Security does not ask for.
func checkHardening(m *manifests) error {
	var errs []error
	for _, w := range m.workloads() {
		if v := w.spec.AutomountServiceAccountToken; v == nil || *v {
			errs = append(errs, fmt.Errorf("%s: automountServiceAccountToken must be false", w.name))
		}
		if v := w.spec.EnableServiceLinks; v == nil || *v {
			errs = append(errs, fmt.Errorf("%s: enableServiceLinks must be false", w.name))
		}
		for _, c := range w.spec.Containers {
			if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
				errs = append(errs, fmt.Errorf("%s: readOnlyRootFilesystem must be true", w.name))
			}
		}
		for _, v := range w.spec.Volumes {
			if e := v.EmptyDir; e != nil && (e.Medium != corev1.StorageMediumMemory || e.SizeLimit == nil || e.SizeLimit.IsZero()) {
				errs = append(errs, fmt.Errorf("%s: emptyDir %s must be in memory and bounded", w.name, v.Name))
			}
		}
	}
	for _, a := range all[*corev1.ServiceAccount](m) {
		if v := a.AutomountServiceAccountToken; v == nil || *v {
			errs = append(errs, fmt.Errorf("service account %s: automountServiceAccountToken must be false", a.Name))
		}
	}
	return errors.Join(errs...)
}

// checkOneUser holds that what init creates is readable to the server, and that
// no mount opens the keys to the group.
func checkOneUser(m *manifests) error {
	var first *corev1.PodSecurityContext
	for _, w := range m.workloads() {
		sc := w.spec.SecurityContext
		if sc == nil || sc.RunAsUser == nil || sc.RunAsGroup == nil || sc.FSGroup == nil {
			return fmt.Errorf("%s: runAsUser, runAsGroup and fsGroup must be given", w.name)
		}
		if p := sc.FSGroupChangePolicy; p == nil || *p != corev1.FSGroupChangeOnRootMismatch {
			return fmt.Errorf("%s: fsGroupChangePolicy must be OnRootMismatch", w.name)
		}
		if first == nil {
			first = sc
		}
		if *sc.RunAsUser != *first.RunAsUser || *sc.RunAsGroup != *first.RunAsGroup || *sc.FSGroup != *first.FSGroup {
			return fmt.Errorf("%s runs as another user or group than the others", w.name)
		}
		for _, c := range w.spec.Containers {
			if c.SecurityContext != nil && (c.SecurityContext.RunAsUser != nil || c.SecurityContext.RunAsGroup != nil) {
				return fmt.Errorf("%s: container %s runs as another user", w.name, c.Name)
			}
		}
	}
	return nil
}

func checkResources(m *manifests) error {
	for _, w := range m.workloads() {
		for _, c := range w.spec.Containers {
			for _, name := range []corev1.ResourceName{corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
				if c.Resources.Limits.Name(name, resource.BinarySI).IsZero() || c.Resources.Requests.Name(name, resource.BinarySI).IsZero() {
					return fmt.Errorf("%s: request and limit of %s must be given", w.name, name)
				}
			}
			if c.Resources.Requests.Cpu().IsZero() {
				return fmt.Errorf("%s: request of cpu must be given", w.name)
			}
		}
	}
	_, c, err := m.server()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
	if i < 0 {
		return errors.New("GOMEMLIMIT must be given")
	}
	// Go writes MiB where Kubernetes writes Mi.
	heap, err := resource.ParseQuantity(strings.TrimSuffix(c.Env[i].Value, "B"))
	if err != nil {
		return fmt.Errorf("GOMEMLIMIT: %w", err)
	}
	if limit := c.Resources.Limits.Memory(); heap.Value() > limit.Value()*9/10 {
		return fmt.Errorf("GOMEMLIMIT %s leaves less than a tenth of the memory limit %s", c.Env[i].Value, limit)
	}
	return nil
}

// image is what ko fills in; an overlay may put a pushed image in its place.
const image = "ko://github.com/trialnotary/trialnotary/cmd/notaryd"

// pinned is a reference by digest. With a tag the registry decides what runs.
var pinned = regexp.MustCompile(`^[^@]+@sha256:[0-9a-f]{64}$`)

// checkImages holds that every container runs the image that ko makes, or all
// of them one by digest.
func checkImages(m *manifests) error {
	var first string
	for _, w := range m.workloads() {
		for _, c := range slices.Concat(w.spec.InitContainers, w.spec.Containers) {
			if c.Image != image && !pinned.MatchString(c.Image) {
				return fmt.Errorf("%s: got image %q, want %q or one by digest", w.name, c.Image, image)
			}
			if first == "" {
				first = c.Image
			}
			if c.Image != first {
				return fmt.Errorf("%s: got image %q, want %q as elsewhere", w.name, c.Image, first)
			}
			if len(c.Command) > 0 {
				return fmt.Errorf("%s: got command %q, want the image's own", w.name, c.Command)
			}
		}
	}
	return nil
}

// checkReferences holds that what a pod names is there.
func checkReferences(m *manifests) error {
	accounts := map[string]bool{}
	for _, a := range all[*corev1.ServiceAccount](m) {
		accounts[a.Name] = true
	}
	for _, w := range m.workloads() {
		if !accounts[w.spec.ServiceAccountName] {
			return fmt.Errorf("%s: no service account %q", w.name, w.spec.ServiceAccountName)
		}
		for _, v := range w.spec.Volumes {
			if v.ConfigMap == nil {
				continue
			}
			if _, err := m.configMap(v.ConfigMap.Name); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
		for _, c := range w.spec.Containers {
			for _, e := range c.Env {
				if e.ValueFrom == nil || e.ValueFrom.ConfigMapKeyRef == nil {
					continue
				}
				ref := e.ValueFrom.ConfigMapKeyRef
				cm, err := m.configMap(ref.Name)
				if err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
				if _, ok := cm.Data[ref.Key]; !ok {
					return fmt.Errorf("%s: ConfigMap %s has no key %q", w.name, ref.Name, ref.Key)
				}
			}
		}
	}
	return nil
}

// checkProbes holds that all three probes are gRPC on the health port. A gRPC
// probe takes a number only, so the port that has it must be the named one.
func checkProbes(m *manifests) error {
	_, c, err := m.server()
	if err != nil {
		return err
	}
	health, err := port(c, "health")
	if err != nil {
		return err
	}
	for _, p := range []struct {
		name  string
		probe *corev1.Probe
	}{{"startupProbe", c.StartupProbe}, {"readinessProbe", c.ReadinessProbe}, {"livenessProbe", c.LivenessProbe}} {
		if p.probe == nil || p.probe.GRPC == nil {
			return fmt.Errorf("%s must be a gRPC probe", p.name)
		}
		if got := p.probe.GRPC.Port; got != health {
			return fmt.Errorf("%s: got port %d, want %d (health)", p.name, got, health)
		}
	}
	return nil
}
