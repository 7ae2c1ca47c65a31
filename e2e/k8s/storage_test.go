package k8s

import (
	"errors"
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// placeholder is the origin that the repository's manifests have: no host name,
// so that init and serve refuse it.
const placeholder = "SET-THE-ORIGIN"

// settings is the part of notaryd's configuration that the manifests set. It is
// decoded strictly: what is added there is added here, with a check.
type settings struct {
	Origin string `yaml:"origin"`
	Listen struct {
		GRPC   string `yaml:"grpc"`
		HTTP   string `yaml:"http"`
		Health string `yaml:"health"`
	} `yaml:"listen"`
	Log struct {
		Dir string `yaml:"dir"`
	} `yaml:"log"`
	Store struct {
		Path string `yaml:"path"`
	} `yaml:"store"`
	Keys struct {
		Log       string `yaml:"log"`
		Statement string `yaml:"statement"`
	} `yaml:"keys"`
	TLS struct {
		Cert     string `yaml:"cert"`
		Key      string `yaml:"key"`
		ClientCA string `yaml:"clientCA"`
	} `yaml:"tls"`
	Policy string `yaml:"policy"`
	Times  struct {
		Shutdown time.Duration `yaml:"shutdown"`
	} `yaml:"times"`
}

// config returns the file that the server is told to read.
func (m *manifests) config() (*settings, string, error) {
	set, c, err := m.server()
	if err != nil {
		return nil, "", err
	}
	file, err := flag(c.Args, "--config")
	if err != nil {
		return nil, "", err
	}
	for _, mount := range c.VolumeMounts {
		if mount.MountPath != path.Dir(file) {
			continue
		}
		for _, v := range set.Spec.Template.Spec.Volumes {
			if v.Name != mount.Name || v.ConfigMap == nil {
				continue
			}
			cm, err := m.configMap(v.ConfigMap.Name)
			if err != nil {
				return nil, "", err
			}
			data, ok := cm.Data[path.Base(file)]
			if !ok {
				return nil, "", fmt.Errorf("ConfigMap %s has no %s", cm.Name, path.Base(file))
			}
			var s settings
			err = yaml.Load([]byte(data), &s, yaml.WithKnownFields(), yaml.WithUniqueKeys())
			return &s, data, err
		}
	}
	return nil, "", fmt.Errorf("--config=%s: no ConfigMap is mounted there", file)
}

// flag returns the value of --name=value.
func flag(args []string, name string) (string, error) {
	for _, a := range args {
		if v, ok := strings.CutPrefix(a, name+"="); ok {
			return v, nil
		}
	}
	return "", fmt.Errorf("no %s among %q", name, args)
}

// checkSingleWriter holds that there is one server, which nothing but init's
// Job gives a log to.
func checkSingleWriter(m *manifests) error {
	s, err := one[*appsv1.StatefulSet](m)
	if err != nil {
		return err
	}
	if s.Spec.Replicas == nil || *s.Spec.Replicas != 1 {
		return errors.New("replicas must be 1")
	}
	if len(s.Spec.Template.Spec.InitContainers) > 0 {
		return errors.New("an init container would create a log on a restart")
	}
	if s.Spec.UpdateStrategy.Type != appsv1.RollingUpdateStatefulSetStrategyType || s.Spec.PodManagementPolicy != appsv1.ParallelPodManagement {
		return errors.New("updates must replace the pod, and replace a broken one too")
	}
	return nil
}

// checkClaim holds that init's claim is the one that the StatefulSet adopts, for
// one pod, and deleted by nobody.
func checkClaim(m *manifests) error {
	s, err := one[*appsv1.StatefulSet](m)
	if err != nil {
		return err
	}
	if p := s.Spec.PersistentVolumeClaimRetentionPolicy; p == nil ||
		p.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType || p.WhenScaled != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
		return errors.New("persistentVolumeClaimRetentionPolicy must be Retain and Retain")
	}
	if n := len(s.Spec.VolumeClaimTemplates); n != 1 {
		return fmt.Errorf("got %d volumeClaimTemplates, want one", n)
	}
	template := s.Spec.VolumeClaimTemplates[0]
	claim, err := one[*corev1.PersistentVolumeClaim](m)
	if err != nil {
		return err
	}
	if want := template.Name + "-" + s.Name + "-0"; claim.Name != want || claim.Namespace != s.Namespace {
		return fmt.Errorf("got claim %s/%s, want %s/%s", claim.Namespace, claim.Name, s.Namespace, want)
	}
	for _, c := range []*corev1.PersistentVolumeClaim{claim, &template} {
		if !slices.Equal(c.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}) {
			return fmt.Errorf("claim %s: got access modes %q, want ReadWriteOncePod alone", c.Name, c.Spec.AccessModes)
		}
	}
	if !equality.Semantic.DeepEqual(claim.Spec, template.Spec) || !equality.Semantic.DeepEqual(claim.Labels, template.Labels) {
		return fmt.Errorf("claim %s differs from the set's template", claim.Name)
	}
	if claim.Annotations["argocd.argoproj.io/sync-options"] != "Prune=false,Delete=false" || claim.Annotations["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
		return fmt.Errorf("claim %s: the annotations against prune are missing", claim.Name)
	}
	return nil
}

// mountOf returns where a container sees a volume.
func mountOf(c *corev1.Container, volume string) (string, error) {
	for _, v := range c.VolumeMounts {
		if v.Name == volume {
			return v.MountPath, nil
		}
	}
	return "", fmt.Errorf("container %s does not mount %q", c.Name, volume)
}

// checkInit holds that the Job creates the notary once, on the server's claim
// and where the server looks for it.
func checkInit(m *manifests) error {
	j, err := one[*batchv1.Job](m)
	if err != nil {
		return err
	}
	if j.Spec.BackoffLimit == nil || *j.Spec.BackoffLimit != 0 || j.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return errors.New("backoffLimit must be 0 and restartPolicy Never")
	}
	set, server, err := m.server()
	if err != nil {
		return err
	}
	data := set.Spec.VolumeClaimTemplates[0].Name
	want, err := mountOf(server, data)
	if err != nil {
		return err
	}
	for _, v := range j.Spec.Template.Spec.Volumes {
		if v.PersistentVolumeClaim == nil {
			continue
		}
		if got := v.PersistentVolumeClaim.ClaimName; got != data+"-"+set.Name+"-0" {
			return fmt.Errorf("the Job works on claim %s, which the server does not mount", got)
		}
		c := &j.Spec.Template.Spec.Containers[0]
		got, err := mountOf(c, v.Name)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("the Job mounts the claim at %s, the server at %s", got, want)
		}
		dir, err := flag(c.Args, "--dir")
		if err != nil {
			return err
		}
		if path.Dir(dir) != want {
			return fmt.Errorf("--dir=%s: want a folder in the mount %s", dir, want)
		}
		return nil
	}
	return errors.New("the Job mounts no claim")
}

// checkConfig holds that the configuration fits the pod: ports, addresses that
// other pods and the kubelet reach, and paths on the claim.
func checkConfig(m *manifests) error {
	s, _, err := m.config()
	if err != nil {
		return err
	}
	_, c, err := m.server()
	if err != nil {
		return err
	}
	for _, l := range []struct{ name, addr, port string }{
		{"listen.grpc", s.Listen.GRPC, "grpc"}, {"listen.http", s.Listen.HTTP, "https"}, {"listen.health", s.Listen.Health, "health"},
	} {
		want, err := port(c, l.port)
		if err != nil {
			return err
		}
		host, got, err := net.SplitHostPort(l.addr)
		if err != nil || got != strconv.Itoa(int(want)) || host != "" && !net.ParseIP(host).IsUnspecified() {
			return fmt.Errorf("%s: got %q, want every address at port %d", l.name, l.addr, want)
		}
	}
	j, err := one[*batchv1.Job](m)
	if err != nil {
		return err
	}
	dir, err := flag(j.Spec.Template.Spec.Containers[0].Args, "--dir")
	if err != nil {
		return err
	}
	for _, p := range []string{s.Log.Dir, s.Store.Path, s.Keys.Log, s.Keys.Statement, s.TLS.Cert, s.TLS.Key, s.TLS.ClientCA, s.Policy} {
		if path.Clean(p) != p || !strings.HasPrefix(p, dir+"/") {
			return fmt.Errorf("path %q: want one in %s", p, dir)
		}
	}
	return nil
}

// checkOrigin holds that init and server agree on the log's name.
func checkOrigin(m *manifests, want string) error {
	s, _, err := m.config()
	if err != nil {
		return err
	}
	if s.Origin != want {
		return fmt.Errorf("got origin %q in the configuration, want %q", s.Origin, want)
	}
	for _, c := range all[*corev1.ConfigMap](m) {
		if got, ok := c.Data["origin"]; ok {
			if got != want {
				return fmt.Errorf("got origin %q for init, want %q", got, want)
			}
			return nil
		}
	}
	return errors.New("init has no origin")
}

// checkShutdown holds that the kubelet waits for calls in flight, and then some.
func checkShutdown(m *manifests) error {
	s, _, err := m.config()
	if err != nil {
		return err
	}
	set, _, err := m.server()
	if err != nil {
		return err
	}
	// Half a minute to close log and store.
	want := s.Times.Shutdown + 30*time.Second
	grace := set.Spec.Template.Spec.TerminationGracePeriodSeconds
	if s.Times.Shutdown <= 0 || grace == nil || time.Duration(*grace)*time.Second < want {
		return fmt.Errorf("terminationGracePeriodSeconds must be at least %v for times.shutdown %v", want, s.Times.Shutdown)
	}
	return nil
}
