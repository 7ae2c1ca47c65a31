// Package trial is the vocabulary of the Trial Notary: statements, kinds,
// identifiers and the authority to sign, without network, clock, files or
// database.
//
// It owns the strict form of a statement (an in-toto Statement v1 in a DSSE
// envelope, signed with ECDSA P-256 and SHA-256) and the fold that says who was
// allowed to sign what: a pure function of a trial's authority statements in log
// order, the same in the notary and in a verifier that runs offline.
//
// [State] is the fold over all of a trial's statements: which acts took effect,
// what is locked, approved, sealed and overdue. It offers the facts that the rules
// of package rules judge.
//
// It promises that what it parses is unambiguous: unknown and duplicate fields,
// numbers that binary64 cannot hold, bad UTF-8, invisible characters in names and
// anything beyond a limit are refused with a [Refusal], which names a [Reason]
// and the place. Payload bytes are kept as they came and never encoded again.
//
// It imports nothing else of this module. The documents are described in
// docs/statements.md.
package trial
