package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

type locksOptions struct {
	chronologyOptions

	files []string
	diff  diffOptions
}

func (a *app) locksCommand() *cobra.Command {
	var o locksOptions
	cmd := &cobra.Command{
		Use:   "locks [OLD NEW]",
		Short: "Show what changed between two database locks, and why",
		Long: `locks compares what two locks hold, member by member, and says which unlock, with its
reason, explains each change. OLD and NEW are labels or statement ids; without them the
two newest locks of the same data are compared. The trial is computed from checked
receipts, as chronology does it: of the notary's, or with --from of a folder, offline.

With --files the changed tables are compared cell by cell: both versions are found by
their digests, whatever they are called, in as many folders as are given.

Exit status: 0 nothing changed or an unlock explains each change, 1 a change is not
explained, a receipt does not hold or the notary computed the trial differently, 2 wrong
usage or an unreadable input.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return fmt.Errorf("invalid arguments: got %d locks, want OLD and NEW, or none for the newest two", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.locks(cmd.Context(), &o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "compute from the receipts in folder `DIR`, offline")
	f.StringVar(&o.pack, "pack", "", "`FILE` with the rule pack that the charter names, if it is not the default one")
	f.StringArrayVar(&o.files, "files", nil, "folder `DIR` with the files of either lock, to compare cells; may be given again")
	f.BoolVar(&o.csv, "csv", false, "print the changes as CSV, a line each")
	f.StringVar(&o.diff.encoding, "encoding", "", "`NAME` of the encoding of text in SAS transport files, such as windows-1252 (default: UTF-8)")
	f.IntVar(&o.diff.limit, "limit", dataset.DefaultMaxListed, "list at most `N` cells, rows and differences of metadata of a table, each")
	return cmd
}

// locksResult is two locks compared.
type locksResult struct {
	Old     *lockSide     `json:"old"` // null: there are no two locks
	New     *lockSide     `json:"new"`
	Unlocks []lockUnlock  `json:"unlocks"`
	Members []lockMember  `json:"members"`
	Absent  []string      `json:"notAtHand"` // statements of members
	Counts  lockDiffCount `json:"counts"`
}

type lockSide struct {
	Label       string         `json:"label"`
	Type        trial.LockType `json:"type"`
	StatementID string         `json:"statementId"`
	LogIndex    uint64         `json:"logIndex"`
	EffectIndex uint64         `json:"effectIndex"`
	LogTime     time.Time      `json:"logTime,omitzero"`
	Members     int            `json:"members"`
}

type lockUnlock struct {
	StatementID string    `json:"statementId"`
	LogIndex    uint64    `json:"logIndex"`
	EffectIndex uint64    `json:"effectIndex"`
	LogTime     time.Time `json:"logTime,omitzero"`
	Reason      string    `json:"reason"`
	Sites       []string  `json:"sites,omitzero"`
	Datasets    []string  `json:"datasets,omitzero"`
}

type lockMember struct {
	Site    string            `json:"site,omitzero"`
	Dataset string            `json:"dataset,omitzero"`
	Source  string            `json:"sourceSystem,omitzero"`
	Derived bool              `json:"derived,omitzero"`
	Change  chronology.Change `json:"change"`
	// By is what was compared: content or file digests.
	By          string       `json:"comparedBy,omitzero"`
	Old         []memberAt   `json:"old"`
	New         []memberAt   `json:"new"`
	Explained   *bool        `json:"explained,omitzero"` // absent where nothing changed
	ExplainedBy []string     `json:"explainedBy,omitzero"`
	Files       []diffResult `json:"files,omitzero"` // compared cell by cell
	NoFiles     []string     `json:"filesNotAtHand,omitzero"`
	because     string
}

type memberAt struct {
	StatementID string `json:"statementId"`
	LogIndex    uint64 `json:"logIndex"`
	Version     string `json:"version,omitzero"`
}

type lockDiffCount struct {
	Added       int `json:"added"`
	Removed     int `json:"removed"`
	Changed     int `json:"changed"`
	SameData    int `json:"sameData"`
	Unchanged   int `json:"unchanged"`
	Unexplained int `json:"unexplained"`
}

func (a *app) locks(ctx context.Context, o *locksOptions, args []string) error {
	switch {
	case o.csv && a.output != "text":
		return errors.New("invalid --csv: want it without --output json")
	case o.diff.limit < 1:
		return fmt.Errorf("invalid --limit: got %d, want at least 1", o.diff.limit)
	}
	files, err := filesByDigest(ctx, o.files)
	if err != nil {
		return err
	}
	f, ok, err := a.tell(ctx, &o.chronologyOptions)
	if err != nil {
		return err
	}
	d, err := f.compareLocks(args)
	if err != nil {
		return err
	}
	r := newLocksResult(d)
	if d != nil {
		if err := r.compareCells(ctx, d, files, &o.diff); err != nil {
			return err
		}
	}
	if o.csv {
		err = writeCSV(a.stdout, r.lines())
	} else {
		err = a.print(r, r.print)
	}
	return negativeUnless(ok && r.Counts.Unexplained == 0, err)
}

// compareLocks compares the locks that are named, or the newest two; nil where
// there are no two.
func (f *folded) compareLocks(names []string) (*chronology.LockDiff, error) {
	state := f.Engine().State()
	old, next, ok := chronology.LocksToCompare(state)
	if len(names) == 2 {
		var err error
		if old, err = lockNamed(state, names[0]); err != nil {
			return nil, err
		}
		if next, err = lockNamed(state, names[1]); err != nil {
			return nil, err
		}
		if old.EffectIndex >= next.EffectIndex {
			return nil, fmt.Errorf("invalid order of locks: %s took effect at entry %d, and %s at entry %d: name the older one first",
				names[0], old.EffectIndex, names[1], next.EffectIndex)
		}
	} else if !ok {
		return nil, nil //nolint:nilnil // a trial may have less than two locks
	}
	void := map[trial.ID]bool{}
	for i := range f.report.Events {
		if e := &f.report.Events[i]; e.Type == trial.EventNoEffect {
			void[e.Statement] = true
		}
	}
	return chronology.CompareLocks(state, func(id trial.ID) (trial.Logged, bool) {
		l, ok := f.statements[id]
		return l, ok && !void[id]
	}, old, next), nil
}

// lockNamed finds a lock in effect by its label or its statement.
func lockNamed(s *trial.State, name string) (trial.LockState, error) {
	id, _ := trial.ParseID(name)
	var found []trial.LockState
	var labels []string
	for _, l := range s.Locks() {
		if l.Status != trial.StatusEffective {
			continue
		}
		labels = append(labels, l.Label)
		if l.Label == name || l.Logged.Statement == id {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return trial.LockState{}, fmt.Errorf("invalid lock: no lock that took effect is called %q; there are: %s", name, first(strings.Join(labels, ", "), "none"))
	}
	return trial.LockState{}, fmt.Errorf("invalid lock: %d locks are called %q; name one by its statement's id", len(found), name)
}

// filesByDigest finds files by their SHA-256.
func filesByDigest(ctx context.Context, dirs []string) (map[[32]byte]string, error) {
	out := map[[32]byte]string{}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("invalid --files: want a folder with the files of a lock, and %s is none", dir)
		}
		files, err := client.HashFolderAsIs(ctx, dir, nil)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			out[f.SHA256] = f.Path
		}
	}
	return out, nil
}

func newLocksResult(d *chronology.LockDiff) *locksResult {
	r := &locksResult{Unlocks: []lockUnlock{}, Members: []lockMember{}, Absent: []string{}}
	if d == nil {
		return r
	}
	r.Old, r.New = newLockSide(&d.Old), newLockSide(&d.New)
	for i := range d.Unlocks {
		u := &d.Unlocks[i]
		r.Unlocks = append(r.Unlocks, lockUnlock{
			u.Logged.Statement.String(), u.Logged.Index, u.EffectIndex, u.Logged.Time, u.Reason, u.Scope.Sites, u.Scope.Datasets,
		})
	}
	for _, id := range d.Absent {
		r.Absent = append(r.Absent, id.String())
	}
	for i := range d.Members {
		r.Members = append(r.Members, newLockMember(&d.Members[i], &r.Counts))
	}
	r.Counts.Unexplained = d.Unexplained()
	return r
}

func newLockSide(l *trial.LockState) *lockSide {
	return &lockSide{l.Label, l.Type, l.Logged.Statement.String(), l.Logged.Index, l.EffectIndex, l.Logged.Time, len(l.Members)}
}

func newLockMember(m *chronology.Member, n *lockDiffCount) lockMember {
	out := lockMember{
		Site: m.Site, Dataset: m.Dataset, Source: m.Source, Derived: m.Derived, Change: m.Change, Old: membersAt(m.Old), New: membersAt(m.New),
	}
	if len(m.Old) > 0 && len(m.New) > 0 {
		out.By = "file digest"
		if m.ByContent {
			out.By = "content digest"
		}
	}
	switch m.Change {
	case chronology.Added:
		n.Added++
	case chronology.Removed:
		n.Removed++
	case chronology.Changed:
		n.Changed++
	case chronology.SameData:
		n.SameData++
		return out
	default:
		n.Unchanged++
		return out
	}
	out.Explained = new(!m.Unexplained())
	out.because = "not explained by an unlock"
	for i := range m.ExplainedBy {
		u := &m.ExplainedBy[i]
		out.ExplainedBy = append(out.ExplainedBy, u.Logged.Statement.String())
		if i == 0 {
			out.because = fmt.Sprintf("unlock of entry %d: %s", u.Logged.Index, u.Reason)
		}
	}
	return out
}

func membersAt(list []trial.Logged) []memberAt {
	out := []memberAt{}
	for _, l := range list {
		out = append(out, memberAt{l.Statement.ID.String(), l.Index, l.Statement.Predicate.Version})
	}
	return out
}

// compareCells compares the files of changed members that are at hand: those of one
// name, or the one of each side.
func (r *locksResult) compareCells(ctx context.Context, d *chronology.LockDiff, files map[[32]byte]string, o *diffOptions) error {
	for i := range d.Members {
		m := &d.Members[i]
		if len(files) == 0 || m.Change != chronology.Changed && m.Change != chronology.SameData {
			continue
		}
		for _, p := range filePairs(m) {
			for _, sum := range p.sums {
				if files[sum] == "" {
					r.Members[i].NoFiles = append(r.Members[i].NoFiles, p.name+" "+hex.EncodeToString(sum[:]))
				}
			}
			a, b := files[p.sums[0]], files[p.sums[1]]
			if a == "" || b == "" {
				continue
			}
			diff, err := compareFiles(ctx, *o, a, b)
			if err != nil {
				return err
			}
			r.Members[i].Files = append(r.Members[i].Files, *diff)
		}
	}
	return nil
}

// filePair is one file in two versions.
type filePair struct {
	name string
	sums [2][32]byte
}

// filePairs pairs the files of a member that are not the same.
func filePairs(m *chronology.Member) []filePair {
	old, next := subjectsOf(m.Old), subjectsOf(m.New)
	var out []filePair
	for _, name := range slices.Sorted(maps.Keys(next)) {
		was, same := old[name]
		if !same && len(old) == 1 && len(next) == 1 {
			for _, only := range old {
				was, same = only, true
			}
		}
		if same && was != next[name] {
			out = append(out, filePair{name, [2][32]byte{was, next[name]}})
		}
	}
	return out
}

// subjectsOf returns the files of statements by name.
func subjectsOf(list []trial.Logged) map[string][32]byte {
	out := map[string][32]byte{}
	for _, l := range list {
		for _, s := range l.Statement.Subjects {
			if sum, ok := s.Digests.Get(trial.DigestSHA256); ok {
				out[s.Name] = sum
			}
		}
	}
	return out
}
