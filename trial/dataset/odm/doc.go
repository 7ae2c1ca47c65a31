// Package odm reads what the notary needs of CDISC ODM-XML: the audit records of
// an EDC system's export, for the digest tn-audit-v1 of a day's audit trail
// ([AuditTrail]), and the files that a define.xml names ([Leaves]).
//
// It promises to read in one direction with bounded memory, whatever the size of
// a file. Files are untrusted: document type declarations and entities are
// refused, and depth and lengths have limits. docs/audit-digest.md describes the
// digest for other languages.
//
// It imports nothing of this module, opens no file and knows no clock.
package odm
