package k8s

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// callerLabel marks the namespaces whose pods may call the notary.
const callerLabel = "trialnotary.github.io/caller"

// served are the ports that callers use; health and metrics are none of them.
var served = []string{"grpc", "https"}

// monitorLabel marks the namespaces whose pods may scrape the port of scraped.
const (
	monitorLabel = "trialnotary.github.io/monitoring"
	scraped      = "metrics"
)

// checkSelectors holds that the StatefulSet selects its own pods.
func checkSelectors(m *manifests) error {
	s, err := one[*appsv1.StatefulSet](m)
	if err != nil {
		return err
	}
	if s.Spec.Selector == nil || len(s.Spec.Selector.MatchLabels) == 0 {
		return errors.New("StatefulSet: the selector must not be empty")
	}
	ok, err := selects(s.Spec.Selector, workload{labels: s.Spec.Template.Labels})
	if err == nil && !ok {
		err = errors.New("StatefulSet: the selector does not match the template's labels")
	}
	return err
}

// checkServices holds that clients have one address, the StatefulSet has its
// headless service, and both lead to ports that exist, without health.
func checkServices(m *manifests) error {
	set, c, err := m.server()
	if err != nil {
		return err
	}
	var headless, clients int
	for _, s := range all[*corev1.Service](m) {
		if len(s.Spec.Selector) == 0 {
			return fmt.Errorf("service %s has no selector", s.Name)
		}
		if err := m.onlyServer("service "+s.Name, s.Namespace, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}); err != nil {
			return err
		}
		for _, p := range s.Spec.Ports {
			if !slices.Contains(served, p.TargetPort.String()) {
				return fmt.Errorf("service %s: port %q is none of those that callers use: %q", s.Name, p.TargetPort.String(), served)
			}
			want, err := port(c, p.TargetPort.StrVal)
			if err != nil {
				return fmt.Errorf("service %s: %w", s.Name, err)
			}
			if p.Port != want {
				return fmt.Errorf("service %s: got port %d, want %d as in the container", s.Name, p.Port, want)
			}
		}
		switch {
		case s.Name == set.Spec.ServiceName && s.Spec.ClusterIP != corev1.ClusterIPNone:
			return fmt.Errorf("service %s: clusterIP must be None", s.Name)
		case s.Name == set.Spec.ServiceName:
			headless++
		case s.Spec.Type == corev1.ServiceTypeClusterIP && s.Spec.ClusterIP == "":
			clients++
		}
	}
	if headless != 1 || clients != 1 {
		return fmt.Errorf("got %d headless services of the set's serviceName and %d for clients, want one each", headless, clients)
	}
	return nil
}

// checkDefaultDeny holds that every pod is covered in both directions, and that
// nothing opens egress: the embedded notary dials nobody.
func checkDefaultDeny(m *manifests) error {
	var deny bool
	for _, p := range all[*networkingv1.NetworkPolicy](m) {
		if len(p.Spec.Egress) > 0 {
			return fmt.Errorf("policy %s opens egress", p.Name)
		}
		if len(p.Spec.Ingress) > 0 {
			continue
		}
		if len(p.Spec.PodSelector.MatchLabels)+len(p.Spec.PodSelector.MatchExpressions) > 0 {
			continue
		}
		for _, w := range m.workloads() {
			if w.namespace != p.Namespace {
				return fmt.Errorf("policy %s: %s stands in another namespace", p.Name, w.name)
			}
		}
		if !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) || !slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
			return fmt.Errorf("policy %s must deny ingress and egress", p.Name)
		}
		deny = true
	}
	if !deny {
		return errors.New("no policy denies everything to every pod")
	}
	return nil
}

// checkScrape holds that whoever finds pods by annotations finds the metrics.
func checkScrape(m *manifests) error {
	set, c, err := m.server()
	if err != nil {
		return err
	}
	want, err := port(c, scraped)
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"prometheus.io/scrape": "true", "prometheus.io/port": strconv.Itoa(int(want)), "prometheus.io/path": "/metrics",
	} {
		if got := set.Spec.Template.Annotations[name]; got != value {
			return fmt.Errorf("annotation %s: got %q, want %q", name, got, value)
		}
	}
	return nil
}

// checkCallers holds that the served ports are open to namespaces of callers,
// metrics to those of monitoring, and nothing else to anybody.
func checkCallers(m *manifests) error {
	_, c, err := m.server()
	if err != nil {
		return err
	}
	open := map[string]bool{}
	for _, p := range all[*networkingv1.NetworkPolicy](m) {
		if len(p.Spec.Ingress) == 0 {
			continue
		}
		if err := m.onlyServer("policy "+p.Name, p.Namespace, &p.Spec.PodSelector); err != nil {
			return err
		}
		for _, rule := range p.Spec.Ingress {
			if len(rule.Ports) == 0 {
				return fmt.Errorf("policy %s opens every port, health too", p.Name)
			}
			for _, r := range rule.Ports {
				label := callerLabel
				switch {
				case r.Port == nil || r.Port.Type != intstr.String:
					return fmt.Errorf("policy %s opens port %v, want one by its name", p.Name, r.Port)
				case r.Port.StrVal == scraped:
					label = monitorLabel
				case !slices.Contains(served, r.Port.StrVal):
					return fmt.Errorf("policy %s opens port %v, want one of %q or %q", p.Name, r.Port, served, scraped)
				}
				if err := checkPeers(rule.From, label); err != nil {
					return fmt.Errorf("policy %s: %w", p.Name, err)
				}
				if _, err := port(c, r.Port.StrVal); err != nil {
					return fmt.Errorf("policy %s: %w", p.Name, err)
				}
				open[r.Port.StrVal] = open[r.Port.StrVal] || r.Protocol != nil && *r.Protocol == corev1.ProtocolTCP
			}
		}
	}
	for _, name := range append([]string{scraped}, served...) {
		if !open[name] {
			return fmt.Errorf("no policy opens port %q for TCP", name)
		}
	}
	return nil
}

func checkPeers(from []networkingv1.NetworkPolicyPeer, label string) error {
	if len(from) == 0 {
		return errors.New("lets in anybody")
	}
	for _, peer := range from {
		if peer.NamespaceSelector == nil || peer.NamespaceSelector.MatchLabels[label] != "true" {
			return fmt.Errorf("lets in anybody, not only namespaces with label %s=true", label)
		}
	}
	return nil
}

// checkDisruption holds that the budget covers the server and lets a node be
// drained.
func checkDisruption(m *manifests) error {
	b, err := one[*policyv1.PodDisruptionBudget](m)
	if err != nil {
		return err
	}
	if b.Spec.Selector == nil {
		return errors.New("the budget selects nothing")
	}
	if err := m.onlyServer("the budget", b.Namespace, b.Spec.Selector); err != nil {
		return err
	}
	if b.Spec.MinAvailable != nil || b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.IntValue() < 1 {
		return errors.New("maxUnavailable must be 1: a drain would hang")
	}
	if p := b.Spec.UnhealthyPodEvictionPolicy; p == nil || *p != policyv1.AlwaysAllow {
		return errors.New("unhealthyPodEvictionPolicy must be AlwaysAllow")
	}
	return nil
}
