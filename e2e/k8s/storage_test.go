package k8s

import (
	"errors"
	"fmt"
	"path"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

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
	for _, c := range s.Spec.VolumeClaimTemplates {
		if !onePod(&c) {
			return fmt.Errorf("template %s: got access modes %q, want ReadWriteOncePod alone", c.Name, c.Spec.AccessModes)
		}
	}
	if len(s.Spec.VolumeClaimTemplates) == 0 {
		return errors.New("no volumeClaimTemplates")
	}
	template := s.Spec.VolumeClaimTemplates[0]
	claim, err := one[*corev1.PersistentVolumeClaim](m)
	if err != nil {
		return err
	}
	if want := template.Name + "-" + s.Name + "-0"; claim.Name != want || claim.Namespace != s.Namespace {
		return fmt.Errorf("got claim %s/%s, want %s/%s", claim.Namespace, claim.Name, s.Namespace, want)
	}
	if !onePod(claim) {
		return fmt.Errorf("claim %s: got access modes %q, want ReadWriteOncePod alone", claim.Name, claim.Spec.AccessModes)
	}
	if !equality.Semantic.DeepEqual(claim.Spec, template.Spec) || !equality.Semantic.DeepEqual(claim.Labels, template.Labels) {
		return fmt.Errorf("claim %s differs from the set's template", claim.Name)
	}
	if claim.Annotations["argocd.argoproj.io/sync-options"] != "Prune=false,Delete=false" || claim.Annotations["kustomize.toolkit.fluxcd.io/prune"] != "disabled" {
		return fmt.Errorf("claim %s: the annotations against prune are missing", claim.Name)
	}
	return nil
}

func onePod(c *corev1.PersistentVolumeClaim) bool {
	return slices.Equal(c.Spec.AccessModes, []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod})
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
