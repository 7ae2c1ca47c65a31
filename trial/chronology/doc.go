// Package chronology tells what happened in a trial, in the order of its log:
// each statement and what became of it, with the findings that opened, closed and
// were answered there.
//
// It is a pure fold over a [rules.Engine]: whoever folds the same statements gets
// the same chronology, the notary, a sponsor's monitor and an inspector's laptop
// alike. Nothing here reads a clock, a file or a network. It imports packages trial
// and trial/rules and nothing else of this module.
package chronology
