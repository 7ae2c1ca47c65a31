package rules

import (
	"github.com/trialnotary/trialnotary/trial"
)

const (
	whileLocked = "Data were sent while they were locked and no unlock was open for them."
	noLineage   = "Data for submission or final analysis do not derive from a lock in effect."
	noLock      = "This unlock gives no reason, or names a lock that is not in effect."
	outside     = "Members of this lock that were added, removed or changed outside every unlock: "
)

func at(sites ...string) trial.DataScope { return trial.DataScope{Sites: sites} }

// twice tells of a first lock of AE at both sites, of an unlock, of what happens
// then, and of a second lock with what that returns.
func twice(scope trial.DataScope, then func(y *story, d701, d704 *trial.Statement) []*trial.Statement) func(*story) {
	return func(y *story) {
		y.running()
		d701, d704 := y.data("data 701", "701", "AE", 1, table(1, 11)), y.data("data 704", "704", "AE", 2, table(2, 12))
		lock := y.lock("lock 1", trial.DataScope{}, d701, d704)
		y.unlock("unlock", lock, scope)
		y.lock("lock 2", trial.DataScope{}, then(y, d701, d704)...)
	}
}

// lockScenes are about database locks.
var lockScenes = []scene{
	{
		rule: "R04", name: "a lock without a plan, or before the plan is in effect",
		tell: func(y *story) {
			y.running("sap")
			y.add("sap", "stat", "", trial.KindSAP, nil, document("SAP", "1"))
			y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
		},
		want: []string{"R04 critical on lock 1 by stat's signature: This database lock took effect while no statistical analysis plan was in effect."},
	},
	{
		rule: "R04", name: "a plan that takes effect before the lock does",
		tell: func(y *story) {
			y.running("sap")
			lock := y.add("lock 1", "dm", "", trial.KindDatabaseLock,
				&trial.LockBody{Label: "1", Type: trial.LockFinal, Members: ids([]*trial.Statement{y.data("data", "701", "AE", 1)})})
			y.sap("sap")
			y.endorse(lock, "stat")
		},
	},
	{
		rule: "R10", name: "data while everything is locked",
		tell: func(y *story) {
			y.running()
			y.lock("lock 1", trial.DataScope{}, y.data("data 1", "701", "AE", 1))
			y.data("data 2", "701", "AE", 2)
		},
		want: []string{"R10 major on data 2: " + whileLocked},
	},
	{
		rule: "R10", name: "data beside a lock, after an interim one, and derived data for no submission",
		tell: func(y *story) {
			y.running()
			data := y.data("data 1", "701", "AE", 1)
			y.lockOf(trial.LockInterim, "snapshot", trial.DataScope{}, data)
			data = y.data("data 2", "701", "AE", 2)
			y.lock("lock 1", trial.DataScope{Sites: []string{"701"}, Datasets: []string{"AE"}}, data)
			y.data("data 3", "701", "DM", 3)
			y.data("data 4", "704", "AE", 4)
			y.derived("tables", false)
		},
	},
	{
		rule: "R10", name: "data outside an unlock's site or dataset",
		tell: func(y *story) {
			y.running()
			lock := y.lock("lock 1", trial.DataScope{}, y.data("data 1", "701", "AE", 1))
			y.unlock("unlock", lock, trial.DataScope{Sites: []string{"701"}, Datasets: []string{"AE"}})
			y.data("inside", "701", "AE", 2)
			y.data("another dataset", "701", "DM", 3)
			y.data("another site", "704", "AE", 4)
		},
		want: []string{"R10 major on another dataset: " + whileLocked, "R10 major on another site: " + whileLocked},
	},
	{
		rule: "R10", name: "data after a lock closed the unlock",
		tell: func(y *story) {
			twice(at("701"), func(_ *story, d701, d704 *trial.Statement) []*trial.Statement { return []*trial.Statement{d701, d704} })(y)
			y.data("late", "701", "AE", 3)
		},
		want: []string{"R10 major on late: " + whileLocked},
	},
	{
		rule: "R10", name: "submission data with and without a lock behind them",
		tell: func(y *story) {
			y.running()
			data := y.data("data", "701", "AE", 1)
			y.derived("too early", true, from(data))
			lock := y.lock("lock 1", trial.DataScope{}, data)
			first := y.derived("adsl", true, from(lock))
			y.derived("table", true, from(first))
			y.derived("without", true)
		},
		want: []string{"R10 major on too early: " + noLineage, "R10 major on without: " + noLineage},
	},
	{
		rule: "R10", name: "derived data for the final analysis",
		tell: func(y *story) {
			y.running()
			y.add("final", "stat", "", trial.KindDerivedDataset,
				&trial.DataBody{Origin: trial.OriginSponsor, Purpose: trial.PurposeRoutine, Dataset: "ADSL", Final: true})
		},
		want: []string{"R10 major on final: " + noLineage},
	},
	{
		rule: "R11", name: "an unlock of the lock in effect",
		tell: twice(at("701"), func(_ *story, d701, d704 *trial.Statement) []*trial.Statement { return []*trial.Statement{d701, d704} }),
	},
	{
		rule: "R11", name: "an unlock of an interim lock, of none, and of one that was replaced",
		tell: func(y *story) {
			y.running()
			data := y.data("data 1", "701", "AE", 1)
			y.unlock("unlock 1", y.lockOf(trial.LockInterim, "snapshot", trial.DataScope{}, data), trial.DataScope{})
			y.unlock("unlock 2", data, trial.DataScope{})
			first := y.lock("lock 1", trial.DataScope{}, data)
			y.lock("lock 2", trial.DataScope{}, data)
			y.unlock("unlock 3", first, trial.DataScope{})
		},
		want: []string{
			"R11 major on unlock 1 by qa's signature: " + noLock,
			"R11 major on unlock 2 by qa's signature: " + noLock,
			"R11 major on unlock 3 by qa's signature: " + noLock,
		},
	},
	{
		rule: "R11", name: "an unlock after the trial was unblinded",
		tell: func(y *story) {
			y.running()
			lock := y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.unblind("unblinding")
			y.unlock("unlock", lock, at("701"))
		},
		want: []string{"R11 critical on unlock by qa's signature: The database was unlocked after the trial had been unblinded."},
	},
	{
		rule: "R11", name: "an unlock after one participant was unblinded",
		tell: func(y *story) {
			y.running()
			lock := y.lock("lock 1", trial.DataScope{}, y.data("data", "701", "AE", 1))
			y.endorse(y.emergency("emergency"), "qa")
			y.unlock("unlock", lock, at("701"))
		},
	},
	{
		rule: "R15", name: "a change inside the unlock",
		tell: twice(at("701"), func(y *story, d701, d704 *trial.Statement) []*trial.Statement {
			return []*trial.Statement{y.data("data 701 b", "701", "AE", 3, table(3, 13), replaces(d701)), d704}
		}),
	},
	{
		rule: "R15", name: "a change outside the unlock",
		tell: twice(at("701"), func(y *story, d701, d704 *trial.Statement) []*trial.Statement {
			return []*trial.Statement{d701, y.data("data 704 b", "704", "AE", 3, table(3, 13), replaces(d704))}
		}),
		want: []string{
			"R10 major on data 704 b: " + whileLocked,
			"R15 critical on lock 2 by stat's signature: " + outside + "1. The first: AE of site 704 from EDC: changed.",
		},
	},
	{
		rule: "R15", name: "other bytes with the same content outside the unlock",
		tell: twice(at("701"), func(y *story, d701, d704 *trial.Statement) []*trial.Statement {
			return []*trial.Statement{d701, y.data("data 704 b", "704", "AE", 3, table(3, 12), replaces(d704))}
		}),
		want: []string{"R10 major on data 704 b: " + whileLocked},
	},
	{
		rule: "R15", name: "other bytes without a content digest",
		tell: twice(at("701"), func(y *story, d701, d704 *trial.Statement) []*trial.Statement {
			return []*trial.Statement{d701, y.data("data 704 b", "704", "AE", 3, replaces(d704))}
		}),
		want: []string{
			"R10 major on data 704 b: " + whileLocked,
			"R15 critical on lock 2 by stat's signature: " + outside + "1. The first: AE of site 704 from EDC: changed.",
		},
	},
	{
		rule: "R15", name: "added and removed outside the unlock",
		tell: twice(at("701"), func(y *story, d701, _ *trial.Statement) []*trial.Statement {
			return []*trial.Statement{d701, y.data("more data", "704", "DM", 3)}
		}),
		want: []string{
			"R10 major on more data: " + whileLocked,
			"R15 critical on lock 2 by stat's signature: " + outside + "2. The first: AE of site 704 from EDC: removed.",
		},
	},
	{
		rule: "R15", name: "added and removed inside the unlock",
		tell: twice(at("704"), func(y *story, d701, _ *trial.Statement) []*trial.Statement {
			return []*trial.Statement{d701, y.data("more data", "704", "DM", 3)}
		}),
	},
	{
		rule: "R15", name: "a dataset outside the unlock's",
		tell: twice(trial.DataScope{Datasets: []string{"DM"}}, func(y *story, d701, d704 *trial.Statement) []*trial.Statement {
			return []*trial.Statement{d701, d704, y.data("more data", "704", "DM", 3), y.data("vital signs", "704", "VS", 4)}
		}),
		want: []string{
			"R10 major on vital signs: " + whileLocked,
			"R15 critical on lock 2 by stat's signature: " + outside + "1. The first: VS of site 704 from EDC: added.",
		},
	},
	{
		rule: "R15", name: "an interim lock in between, which locks nothing",
		tell: twice(at("701"), func(y *story, d701, d704 *trial.Statement) []*trial.Statement {
			b := y.data("data 701 b", "701", "AE", 3, table(3, 13), replaces(d701))
			y.lockOf(trial.LockInterim, "snapshot", trial.DataScope{}, b)
			return []*trial.Statement{y.data("data 701 c", "701", "AE", 4, table(4, 14), replaces(b)), d704}
		}),
	},
	{
		rule: "R17", name: "members that are not notarized, no data, or replaced",
		tell: func(y *story) {
			p, _, _ := y.running()
			first := y.data("data 1", "701", "AE", 1)
			y.data("data 2", "701", "AE", 2)
			unnamed := y.add("file 1", "edc", "701", trial.KindDataset, extract(""))
			y.add("file 2", "edc", "701", trial.KindDataset, extract(""), file(2), replaces(unnamed))
			never := y.write("edc", "704", trial.KindDataset, extract("AE"))
			y.names[never.ID.String()] = "data that nobody logged"
			y.lock("lock 1", trial.DataScope{}, p, first, unnamed, never)
		},
		want: []string{
			"R17 major on lock 1 by stat's signature: Members of this lock that are not notarized as data: 2; " +
				"that are not the current version: 2. The first: protocol 1.",
		},
	},
	{
		rule: "R17", name: "a member that was replaced before the lock took effect",
		tell: func(y *story) {
			y.running()
			first := y.data("data 1", "701", "AE", 1)
			lock := y.add("lock 1", "dm", "", trial.KindDatabaseLock, &trial.LockBody{Label: "1", Type: trial.LockFinal, Members: ids([]*trial.Statement{first})})
			y.data("data 2", "701", "AE", 2)
			y.endorse(lock, "stat")
		},
		want: []string{
			"R17 major on lock 1 by stat's signature: Members of this lock that are not notarized as data: 0; " +
				"that are not the current version: 1. The first: data 1.",
		},
	},
	{
		rule: "R17", name: "current members",
		tell: func(y *story) {
			y.running()
			y.data("data 1", "701", "AE", 1)
			second := y.data("data 2", "701", "AE", 2)
			y.lock("lock 1", trial.DataScope{}, second, y.data("data 3", "704", "AE", 3), y.derived("adsl", false))
		},
	},
	{
		rule: "R18", name: "data for submission from a lock that was replaced",
		tell: func(y *story) {
			y.running()
			data := y.data("data", "701", "AE", 1)
			first := y.lock("lock 1", trial.DataScope{}, data)
			derived := y.derived("table", false, from(first))
			second := y.lock("lock 2", trial.DataScope{}, data)
			y.derived("adsl 1", true, from(derived))
			y.derived("adsl 2", true, from(first, second))
		},
		want: []string{
			"R10 major on adsl 1: " + noLineage,
			"R18 major on adsl 1: These data for submission derive from a lock that another lock has replaced.",
			"R18 major on adsl 2: These data for submission derive from a lock that another lock has replaced.",
		},
	},
	{
		rule: "R18", name: "data for submission from the last lock, and for none from an earlier one",
		tell: func(y *story) {
			y.running()
			data := y.data("data", "701", "AE", 1)
			first := y.lock("lock 1", trial.DataScope{}, data)
			second := y.lock("lock 2", trial.DataScope{}, data)
			y.derived("adsl", true, from(second))
			y.derived("table", false, from(first))
		},
	},
}
