// Package page draws a trial's chronology as one HTML page: what counts at a
// glance, the findings, a timeline drawn to scale, and every event in a table.
//
// The page stands alone: it fetches nothing, runs no script and says so in its
// content security policy, so that it can be kept, printed and read offline for as
// long as there are browsers. Everything that came from a statement is escaped. The
// timeline's size is bounded by the number of sites, however many events there are.
//
// It imports packages trial, trial/rules and trial/chronology and nothing else of
// this module.
package page

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/chronology"
	"github.com/trialnotary/trialnotary/trial/rules"
)

//go:embed page.css
var css string

//go:embed page.html
var html string

// policy lets the page use its own style and nothing else.
var policy = func() string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
}()

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"time": timeText, "kind": chronology.KindWord, "state": chronology.State, "class": class, "group": group,
	"scope": func(s trial.DataScope) string { return scopeText(&s) },
}).Parse(strings.Replace(html, "STYLE", css, 1)))

// Write writes a report as a page.
func Write(w io.Writer, r *chronology.Report) error {
	b := bufio.NewWriter(w)
	if err := page.Execute(b, newView(r)); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	return nil
}

// view is what the template shows.
type view struct {
	*chronology.Report

	Policy string
	Name   string // of the trial: a registry number, or the charter's id
	Root   string
	Pack   string
	// WithheldCount is Withheld, 0 where that is not known.
	WithheldCount uint64
	Findings      []finding
	Severities    []severity
	Rows          []row
	Figure        *figure
}

// severity counts findings.
type severity struct {
	Name      trial.Severity
	All, Open int
}

// finding is a finding with its place on the page.
type finding struct {
	*rules.Finding
	ID, Event string // anchors
	Logged    uint64
	Title     string // of what it is about
	Answer    string // anchor of the answer, where it is on the page
}

// row is an event with its place on the page.
type row struct {
	*chronology.Event
	ID   string
	Refs []ref
}

// ref is a finding that opened, closed or was answered at an event.
type ref struct {
	chronology.Ref
	Word, ID string
}

func newView(r *chronology.Report) *view {
	v := &view{Report: r, Policy: policy, Root: hex.EncodeToString(r.Root[:]), Name: r.Trial.String()}
	if r.Withheld != nil {
		v.WithheldCount = *r.Withheld
	}
	if len(r.Numbers) > 0 {
		v.Name = strings.Join(r.Numbers, ", ")
	}
	if r.RulePack == rules.Default().Digest {
		v.Pack = "the default pack, version " + rules.Default().Version
	}
	for _, s := range []trial.Severity{trial.SeverityCritical, trial.SeverityMajor, trial.SeverityMinor} {
		all, open := r.Counts(s)
		v.Severities = append(v.Severities, severity{s, all, open})
	}
	anchors := v.addFindings()
	v.Rows = make([]row, len(r.Events))
	for i := range r.Events {
		e := &r.Events[i]
		v.Rows[i] = row{Event: e, ID: eventAnchor(i)}
		for _, l := range []struct {
			word string
			refs []chronology.Ref
		}{{"", e.Opened}, {"closes", e.Closed}, {"answers", e.Answered}} {
			for _, f := range l.refs {
				v.Rows[i].Refs = append(v.Rows[i].Refs, ref{f, l.word, anchors[findingKey{f.Rule, f.Statement}]})
			}
		}
	}
	v.Figure = draw(r, anchors)
	return v
}

// findingKey is what there is one finding of.
type findingKey struct {
	rule      string
	statement trial.ID
}

func eventAnchor(i int) string { return fmt.Sprintf("e%d", i+1) }

// addFindings lists the findings and returns their anchors.
func (v *view) addFindings() map[findingKey]string {
	anchors := make(map[findingKey]string, len(v.Report.Findings))
	opened, first := map[findingKey]int{}, map[trial.ID]int{}
	for i := range v.Events {
		e := &v.Events[i]
		for _, f := range e.Opened {
			opened[findingKey{f.Rule, f.Statement}] = i
		}
		if _, ok := first[e.Statement]; !ok {
			first[e.Statement] = i
		}
	}
	for i := range v.Report.Findings {
		f := &v.Report.Findings[i]
		k := findingKey{f.Rule, f.Statement}
		out := finding{Finding: f, ID: fmt.Sprintf("f%d", i+1)}
		if at, ok := opened[k]; ok {
			e := &v.Events[at]
			out.Event, out.Title, out.Logged = eventAnchor(at), e.Title, e.Logged
		}
		if f.Response != nil {
			if at, ok := first[f.Response.Statement]; ok {
				out.Answer = eventAnchor(at)
			}
		}
		anchors[k] = out.ID
		v.Findings = append(v.Findings, out)
	}
	return anchors
}

// timeText prints a time that may be unknown.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "before the first time mark"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// class is a style's name for a word of a fixed list.
func class(v any) string { return "s-" + strings.ReplaceAll(fmt.Sprint(v), " ", "-") }
