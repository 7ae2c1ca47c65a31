package timeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trialnotary/trialnotary/trial"
)

// Options are what a timeline does not say.
type Options struct {
	// Pack is the digest of the charter's pack, Rules the charter's own rules.
	Pack  string
	Rules []trial.OwnRule
	// Read returns a file beside the timeline: the salt of a randomisation list
	// that is revealed.
	Read func(path string) ([]byte, error)
}

// setup is the event of what the story needs and does not tell: charter,
// enrolments and their endorsements.
const setup = -1

// Step is a signed statement of the story.
type Step struct {
	// Event is the number of the event that it belongs to; -1 for none.
	Event int
	// Act: it is the event itself, not an endorsement of it.
	Act bool
	// At is when it is logged.
	At        time.Time
	Statement *trial.Statement
	Envelope  *trial.Envelope
}

// writer writes the statements of a story.
type writer struct {
	timeline *Timeline
	options  Options
	cast     []*person
	sponsor  *person
	trial    trial.ID
	steps    []Step

	// What later events name, as far as it is in effect.
	byFile    map[string]trial.ID // by SHA-256
	byVersion map[string]trial.ID // by word and version: "ICF 1.0"
	locks     map[string]trial.ID // by label
	seal      trial.ID
}

// Write tells a timeline in signed statements, in log order: charter and
// enrolments one day before the first event, then each event and its
// endorsements. The keys are new each time, so that statement ids differ.
func Write(t *Timeline, o Options) ([]Step, error) {
	w := &writer{
		timeline: t, options: o, sponsor: &person{id: sponsor},
		byFile: map[string]trial.ID{}, byVersion: map[string]trial.ID{}, locks: map[string]trial.ID{},
	}
	var err error
	if w.cast, err = castOf(t); err != nil {
		return nil, err
	}
	if w.sponsor.key, w.sponsor.pub, err = newKey(); err != nil {
		return nil, err
	}
	before := t.Events[0].LogTime.AddDate(0, 0, -1)
	if err := w.charter(before); err != nil {
		return nil, fmt.Errorf("writing the charter: %w", err)
	}
	for _, p := range w.cast {
		if err := w.enrol(before, p); err != nil {
			return nil, fmt.Errorf("enrolling %s: %w", p.id, err)
		}
	}
	for i := range t.Events {
		if err := w.event(&t.Events[i]); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	return w.steps, nil
}

// sign completes, signs and keeps a statement.
func (w *writer) sign(event int, at time.Time, by *person, role trial.Role, p trial.Predicate, subjects []trial.Subject) (*trial.Statement, error) {
	p.Charter = w.trial
	p.Signed = trial.NewInstant(at, "Etc/UTC")
	p.Signer = trial.Signer{KeyID: by.pub.ID, Name: by.id, Role: role, Organisation: by.organisation()}
	if p.Meaning == "" {
		p.Meaning = trial.MeaningAuthorship
	}
	st := &trial.Statement{Subjects: subjects, Predicate: p}
	payload, err := trial.MarshalStatement(st)
	if err != nil {
		return nil, fmt.Errorf("writing a statement of kind %s: %w", p.Kind, err)
	}
	envelope, err := trial.Sign(by.key, payload)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	w.steps = append(w.steps, Step{Event: event, Act: p.Kind != trial.KindEndorsement, At: at, Statement: st, Envelope: envelope})
	return st, nil
}

func (w *writer) endorse(event int, at time.Time, by *person, role trial.Role, site string, id trial.ID) error {
	_, err := w.sign(event, at, by, role, trial.Predicate{
		Site: site, Kind: trial.KindEndorsement, Meaning: trial.MeaningApproval,
		Body: &trial.EndorsementBody{Statement: id, Decision: trial.DecisionEndorsed},
	}, nil)
	return err
}

func (w *writer) person(id string) *person {
	return w.cast[slices.IndexFunc(w.cast, func(p *person) bool { return p.id == id })]
}

// event writes an event and its endorsements.
func (w *writer) event(e *Event) error {
	d := &draft{Predicate: trial.Predicate{
		Site: e.Site, Kind: kindsOf[e.Type], Declared: trial.NewInstant(e.Declared, "Etc/UTC"), Reason: e.Reason,
	}}
	if err := acts[e.Type](w, e, d); err != nil {
		return err
	}
	signers := e.signers()
	st, err := w.sign(e.Seq, e.LogTime, w.person(e.Actor), trial.Role(e.Role), d.Predicate, d.subjects)
	if err != nil {
		return err
	}
	for _, s := range signers[1:] {
		if err := w.endorse(e.Seq, e.LogTime, w.person(s.Person), trial.Role(s.Role), e.Site, st.ID); err != nil {
			return err
		}
	}
	if w.complete(st.Predicate.Kind, signers) {
		w.keep(e, st.ID)
	}
	return nil
}

// complete tells whether an act takes effect with these signatures.
func (w *writer) complete(kind trial.Kind, signers []Signer) bool {
	required, ok := w.required()[kind]
	if !ok {
		return true
	}
	for _, role := range required {
		if !slices.ContainsFunc(signers, func(s Signer) bool { return slices.Contains(w.person(s.Person).roles, role) }) {
			return false
		}
	}
	return true
}

func (w *writer) required() map[trial.Kind][]trial.Role {
	all := trial.DefaultEndorsements()
	own, err := w.timeline.endorsements()
	if err != nil {
		return all // the charter was refused for it
	}
	maps.Copy(all, own)
	return all
}

// keep remembers what later events may name.
func (w *writer) keep(e *Event, id trial.ID) {
	if o := e.Object; o != nil {
		if o.SHA256 != "" {
			w.byFile[o.SHA256] = id
		}
		w.byVersion[strings.TrimSuffix(e.Type, "_AMENDMENT")+" "+o.Version] = id
	}
	switch e.Type {
	case "DB_LOCK":
		w.locks[e.Lock] = id
	case "RAND_LIST_SEAL":
		w.seal = id
	}
}
