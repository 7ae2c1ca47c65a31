// Package rules judges a trial: it compiles packs of rules and finds where a
// trial's statements break them.
//
// A pack is a readable YAML text, named by the SHA-256 of its bytes. Its rules are
// expressions in CEL over facts of the trial's state at an event of the log; true
// is a rule that is kept. [Default] is the pack of this project; a charter names
// its pack by digest and may add rules of its own.
//
// An [Engine] folds a trial's statements in log order and returns the findings.
// They are a function of the charter, the pack and what was folded: nothing here
// reads a clock, a file, a network or a zone database, every expression is bounded
// in size and cost, and whoever folds the same statements gets the same findings,
// in whatever batches. A finding never keeps a statement out of the log.
//
// It imports package trial and nothing else of this module.
package rules
