package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/trialnotary/trialnotary/trial"
)

// View says what findings are a function of, and which they are, so that two who
// computed them can tell whether they agree without showing them to each other.
type View struct {
	// Charter is the trial, and Pack the digest of the pack that judges it; empty
	// where only the charter's own rules do.
	Charter trial.ID
	Pack    string
	// Site is whose view it is: the site's own statements and those of the whole
	// trial. Empty sees all of them.
	Site string
	// Size is the size of the log up to which the trial is folded.
	Size uint64
	// Statements counts what was folded, with the charter and without time marks,
	// and Withheld what of the trial the view may not see.
	Statements, Withheld uint64
	// Folded is a digest of the statements that were folded and of their places.
	Folded [sha256.Size]byte
	// Open counts the findings that nothing answered or closed yet, Findings all.
	Open, Findings uint64
	// Digest is that of the findings.
	Digest [sha256.Size]byte
}

// What [View.Agrees] finds.
var (
	// ErrOtherView means that two views are of other trials, sites or sizes of the
	// log, or withhold another number of statements: their findings may differ.
	ErrOtherView = errors.New("the views cannot be compared")
	// ErrStatementsDiffer means that not the same statements were folded.
	ErrStatementsDiffer = errors.New("the views hold different statements")
	// ErrFindingsDiffer means that of the same statements not the same was found.
	ErrFindingsDiffer = errors.New("the views have different findings")
)

// Agrees tells whether two views have the same findings: nil, or an error that
// wraps one of those above.
func (v *View) Agrees(o *View) error {
	switch {
	case v.Charter != o.Charter:
		return fmt.Errorf("%w: they are of the trials %s and %s", ErrOtherView, v.Charter, o.Charter)
	case v.Pack != o.Pack:
		return fmt.Errorf("%w: their packs are %q and %q", ErrOtherView, v.Pack, o.Pack)
	case v.Site != o.Site:
		return fmt.Errorf("%w: they are of the sites %q and %q, where none is the whole trial", ErrOtherView, v.Site, o.Site)
	case v.Size != o.Size:
		return fmt.Errorf("%w: the log had %d and %d entries", ErrOtherView, v.Size, o.Size)
	case v.Withheld != o.Withheld:
		return fmt.Errorf("%w: they withhold %d and %d statements", ErrOtherView, v.Withheld, o.Withheld)
	case v.Folded != o.Folded:
		return fmt.Errorf("%w: %d and %d of them", ErrStatementsDiffer, v.Statements, o.Statements)
	case v.Digest != o.Digest:
		return fmt.Errorf("%w: %d and %d of them", ErrFindingsDiffer, v.Findings, o.Findings)
	}
	return nil
}

// View returns the view of a site, or of all where site is empty, up to a size of
// the log. The caller has fed all that the view may see below size, and says how
// many statements of the trial it may not see. An error means that more was folded.
func (e *Engine) View(site string, size, withheld uint64) (View, error) {
	if size <= e.Position() {
		return View{}, fmt.Errorf("invalid view: got the size %d of the log, and index %d is folded", size, e.Position())
	}
	v := View{
		Charter: e.trial, Site: site, Size: size,
		Statements: e.statements, Withheld: withheld, Folded: e.folded, Findings: uint64(len(e.findings)),
	}
	if e.program.Pack != nil {
		v.Pack = e.program.Pack.Digest
	}
	for _, f := range e.findings {
		if f.Open() {
			v.Open++
		}
	}
	var err error
	if v.Digest, err = DigestFindings(e.Findings()); err != nil {
		return View{}, err
	}
	return v, nil
}

// Open tells whether nothing answered or closed the finding yet.
func (f *Finding) Open() bool { return f.Response == nil && f.Closed == nil }

// line is a finding as its digest sees it. Title and clauses are the pack's.
type line struct {
	Rule      string         `json:"rule"`
	Severity  trial.Severity `json:"severity"`
	Own       bool           `json:"own"`
	Statement string         `json:"statement"`
	Site      string         `json:"site"`
	Index     uint64         `json:"index"`
	Time      string         `json:"time"`
	Why       string         `json:"why"`
	Response  string         `json:"response"`
	Closed    *uint64        `json:"closed"`
}

// DigestFindings returns the digest of findings in the order of
// [Engine.Findings]: the SHA-256 of one line of JSON for each.
func DigestFindings(list []Finding) ([sha256.Size]byte, error) {
	h := sha256.New()
	for i := range list {
		f := &list[i]
		l := line{
			Rule: f.Rule, Severity: f.Severity, Own: f.Own, Statement: f.Statement.String(), Site: f.Site,
			Index: f.Index, Why: f.Why, Closed: f.Closed,
		}
		if !f.Time.IsZero() {
			l.Time = f.Time.UTC().Format(time.RFC3339Nano)
		}
		if f.Response != nil {
			l.Response = f.Response.Statement.String()
		}
		text, err := json.Marshal(l)
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("encoding a finding: %w", err)
		}
		h.Write(append(text, '\n'))
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// count takes a statement into the digest of what was folded.
func (e *Engine) count(l trial.Logged) {
	var buf [sha256.Size + 8 + len(trial.ID{})]byte
	copy(buf[:], e.folded[:])
	binary.BigEndian.PutUint64(buf[sha256.Size:], l.Index)
	copy(buf[sha256.Size+8:], l.Statement.ID[:])
	e.folded = sha256.Sum256(buf[:])
	e.statements++
}

// String returns a view in one line, for people who compare two of them.
func (v *View) String() string {
	who := "the whole trial"
	if v.Site != "" {
		who = "site " + v.Site
	}
	return fmt.Sprintf("%s up to %d entries of the log: %d statements %s, %d withheld, %d findings %s",
		who, v.Size, v.Statements, hex.EncodeToString(v.Folded[:]), v.Withheld, v.Findings, hex.EncodeToString(v.Digest[:]))
}
