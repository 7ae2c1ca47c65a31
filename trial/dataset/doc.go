// Package dataset reads the tables of clinical trials and computes a digest over
// what they say rather than over how a file spells it.
//
// It owns the readers of tabular formats, behind [Reader], and the content digest
// tn-table-v1 ([Digest]): two files have the same content digest when they hold
// the same variables, rows and values, whatever their format, labels and time
// stamps. The digest is described, for other languages too, in
// docs/content-digest.md.
//
// It promises to read in one direction with bounded memory, whatever the size of
// a file, and to give a digest only where the whole file was understood: what is
// damaged, too large or open to more than one reading ends with an [Error] that
// says where. Files are untrusted.
//
// It imports nothing else of this module, opens no file and knows no clock.
package dataset
