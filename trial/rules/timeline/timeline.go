// Package timeline reads the story of a trial as a list of events and tells it in
// signed statements, so that a pack of rules can be tried before any trial uses
// it. It owns the format of docs/rules.md, "Timelines", and promises that every
// statement it writes is one that a notary would take. Its keys are thrown away.
//
// It imports packages trial and trial/rules and nothing else of this module.
package timeline

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of a timeline.
const (
	MaxSize   = 16 << 20 // bytes
	maxEvents = 50_000
)

// Timeline is a trial's story.
type Timeline struct {
	Trial            string              `json:"trial"`
	Note             string              `json:"note,omitempty"`
	DateShift        int                 `json:"date_shift_days,omitempty"`
	Sites            map[string]string   `json:"sites"` // id and date of the first participant
	Policy           Policy              `json:"policy"`
	Events           []Event             `json:"events"`
	EndorsementRoles map[string][]string `json:"endorsement_roles,omitempty"`
	Reading          jsontext.Value      `json:"reading,omitempty"` // for people
}

// Policy is the charter's parameters.
type Policy struct {
	Cadence       int64            `json:"cadence_days"`
	Grace         int64            `json:"gap_grace_days"`
	Backdating    map[string]int64 `json:"backdating_days"` // DATASET and default; others are not told apart
	MaxFutureSkew int64            `json:"max_future_skew_s"`
}

// Event is an act of the story. Which fields say something depends on its Type.
type Event struct {
	LogTime  time.Time `json:"log_time"`
	Declared time.Time `json:"declared_time"`
	Type     string    `json:"type"`
	Actor    string    `json:"actor"`
	Role     string    `json:"role"`
	Site     string    `json:"site"` // null is trial-wide
	Object   *Object   `json:"object,omitempty"`
	Signers  []Signer  `json:"signers,omitempty"`
	Expect   string    `json:"expect"` // accept, flag or reject
	Findings []string  `json:"findings,omitempty"`
	Note     string    `json:"note,omitempty"`
	Seq      int       `json:"seq"`

	Registry       string   `json:"registry,omitempty"`
	Value          string   `json:"value,omitempty"`
	Approves       []string `json:"approves,omitempty"` // "PROTOCOL 1.0"
	ApprovalDate   string   `json:"approval_date,omitempty"`
	Protocol       string   `json:"protocol,omitempty"`
	ICF            string   `json:"icf,omitempty"`
	Scope          any      `json:"scope,omitempty"` // of an unblinding a word, of an unlock sites and domains
	Commitment     string   `json:"subject_commitment,omitempty"`
	Reason         string   `json:"reason,omitempty"`
	Lock           string   `json:"lock,omitempty"`
	SupersedesLock string   `json:"supersedes_lock,omitempty"`
	Unlocks        string   `json:"unlocks,omitempty"`
}

// Signer signs an event: the first one submits it, the others endorse it.
type Signer struct {
	Person string `json:"person"`
	Role   string `json:"role"`
}

// Object is the file of an event, or the commitment to one.
type Object struct {
	File        string            `json:"file,omitempty"`
	SaltFile    string            `json:"salt_file,omitempty"`
	SHA256      string            `json:"sha256,omitempty"`
	Bytes       int64             `json:"bytes,omitempty"`
	Records     int64             `json:"records,omitempty"`
	Kind        string            `json:"kind,omitempty"`
	Version     string            `json:"version,omitempty"`
	Domain      string            `json:"domain,omitempty"`
	Format      string            `json:"format,omitempty"`
	Cutoff      string            `json:"cutoff,omitempty"`
	Final       bool              `json:"final,omitempty"`
	Supersedes  string            `json:"supersedes,omitempty"` // a file's digest
	DerivedFrom string            `json:"derived_from,omitempty"`
	Amendment   string            `json:"amendment,omitempty"`
	Substantial bool              `json:"substantial,omitempty"`
	Scope       string            `json:"scope,omitempty"` // "global" or a country
	Commitment  string            `json:"commitment,omitempty"`
	Scheme      string            `json:"scheme,omitempty"`
	Members     map[string]string `json:"members,omitempty"` // site and file's digest
}

var expects = []string{"accept", "flag", "reject"}

// Parse reads a timeline. It is strict: unknown and duplicate fields are errors,
// and events are numbered from 0 in the order of their log time.
func Parse(text []byte) (*Timeline, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("invalid timeline: got %d bytes, want at most %d", len(text), MaxSize)
	}
	t := &Timeline{}
	if err := json.Unmarshal(text, t, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("invalid timeline: %s%w", position(text, err), err)
	}
	switch {
	case len(t.Sites) == 0:
		return nil, errors.New("invalid timeline: sites: want at least one")
	case len(t.Events) == 0 || len(t.Events) > maxEvents:
		return nil, fmt.Errorf("invalid timeline: events: got %d, want 1 to %d", len(t.Events), maxEvents)
	}
	for i := range t.Events {
		if err := t.check(i); err != nil {
			return nil, fmt.Errorf("invalid timeline: event %d: %w", i, err)
		}
	}
	return t, nil
}

func position(text []byte, err error) string {
	var offset int64
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntactic):
		offset = syntactic.ByteOffset
	case errors.As(err, &semantic):
		offset = semantic.ByteOffset
	default:
		return ""
	}
	before := text[:min(max(offset, 0), int64(len(text)))]
	return fmt.Sprintf("line %d: ", 1+bytes.Count(before, []byte("\n")))
}

// check judges what the fields say together.
func (t *Timeline) check(i int) error {
	e := &t.Events[i]
	switch {
	case e.Seq != i:
		return fmt.Errorf("seq: got %d", e.Seq)
	case e.LogTime.IsZero() || e.Declared.IsZero():
		return errors.New("log_time or declared_time is missing")
	case i > 0 && e.LogTime.Before(t.Events[i-1].LogTime):
		return errors.New("log_time is before that of the event before it")
	case e.LogTime.Year() < 1970 || e.LogTime.Year() > 9000 || e.Declared.Year() < 1970 || e.Declared.Year() > 9000:
		return errors.New("a time is outside the years 1970 to 9000")
	case !slices.Contains(expects, e.Expect):
		return fmt.Errorf("expect: got %q, want one of %v", e.Expect, expects)
	case e.Actor == "" || e.Role == "":
		return errors.New("actor or role is missing")
	case len(e.Signers) > 0 && (e.Signers[0].Person != e.Actor || e.Signers[0].Role != e.Role):
		return errors.New("signers: the first one is not the actor in the actor's role")
	case acts[e.Type] == nil:
		return fmt.Errorf("unknown type %q", e.Type)
	}
	if _, ok := t.Sites[e.Site]; e.Site != "" && !ok {
		return fmt.Errorf("unknown site %q", e.Site)
	}
	if needsObject[e.Type] && e.Object == nil {
		return errors.New("object is missing")
	}
	return nil
}
