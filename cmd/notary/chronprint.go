package main

import (
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
)

// chronologyResult is a chronology in JSON.
type chronologyResult struct {
	Trial           string   `json:"trial"`
	RegistryNumbers []string `json:"registryNumbers"`
	Sponsor         string   `json:"sponsor"`
	Sites           []string `json:"sites"`
	RulePack        string   `json:"rulePack,omitzero"`
	// Position is the last entry that was folded, LogTime the log time there.
	Position uint64         `json:"position"`
	LogTime  time.Time      `json:"logTime,omitzero"`
	Log      logPosition    `json:"log"`
	Folded   foldedDigests  `json:"folded"`
	Withheld *uint64        `json:"withheld"` // null: not known
	Notes    []string       `json:"notes"`
	Findings []toldFinding  `json:"findings"`
	Locks    []toldWindow   `json:"locks,omitzero"`
	Events   []toldEvent    `json:"events,omitzero"`
	Notary   *notarysAnswer `json:"notary,omitzero"`
}

type logPosition struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
}

// foldedDigests tell whether two who computed a trial used and found the same.
type foldedDigests struct {
	Statements       int    `json:"statements"`
	StatementsDigest string `json:"statementsDigest"`
	FindingsDigest   string `json:"findingsDigest"`
}

type toldFinding struct {
	Rule        string         `json:"rule"`
	Title       string         `json:"title"`
	Severity    trial.Severity `json:"severity"`
	Clauses     []string       `json:"clauses"`
	Own         bool           `json:"own,omitzero"`
	StatementID string         `json:"statementId"`
	Site        string         `json:"site,omitzero"`
	LogIndex    uint64         `json:"logIndex"` // where it opened
	LogTime     time.Time      `json:"logTime,omitzero"`
	Why         string         `json:"why"`
	State       string         `json:"state"` // open, answered or closed
	ResponseID  string         `json:"responseId,omitzero"`
	ClosedAt    *uint64        `json:"closedAt,omitzero"`
}

type toldWindow struct {
	StatementID string    `json:"statementId"`
	Unlock      bool      `json:"unlock"`
	Label       string    `json:"label"`
	Type        string    `json:"type"`
	Sites       []string  `json:"sites,omitzero"`
	Datasets    []string  `json:"datasets,omitzero"`
	Begin       uint64    `json:"begin"`
	From        time.Time `json:"from,omitzero"`
	End         *uint64   `json:"end,omitzero"`
	To          time.Time `json:"to,omitzero"`
	Reason      string    `json:"reason,omitzero"`
}

type toldEvent struct {
	LogIndex     uint64          `json:"logIndex"`
	LogTime      time.Time       `json:"logTime,omitzero"`
	Event        trial.EventType `json:"event"`
	Status       trial.Status    `json:"status"`
	StatementID  string          `json:"statementId"`
	StatementAt  uint64          `json:"statementIndex"`
	Kind         trial.Kind      `json:"kind"`
	Site         string          `json:"site,omitzero"`
	Version      string          `json:"version,omitzero"`
	Title        string          `json:"title"`
	Detail       string          `json:"detail,omitzero"`
	Declared     time.Time       `json:"declaredTime,omitzero"`
	DeclaredZone string          `json:"declaredZone,omitzero"`
	Signer       toldSigner      `json:"signer"`
	Opened       []string        `json:"opened,omitzero"`
	Closed       []string        `json:"closed,omitzero"`
	Answered     []string        `json:"answered,omitzero"`
}

type toldSigner struct {
	KeyID        string     `json:"keyId"`
	Name         string     `json:"name"`
	Role         trial.Role `json:"role"`
	Organisation string     `json:"organisation"`
}

func newChronologyResult(f *folded) *chronologyResult {
	r := f.report
	out := &chronologyResult{
		Trial: r.Trial.String(), RegistryNumbers: append([]string{}, r.Numbers...), Sponsor: r.Sponsor, RulePack: r.RulePack,
		Position: r.Position, LogTime: r.Time, Log: logPosition{r.Origin, r.Size, hex.EncodeToString(r.Root[:])},
		Folded:   foldedDigests{r.Statements, hex.EncodeToString(f.view.Folded[:]), hex.EncodeToString(f.view.Digest[:])},
		Withheld: r.Withheld, Notes: append([]string{}, r.Notes...), Findings: []toldFinding{}, Locks: []toldWindow{}, Events: []toldEvent{},
		Notary: f.notary,
	}
	for _, s := range r.Sites {
		out.Sites = append(out.Sites, s.ID)
	}
	for i := range r.Findings {
		out.Findings = append(out.Findings, newToldFinding(&r.Findings[i]))
	}
	for i := range r.Windows {
		w := &r.Windows[i]
		t := toldWindow{
			StatementID: w.Statement.String(), Unlock: w.Unlock, Label: w.Label, Type: string(w.Type), Sites: w.Scope.Sites,
			Datasets: w.Scope.Datasets, Begin: w.Begin, From: w.From, To: w.To, Reason: w.Reason,
		}
		if w.Ended {
			t.End = new(w.End)
		}
		out.Locks = append(out.Locks, t)
	}
	for i := range r.Events {
		out.Events = append(out.Events, newToldEvent(&r.Events[i]))
	}
	return out
}

func newToldFinding(f *rules.Finding) toldFinding {
	t := toldFinding{
		Rule: f.Rule, Title: f.Title, Severity: f.Severity, Clauses: append([]string{}, f.Clauses...), Own: f.Own,
		StatementID: f.Statement.String(), Site: f.Site, LogIndex: f.Index, LogTime: f.Time, Why: f.Why, State: chronology.State(f),
		ClosedAt: f.Closed,
	}
	if f.Response != nil {
		t.ResponseID = f.Response.Statement.String()
	}
	return t
}

func newToldEvent(e *chronology.Event) toldEvent {
	t := toldEvent{
		LogIndex: e.Index, LogTime: e.Time, Event: e.Type, Status: e.Status, StatementID: e.Statement.String(), StatementAt: e.Logged,
		Kind: e.Kind, Site: e.Site, Version: e.Version, Title: e.Title, Detail: e.Detail,
		Signer: toldSigner{e.Signer.KeyID.String(), e.Signer.Name, e.Signer.Role, e.Signer.Organisation},
		Opened: ruleNames(e.Opened), Closed: ruleNames(e.Closed), Answered: ruleNames(e.Answered),
	}
	if e.Declared != nil {
		t.Declared, t.DeclaredZone = e.Declared.UTC, e.Declared.Zone
	}
	return t
}

func ruleNames(refs []chronology.Ref) []string {
	var out []string
	for _, r := range refs {
		out = append(out, r.Rule)
	}
	return out
}

// rulesAt says what happened to findings at an event.
func rulesAt(e *chronology.Event) string {
	var out []string
	for _, l := range []struct {
		word string
		refs []chronology.Ref
	}{{"", e.Opened}, {"closes ", e.Closed}, {"answers ", e.Answered}} {
		for _, r := range l.refs {
			out = append(out, l.word+r.Rule)
		}
	}
	return strings.Join(out, ", ")
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func eventLines(r *chronology.Report) [][]string {
	out := [][]string{{
		"entry", "log time", "event", "status", "about entry", "statement", "kind", "site", "version", "title", "detail", "declared time",
		"declared zone", "signer", "role", "organisation", "key", "findings",
	}}
	for i := range r.Events {
		t := newToldEvent(&r.Events[i])
		out = append(out, []string{
			strconv.FormatUint(t.LogIndex, 10), when(t.LogTime), string(t.Event), string(t.Status), strconv.FormatUint(t.StatementAt, 10),
			t.StatementID, string(t.Kind), t.Site, t.Version, t.Title, t.Detail, when(t.Declared), t.DeclaredZone, t.Signer.Name,
			string(t.Signer.Role), t.Signer.Organisation, t.Signer.KeyID, rulesAt(&r.Events[i]),
		})
	}
	return out
}

func findingLines(r *chronology.Report) [][]string {
	out := [][]string{{"rule", "severity", "state", "entry", "log time", "site", "statement", "why", "title", "clauses", "response", "closed at"}}
	for i := range r.Findings {
		t := newToldFinding(&r.Findings[i])
		closed := ""
		if t.ClosedAt != nil {
			closed = strconv.FormatUint(*t.ClosedAt, 10)
		}
		out = append(out, []string{
			t.Rule, string(t.Severity), t.State, strconv.FormatUint(t.LogIndex, 10), when(t.LogTime), t.Site, t.StatementID, t.Why, t.Title,
			strings.Join(t.Clauses, "; "), t.ResponseID, closed,
		})
	}
	return out
}

// writeCSV writes lines of which no spreadsheet takes a field for a formula: what
// could be one begins with an apostrophe.
func writeCSV(w io.Writer, lines [][]string) error {
	out := csv.NewWriter(w)
	for _, line := range lines {
		for i, field := range line {
			if field == "" || !strings.ContainsRune("=+-@\t\r", rune(field[0])) {
				continue
			}
			if _, err := strconv.ParseFloat(field, 64); err != nil { // -1 is a number
				line[i] = "'" + field
			}
		}
	}
	if err := out.WriteAll(lines); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	return nil
}

// clock prints a log time for people.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func printFindings(w io.Writer, r *chronology.Report) {
	if len(r.Findings) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "RULE\tSEVERITY\tSTATE\tENTRY\tLOG TIME (UTC)\tSITE\tWHY")
		for i := range r.Findings {
			f := &r.Findings[i]
			fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", f.Rule, f.Severity, chronology.State(f), f.Index, clock(f.Time), dash(f.Site), f.Why)
		}
		_ = t.Flush() // w reports what it could not take
	}
	fmt.Fprintln(w, summary(r))
}

func printChronology(w io.Writer, r *chronology.Report) {
	if len(r.Findings) > 0 {
		printFindings(w, r)
		fmt.Fprintln(w)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ENTRY\tLOG TIME (UTC)\tSITE\tWHAT\tROLE\tFINDINGS")
	for i := range r.Events {
		e := &r.Events[i]
		what := e.Title
		if e.Detail != "" {
			what += ". " + e.Detail
		}
		if e.Index != e.Logged {
			what += fmt.Sprintf(" (about entry %d)", e.Logged)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Index, clock(e.Time), dash(e.Site), what, e.Signer.Role, rulesAt(e))
	}
	_ = t.Flush()
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, summary(r))
	}
}

// summary says at a glance what was computed.
func summary(r *chronology.Report) string {
	withheld := "withheld: not known"
	if r.Withheld != nil {
		withheld = fmt.Sprintf("%d withheld", *r.Withheld)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s up to entry %d, %s; %s", count(r.Statements, "statement", "statements"), r.Position, withheld,
		count(len(r.Findings), "finding", "findings"))
	for _, s := range []trial.Severity{trial.SeverityCritical, trial.SeverityMajor, trial.SeverityMinor} {
		if all, open := r.Counts(s); all > 0 {
			fmt.Fprintf(&b, ", %d %s (%d open)", all, s, open)
		}
	}
	return b.String()
}
