// Package k8s tests the manifests in the repository's k8s folder and the
// container image that they name: every kustomization is rendered, decoded
// strictly into Kubernetes' own types and checked for what it promises. It has
// no code but tests.
package k8s
