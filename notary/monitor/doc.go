// Package monitor watches a notary for one trial. It runs at the sponsor, or at a
// site for what the site may see, and trusts nothing but the trial's trust folder
// and what it saw before.
//
// A look follows the log's checkpoint, proves that it continues the last one that
// was trusted, scans the new entries for the trial's enrolled keys, fetches and
// checks the statements behind them, folds the trial's state and findings by
// itself, and compares them with the notary's. What is wrong becomes an [Alarm],
// which stays until it is resolved or acknowledged.
//
// A folder holds what was seen, durably: a look that ends anywhere is taken up
// there. One process at a time looks, under the folder's lock; whoever comes next
// finds what the one before left, and where locks do not work, a state that another
// has moved on is never overwritten (ErrMovedOn).
//
// It imports clients/go, notary/receipt, trial and trial/rules, and never the
// server.
package monitor
