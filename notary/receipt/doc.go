// Package receipt builds receipts and verifies them: it turns bytes and trust
// anchors into a verdict.
//
// It owns the receipt (a Sigstore bundle v0.3), the evidence file beside it, the
// trust folder, the checkpoint and policy parsers and the .tlog-proof export.
// docs/formats.md describes each. It promises that verification is pure: the
// same bytes give the same verdict, without network, clock, file system or
// database. Every parser accepts one spelling only: it parses, marshals and
// compares the bytes. It must never import the server.
package receipt
