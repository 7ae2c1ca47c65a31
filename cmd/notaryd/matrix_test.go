package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// harm is one way in which a notary's folder goes wrong, and the way back that
// docs/operations.md tells.
type harm struct {
	name string
	from string // the moment that is harmed; "newest" if empty
	mark string // withMark or withoutMark
	do   func(p *patient)
	says []string // what `notaryd check` says of it
	// starts tells that a start does not read what is wrong.
	starts bool

	section string // of the document
	block   int    // of the section
	backup  string // what BACKUP is; "newest" if empty
	file    string // what FILE is
}

// The sections of the document.
const (
	lostSection     = "Entries are missing from the log"
	fileSection     = "A file of the log is missing or damaged"
	conflictSection = "Other entries than those that were signed"
	behindSection   = "The database is older than the log"
	databaseSection = "The database is damaged"
	payloadsSection = "The file of large statements is missing or damaged"
	rowSection      = "The high-water mark is damaged"
	marksSection    = "The two high-water marks do not agree"
	togetherSection = "Log and database were rolled back together"
	lockSection     = "Another server, or no locks"
	clockSection    = "The clock is far ahead"
	nothingSection  = "No copy is right"
)

// logHarms are those of the log's folder, of size entries.
func logHarms(size, older uint64) []harm {
	missing := fmt.Sprintf("log folder holds %d entries, the high-water mark is %d: %d entries are missing", older, size, size-older)
	harms := []harm{
		{name: "older log", mark: withMark, do: func(p *patient) { p.put("older", "log") }, says: []string{missing}, section: lostSection},
		{name: "older log, no second mark", do: func(p *patient) { p.put("older", "log") }, says: []string{missing}, section: lostSection},
		{name: "older tree state and checkpoint", mark: withMark,
			do: func(p *patient) { p.put("older", "log/.state/treeState", "log/checkpoint") }, says: []string{missing}, section: lostSection},
		{name: "older log that was appended to", mark: withMark, do: (*patient).fork,
			says: []string{fmt.Sprintf("the folder's first %d entries give root", size), "the high-water mark says"}, section: conflictSection},
	}
	tile, bundle := fmt.Sprintf("tile/0/000.p/%d", size), fmt.Sprintf("tile/entries/000.p/%d", size)
	for _, name := range []string{tile, bundle, ".state/treeState", "checkpoint"} {
		harms = append(harms,
			fileHarm(name, "flipped", false, func(p *patient) { p.alter("log/"+name, flipAt(30)) }),
			fileHarm(name, "truncated", false, func(p *patient) { p.alter("log/"+name, cutBy(1)) }),
			fileHarm(name, "missing", false, func(p *patient) { p.remove("log/" + name) }),
		)
	}
	return append(harms,
		fileHarm(tile, "torn", false, func(p *patient) { p.alter("log/"+tile, torn) }),
		fileHarm(bundle, "torn", false, func(p *patient) { p.alter("log/"+bundle, torn) }),
		fileHarm(".state/treeState", "with another size", false, func(p *patient) { p.alter("log/.state/treeState", flipAt(9)) }),
	)
}

// fileHarm is one of a file of the log.
func fileHarm(file, how string, starts bool, do func(*patient)) harm {
	return harm{name: file + " " + how, mark: withMark, do: do, says: []string{"log file " + file + ":"}, starts: starts,
		section: fileSection, file: file}
}

// oldFileHarms are those of files that a log of more than 256 entries has: full ones,
// which a start does not read, and a tile above the lowest level.
func oldFileHarms() []harm {
	var harms []harm
	for file, starts := range map[string]bool{"tile/0/000": true, "tile/entries/000": true, "tile/1/000.p/1": false} {
		harms = append(harms,
			fileHarm(file, "flipped", starts, func(p *patient) { p.alter("log/"+file, flipAt(-5)) }),
			fileHarm(file, "missing", starts, func(p *patient) { p.remove("log/" + file) }),
		)
	}
	return harms
}

// torn zeroes the second half, as a write that a crash interrupted leaves it.
func torn(b []byte) []byte {
	clear(b[len(b)/2:])
	return b
}

func (p *patient) remove(name string) {
	p.t.Helper()
	if err := os.Remove(p.path(name)); err != nil {
		p.t.Fatal(err)
	}
}

// databaseHarms are those of the database.
func databaseHarms(size, older uint64) []harm {
	behind := fmt.Sprintf("the high-water mark is %d, but a checkpoint of %d entries was published", older, size)
	row := func(query string) func(*patient) { return func(p *patient) { p.sql(query) } }
	damaged := func(name, says string, starts bool, do func(*patient)) harm {
		return harm{name: name, mark: withMark, do: do, says: []string{says}, starts: starts, section: databaseSection, backup: "older"}
	}
	return []harm{
		{name: "older database", do: func(p *patient) { p.put("older", "notary.db") }, says: []string{behind}, section: behindSection},
		{name: "older database, replayed from receipts", do: func(p *patient) { p.put("older", "notary.db") },
			says: []string{behind}, section: behindSection, block: 1},
		{name: "older database under the newest mark", do: func(p *patient) {
			p.put("older", "notary.db")
			p.moveMark()
		}, says: []string{fmt.Sprintf("the database is older than the log: %d of the log's entries have no statement", size-older), fmt.Sprintf("first at index %d", older)},
			section: behindSection},
		{name: "write-ahead log lost", from: "crashed", do: func(p *patient) { p.remove("notary.db-wal"); p.remove("notary.db-shm") },
			says: []string{"the database is older than the log folder"}, section: behindSection},
		{name: "write-ahead log damaged", from: "crashed", do: func(p *patient) { p.alter("notary.db-wal", flipAt(5000)) },
			says: []string{"the database is older than the log folder"}, section: behindSection},

		{name: "first page of statements", mark: withMark, do: func(p *patient) { p.page("statements") },
			says: []string{"(statements)"}, section: databaseSection},
		damaged("page of statements", "(statements)", true, func(p *patient) { p.pageOf(14) }),
		damaged("page of an index", "(entries_trial)", false, func(p *patient) { p.page("entries_trial") }),
		damaged("page of the index of ids", "(sqlite_autoindex_statements_1)", true, func(p *patient) { p.page("sqlite_autoindex_statements_1") }),
		damaged("page of entries", "(entries)", false, func(p *patient) { p.page("entries") }),
		{name: "header", mark: withMark, do: func(p *patient) { p.alter("notary.db", flipAt(3)) },
			says: []string{"not a store of the notary"}, section: databaseSection},
		{name: "truncated", mark: withMark, do: func(p *patient) { p.alter("notary.db", func(b []byte) []byte { return b[:len(b)/2] }) },
			says: []string{"cut short"}, section: databaseSection},
		{name: "bit of a payload", mark: withMark, do: func(p *patient) { p.alter("notary.db", flipText(`"kind":"dataset"`)) },
			says: []string{"its payload hashes to"}, starts: true, section: databaseSection},
		damaged("row at another index", "differs from its statement", true, row("UPDATE entries SET site = '999' WHERE idx = 14")),
		damaged("site of a statement", "differs from its statement", true, row("UPDATE statements SET site = '999' WHERE n = 14")),
		damaged("site of a statement and its entry", "site of statement", true, func(p *patient) {
			p.sql("UPDATE statements SET site = '999' WHERE n = 14")
			p.sql("UPDATE entries SET site = '999' WHERE n = 14")
		}),
		damaged("placed nowhere", "neither pending nor placed", true, row("DELETE FROM entries WHERE idx = 14")),
		damaged("authority", "cannot change the trial's authority", true, func(p *patient) {
			p.sql("UPDATE statements SET authority = 1 WHERE n = 14")
			p.sql("UPDATE entries SET authority = 1 WHERE n = 14")
		}),
	}
}

// payloadHarms are those of the file of large payloads.
func payloadHarms() []harm {
	const file = "notary.db-payloads"
	payloads := func(name, says string, starts bool, do func(*patient)) harm {
		return harm{name: name, mark: withMark, do: do, says: []string{file + ": " + says}, starts: starts, section: payloadsSection}
	}
	// The last statement's bytes; zeros fill its block behind them.
	last := func(change func([]byte) []byte) func(*patient) {
		return func(p *patient) {
			p.alter(file, func(b []byte) []byte { return change(bytes.TrimRight(b, "\x00")) })
		}
	}
	flip := last(flipAt(-100))
	harms := []harm{
		payloads("missing", "the file is missing", false, func(p *patient) { p.remove(file) }),
		payloads("truncated", "the file is cut short or an older copy", false, last(cutBy(1))),
		payloads("older", "the file is cut short or an older copy", false, func(p *patient) { p.put("older", file) }),
		payloads("another", "the file is none of payloads", false, func(p *patient) { p.alter(file, flipAt(3)) }),
		payloads("flipped", "statement ", true, flip),
		payloads("torn", "statement ", true, func(p *patient) { p.alter(file, torn) }),
		payloads("flipped, and the copy is older", "statement ", true, flip),
		payloads("missing, and the copy is older", "the file is missing", false, func(p *patient) { p.remove(file) }),
	}
	for i := len(harms) - 2; i < len(harms); i++ {
		harms[i].block, harms[i].backup = 1, "older"
	}
	return harms
}

// flipText flips a bit of a text's last place in a file.
func flipText(text string) func([]byte) []byte {
	return func(b []byte) []byte {
		at := strings.LastIndex(string(b), text)
		b[at+len(text)-2] ^= 1
		return b
	}
}

// moveMark gives the database the newest mark.
func (p *patient) moveMark() {
	p.t.Helper()
	p.sql(fmt.Sprintf("ATTACH %q AS newest", filepath.Join(p.relic.dir, "newest", "n", "notary.db")) +
		"; UPDATE mark SET (size, root) = (SELECT size, root FROM newest.mark)")
}

// markHarms are those of the high-water mark and its second copy.
func markHarms(size, older uint64) []harm {
	marks := func(name, says string, block int, do func(*patient)) harm {
		return harm{name: name, mark: withMark, do: do, says: []string{says}, section: marksSection, block: block}
	}
	second := func(change func([]byte) []byte) func(*patient) {
		return func(p *patient) {
			name := filepath.Join(p.dir, "mark", "high-water")
			writeFile(p.t, name, change(readFile(p.t, name)))
		}
	}
	lacks := fmt.Sprintf("the first is older and lacks %d entries", size-older)
	row := func(p *patient) { p.sql("UPDATE mark SET root = zeroblob(32)") }
	return []harm{
		{name: "mark with another root", do: row, says: []string{"entries give root", "the high-water mark says"}, section: rowSection},
		{name: "mark missing", do: func(p *patient) { p.sql("DELETE FROM mark") }, says: []string{"no high-water mark"}, section: rowSection},
		{name: "mark too large", do: func(p *patient) { p.sql("UPDATE mark SET size = size + 1024") },
			says: []string{"1024 entries are missing"}, section: rowSection},
		marks("mark with another root, and a second one", "hold different roots", 2, row),
		marks("second mark flipped", "is damaged", 0, second(flipAt(-1))),
		marks("second mark truncated", "is damaged", 0, second(cutBy(10))),
		marks("second mark empty", "is damaged", 0, second(func([]byte) []byte { return nil })),
		marks("second mark missing", "is missing: restore it", 0, func(p *patient) {
			if err := os.Remove(filepath.Join(p.dir, "mark", "high-water")); err != nil {
				p.t.Fatal(err)
			}
		}),
		marks("older second mark", lacks, 0, func(p *patient) {
			copyTree(p.t, filepath.Join(p.relic.dir, "older", "mark"), filepath.Join(p.dir, "mark"))
		}),
		marks("older log and database", lacks, 1, func(p *patient) { p.put("older", "log", "notary.db") }),
		marks("older database", lacks, 1, func(p *patient) { p.put("older", "notary.db") }),
	}
}

// TestDamageIsFoundAndMended damages a real notary's folder in every way of the
// table. `notaryd check` names what is wrong, the server does not start over it,
// and what docs/operations.md says to do mends it: the log goes on where it was.
func TestDamageIsFoundAndMended(t *testing.T) {
	remedies := readRemedies(t)
	mended := map[string]bool{}
	r := newRelic(t, 8, 6)
	harms := append(logHarms(r.size, r.older), databaseHarms(r.size, r.older)...)
	harms = append(harms, payloadHarms()...)
	for _, h := range append(harms, markHarms(r.size, r.older)...) {
		h.run(t, r, remedies, mended)
	}
	if testing.Short() {
		return
	}
	r = newRelic(t, 256, 2)
	for _, h := range oldFileHarms() {
		h.run(t, r, remedies, mended)
	}
}

// run does the harm to a copy of a relic and mends it.
func (h *harm) run(t *testing.T, r *relic, remedies map[string]*remedy, mended map[string]bool) {
	t.Helper()
	t.Run(h.section+"/"+h.name, func(t *testing.T) {
		from, backup := h.from, h.backup
		if from == "" {
			from = "newest"
		}
		if backup == "" {
			backup = "newest"
		}
		p := r.patient(t, from, h.mark)
		h.do(p)
		remedy := remedies[h.section]
		if remedy == nil {
			t.Fatalf("docs/operations.md has no section %q", h.section)
		}
		said := p.check()
		for _, part := range h.says {
			if !strings.Contains(said, part) {
				t.Errorf("check says %q, want %q in it", said, part)
			}
		}
		if !remedy.covers(said) {
			t.Errorf("the section does not say %q", said)
		}
		if err := p.start(); (err == nil) != h.starts {
			t.Errorf("start: got %v", err)
		} else if err != nil && !remedy.covers(err.Error()) {
			t.Errorf("the section does not say %q", err)
		}
		remedy.follow(t, h.block, map[string]string{
			"NOTARY": filepath.Join(p.dir, "n"), "BACKUP": filepath.Join(r.dir, backup, "n"), "FILE": h.file,
			"MARK": filepath.Join(p.dir, "mark", "high-water"), "CHECKPOINT": p.checkpoint(), "RECEIPTS": r.receipts,
		})
		p.well()
	})
}
