// Package e2e holds the tests that need other people's tools: stock verifiers,
// Rekor's own code, Kubernetes' own types. It is a module of its own so that
// none of their dependencies reaches whoever uses the notary.
package e2e
