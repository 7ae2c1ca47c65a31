package k8s

import (
	"strings"
	"testing"
)

// TestManifests holds every promise of the manifests, each under its name.
func TestManifests(t *testing.T) {
	m, err := source(t).load(initDir, embeddedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if err := c.check(m); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKustomizationsStand renders each kustomization alone: a base that only
// works below an overlay would be found by nobody until somebody shares it.
func TestKustomizationsStand(t *testing.T) {
	f := source(t)
	var n int
	for name := range f {
		if !strings.HasSuffix(name, "/kustomization.yaml") {
			continue
		}
		n++
		if _, err := f.render(strings.TrimSuffix(name, "/kustomization.yaml")); err != nil {
			t.Error(err)
		}
	}
	if n < 4 {
		t.Errorf("got %d kustomizations, want namespace, base, init and embedded at least", n)
	}
}

const (
	stsFile    = "k8s/overlays/embedded/statefulset.yaml"
	pdbFile    = "k8s/overlays/embedded/pdb.yaml"
	headless   = "k8s/overlays/embedded/headless.yaml"
	configFile = "k8s/overlays/embedded/notaryd.yaml"
	jobFile    = "k8s/init/job.yaml"
	claimFile  = "k8s/init/claim.yaml"
	initFile   = "k8s/init/kustomization.yaml"
	nsFile     = "k8s/namespace/namespace.yaml"
	denyFile   = "k8s/namespace/networkpolicy.yaml"
	saFile     = "k8s/namespace/serviceaccount.yaml"
	svcFile    = "k8s/base/service.yaml"
	allowFile  = "k8s/base/networkpolicy.yaml"

	metricsFile = "k8s/base/networkpolicy-metrics.yaml"
)

// TestSpoiltManifests spoils one line at a time: each must be refused, for the
// reason that is named.
func TestSpoiltManifests(t *testing.T) {
	for _, tc := range []struct {
		name, file, from, to string
		want                 string
	}{
		// Form.
		{"misspelt field", stsFile, "terminationGracePeriodSeconds:", "terminationGracePeriodSecond:", `unknown field "spec.template.spec.terminationGracePeriodSecond"`},
		{"field in wrong case", stsFile, "enableServiceLinks:", "enableservicelinks:", "unknown field"},
		{"field in wrong place", stsFile, "      enableServiceLinks: false\n", "      enableServiceLinks: false\n      revisionHistoryLimit: 5\n", `unknown field "spec.template.spec.revisionHistoryLimit"`},
		{"duplicate field", pdbFile, "  maxUnavailable: 1\n", "  maxUnavailable: 1\n  maxUnavailable: 0\n", "maxUnavailable"},
		{"bad quantity", claimFile, "storage: 20Gi", "storage: 20Gig", "quantities must match"},
		{"wrong type", stsFile, "replicas: 1", `replicas: "1"`, "cannot unmarshal string"},
		{"unknown kind", pdbFile, "kind: PodDisruptionBudget", "kind: PodDisruptionBudge", "no kind"},
		{"unknown version", pdbFile, "apiVersion: policy/v1", "apiVersion: policy/v1beta1", "no kind"},
		{"missing file", "k8s/base/kustomization.yaml", "- service.yaml", "- services.yaml", "services.yaml"},

		// Pod security.
		{"namespace not restricted", nsFile, "enforce: restricted", "enforce: baseline", "pod-security"},
		{"root", jobFile, "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"seccomp", stsFile, "type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"capabilities", stsFile, "drop: [ALL]", "drop: [NET_RAW]", "capabilities"},
		{"escalation", jobFile, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"host path", stsFile, "emptyDir:\n            medium: Memory\n            sizeLimit: 16Mi", "hostPath: {path: /tmp}", "hostPath"},
		{"writable root", stsFile, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem"},
		{"token of the pod", stsFile, "automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken"},
		{"token of the account", saFile, "automountServiceAccountToken: false", "automountServiceAccountToken: true", "automountServiceAccountToken"},
		{"service links", jobFile, "enableServiceLinks: false", "enableServiceLinks: true", "enableServiceLinks"},
		{"user differs", jobFile, "runAsUser: 65532", "runAsUser: 65531", "another user"},
		{"group rewritten", stsFile, "OnRootMismatch", "Always", "fsGroupChangePolicy"},
		{"account missing", jobFile, "serviceAccountName: notaryd", "serviceAccountName: notary", "service account"},

		// Probes, ports and services.
		{"probe of another port", stsFile, "readinessProbe:\n            grpc:\n              port: 7440", "readinessProbe:\n            grpc:\n              port: 7443", "readinessProbe"},
		{"probe not gRPC", stsFile, "livenessProbe:\n            grpc:\n              port: 7440", "livenessProbe:\n            tcpSocket:\n              port: health", "livenessProbe"},
		{"no startup probe", stsFile, "startupProbe:\n            grpc:\n              port: 7440\n            periodSeconds: 2\n            timeoutSeconds: 2\n            failureThreshold: 300\n", "", "startupProbe"},
		{"service names no port", svcFile, "targetPort: https", "targetPort: http", `port "http"`},
		{"service shows the health port", headless, "targetPort: https", "targetPort: health", "health"},
		{"service selects the job too", svcFile, "selector:\n    app.kubernetes.io/name: notaryd\n    app.kubernetes.io/component: server\n", "selector:\n    app.kubernetes.io/name: notaryd\n", "Job"},
		{"service selects nothing", headless, "selector:\n    app.kubernetes.io/name: notaryd\n", "selector:\n    app.kubernetes.io/name: notary\n", "selects"},
		{"set selects nothing", stsFile, "matchLabels:\n      app.kubernetes.io/name: notaryd\n", "matchLabels:\n      app.kubernetes.io/name: notary\n", "selector"},
		{"headless service has an address", headless, "  clusterIP: None\n", "", "clusterIP"},
		{"headless service missing", stsFile, "serviceName: notaryd-headless", "serviceName: notaryd-peers", "serviceName"},

		// Network.
		{"no egress rule", denyFile, "[Ingress, Egress]", "[Ingress]", "egress"},
		{"deny selects few", denyFile, "podSelector: {}", "podSelector: {matchLabels: {a: b}}", "deny"},
		{"open to all", allowFile, "    - from:\n        - namespaceSelector:\n            matchLabels:\n              trialnotary.github.io/caller: \"true\"\n      ports:", "    - ports:", "anybody"},
		{"open to every namespace", allowFile, "namespaceSelector:\n            matchLabels:\n              trialnotary.github.io/caller: \"true\"", "namespaceSelector: {}", "anybody"},
		{"health open", allowFile, "port: https", "port: health", "health"},
		{"port not open", allowFile, "        - protocol: TCP\n          port: https\n", "", `"https"`},
		{"metrics open to callers", metricsFile, "trialnotary.github.io/monitoring:", "trialnotary.github.io/caller:", "monitoring"},
		{"calls open to monitoring", metricsFile, "port: metrics", "port: grpc", "caller"},
		{"metrics not open", metricsFile, "protocol: TCP", "protocol: UDP", `"metrics"`},
		{"scraped elsewhere", stsFile, `prometheus.io/port: "7441"`, `prometheus.io/port: "7440"`, "prometheus.io/port"},
		{"udp", allowFile, "protocol: TCP\n          port: grpc", "protocol: UDP\n          port: grpc", `"grpc"`},

		// Disruption and shutdown.
		{"drain blocked", pdbFile, "maxUnavailable: 1", "maxUnavailable: 0", "maxUnavailable"},
		{"budget selects nothing", pdbFile, "matchLabels:\n      app.kubernetes.io/name: notaryd", "matchLabels:\n      app.kubernetes.io/name: notary", "selects"},
		{"killed early", stsFile, "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30", "terminationGracePeriodSeconds"},
		{"shuts down late", configFile, "shutdown: 30s", "shutdown: 1m", "terminationGracePeriodSeconds"},
		{"two writers", stsFile, "replicas: 1", "replicas: 2", "replicas"},

		// Storage.
		{"shared claim", claimFile, "ReadWriteOncePod", "ReadWriteMany", "ReadWriteOncePod"},
		{"shared template", stsFile, "[ReadWriteOncePod]", "[ReadWriteOnce]", "ReadWriteOncePod"},
		{"claim deleted", stsFile, "whenDeleted: Retain", "whenDeleted: Delete", "Retain"},
		{"claim deleted by scaling", stsFile, "whenScaled: Retain", "whenScaled: Delete", "Retain"},
		{"claim pruned", claimFile, "kustomize.toolkit.fluxcd.io/prune: disabled", "kustomize.toolkit.fluxcd.io/prune: enabled", "prune"},
		{"claim of another name", claimFile, "name: data-notaryd-0", "name: data-notary-0", "data-notaryd-0"},
		{"claim of another size", claimFile, "storage: 20Gi", "storage: 10Gi", "differs"},
		{"job on another claim", jobFile, "claimName: data-notaryd-0", "claimName: data-notaryd-1", "data-notaryd-1"},
		{"mounted elsewhere", jobFile, "mountPath: /var/lib/notaryd", "mountPath: /var/lib/notary", "mount"},
		{"created on a restart", stsFile, "      containers:", "      initContainers:\n        - name: init\n          image: ko://github.com/trialnotary/trialnotary/cmd/notaryd\n          args: [init]\n          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}\n      containers:", "init container"},
		{"job tries again", jobFile, "backoffLimit: 0", "backoffLimit: 3", "backoffLimit"},

		// Configuration and resources.
		{"unknown setting", configFile, "policy:", "polici:", "polici"},
		{"another gRPC port", configFile, "grpc: 0.0.0.0:7443", "grpc: 0.0.0.0:9443", "listen.grpc"},
		{"health on loopback", configFile, "health: 0.0.0.0:7440", "health: 127.0.0.1:7440", "listen.health"},
		{"no metrics", configFile, "  metrics: 0.0.0.0:7441\n", "", "listen.metrics"},
		{"no health", configFile, "  health: 0.0.0.0:7440\n", "", "listen.health"},
		{"data outside of the claim", configFile, "path: /var/lib/notaryd/notary/notary.db", "path: /tmp/notary.db", "/tmp/notary.db"},
		{"relative path", configFile, "dir: /var/lib/notaryd/notary/log", "dir: log", "log"},
		{"an origin that is taken", configFile, "origin: SET-THE-ORIGIN", "origin: notary.example.org", "origin"},
		{"init's origin that is taken", initFile, "origin=SET-THE-ORIGIN", "origin=notary.example.org", "origin"},
		{"config of another name", stsFile, "configMap:\n            name: notaryd\n", "configMap:\n            name: notary\n", "ConfigMap"},
		{"config read elsewhere", stsFile, "--config=/etc/notaryd/notaryd.yaml", "--config=/etc/notary/notaryd.yaml", "--config"},
		{"no memory limit", jobFile, "limits: {memory: 256Mi,", "limits: {", "memory"},
		{"heap above the limit", stsFile, "value: 768MiB", "value: 1GiB", "GOMEMLIMIT"},
		{"disk for secrets", stsFile, "medium: Memory", `medium: ""`, "emptyDir"},
		{"unbounded folder", stsFile, "            sizeLimit: 16Mi\n", "", "emptyDir"},
		{"another image", jobFile, "cmd/notaryd\n", "cmd/notary\n", "image"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := source(t)
			f.replace(t, tc.file, tc.from, tc.to)
			err := f.checkAll(initDir, embeddedDir, placeholder)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("refused for another reason:\n got %v\nwant %q", err, tc.want)
			}
		})
	}
}
