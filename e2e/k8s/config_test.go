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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// placeholder is the origin that the repository's manifests have: no host name,
// so that init and serve refuse it.
const placeholder = "SET-THE-ORIGIN"

// settings is the part of notaryd's configuration that the manifests set. It is
// decoded strictly: what is added there is added here, with a check.
type settings struct {
	Origin string `yaml:"origin"`
	Listen struct {
		GRPC    string `yaml:"grpc"`
		HTTP    string `yaml:"http"`
		Health  string `yaml:"health"`
		Metrics string `yaml:"metrics"`
	} `yaml:"listen"`
	Log struct {
		Dir string `yaml:"dir"`
	} `yaml:"log"`
	Store struct {
		Path     string `yaml:"path"`
		MarkPath string `yaml:"markPath"`
	} `yaml:"store"`
	Keys struct {
		Log       string `yaml:"log"`
		Statement string `yaml:"statement"`
		Page      string `yaml:"page"`
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
	Limits struct {
		InFlight  int   `yaml:"inFlight"`
		ViewBytes int64 `yaml:"viewBytes"`
	} `yaml:"limits"`
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
		{"listen.metrics", s.Listen.Metrics, scraped},
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
	return m.checkPaths(s)
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

// checkPaths holds that everything that lasts lies on the claim, where init put
// it; that a second mark lies on another claim; and that a certificate that does
// not is a Secret's, with a key that not everybody can read.
func (m *manifests) checkPaths(s *settings) error {
	set, server, err := m.server()
	if err != nil {
		return err
	}
	j, err := one[*batchv1.Job](m)
	if err != nil {
		return err
	}
	dir, err := flag(j.Spec.Template.Spec.Containers[0].Args, "--dir")
	if err != nil {
		return err
	}
	for _, p := range []string{s.Log.Dir, s.Store.Path, s.Keys.Log, s.Keys.Statement, s.Keys.Page, s.Policy} {
		if path.Dir(p) != dir && path.Dir(p) != dir+"/keys" {
			return fmt.Errorf("path %q: want one in %s", p, dir)
		}
	}
	if p := s.Store.MarkPath; p != "" {
		volume := volumeOf(server, p)
		if !slices.ContainsFunc(set.Spec.VolumeClaimTemplates[1:], func(c corev1.PersistentVolumeClaim) bool { return c.Name == volume }) {
			return fmt.Errorf("store.markPath %q lies on volume %q, want a claim other than the log's", p, volume)
		}
	}
	for _, p := range []string{s.TLS.Cert, s.TLS.Key, s.TLS.ClientCA} {
		if path.Dir(p) == dir+"/tls" {
			continue
		}
		volume := volumeOf(server, p)
		i := slices.IndexFunc(set.Spec.Template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume && v.Secret != nil })
		if i < 0 {
			return fmt.Errorf("path %q: want one in %s/tls or in a Secret", p, dir)
		}
		if mode := set.Spec.Template.Spec.Volumes[i].Secret.DefaultMode; mode == nil || *mode&0o007 != 0 {
			return fmt.Errorf("Secret %s: defaultMode lets everybody read the key", volume)
		}
	}
	return nil
}

// volumeOf returns the name of the volume that a container sees a path on.
func volumeOf(c *corev1.Container, file string) string {
	for _, m := range c.VolumeMounts {
		if strings.HasPrefix(path.Clean(file), m.MountPath+"/") {
			return m.Name
		}
	}
	return ""
}
