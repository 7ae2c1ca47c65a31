package trial

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// encoding writes every time as parseTime reads it.
var encoding = json.JoinOptions(
	json.Deterministic(true),
	json.WithMarshalers(json.MarshalFunc(func(t time.Time) ([]byte, error) {
		return []byte(`"` + formatTime(t) + `"`), nil
	})),
)

// MarshalStatement writes a statement for signing and completes st: its payload
// and ID, a fresh salt where there is none, the subject of an act that is about
// no file, the number of a registration, and the body of a kind that needs none.
// Everything else is the caller's. It fails with the *Refusal that ParseStatement
// would give.
func MarshalStatement(st *Statement) ([]byte, error) {
	p := st.Predicate
	if p.Salt == [32]byte{} {
		if _, err := rand.Read(p.Salt[:]); err != nil {
			return nil, fmt.Errorf("reading random bytes: %w", err)
		}
	}
	if b, ok := p.Body.(*RegistrationBody); ok && b != nil {
		trial := Registry{b.Registry: b.Number}
		for name, number := range p.Trial {
			if name != b.Registry {
				trial[name] = number
			}
		}
		p.Trial = trial
	}
	subjects, err := completeSubjects(st)
	if err != nil {
		return nil, err
	}
	if raw, ok := p.Body.(RawBody); ok {
		p.Body = nil
		if len(raw) > 0 {
			p.Body = jsontext.Value(raw)
		}
	}
	doc := struct {
		Type          string    `json:"_type"`
		Subject       []Subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     Predicate `json:"predicate"`
	}{StatementType, subjects, PredicateType, p}
	payload, err := json.Marshal(doc, encoding)
	if err != nil {
		return nil, fmt.Errorf("encoding a statement: %w", err)
	}
	parsed, err := ParseStatement(payload)
	if err != nil {
		return nil, err
	}
	*st = *parsed
	return payload, nil
}

// completeSubjects adds the subject of an act that is about no file, where it
// follows from the statement: a commitment is the caller's.
func completeSubjects(st *Statement) ([]Subject, error) {
	fixed := kinds[st.Predicate.Kind]
	name := fixed.subject
	if st.Predicate.Kind == KindVerification {
		name = subjectCharter
	}
	if b, ok := st.Predicate.Body.(*UnblindingBody); ok && b.Scope == UnblindParticipant {
		name = ""
	}
	if name == "" || fixed.committed || len(st.Subjects) > 0 {
		return st.Subjects, nil
	}
	if missing := missingKey(st.Predicate.Body); missing != "" {
		return nil, refuse(ReasonMissingField, "predicate.body."+missing, "missing")
	}
	return []Subject{{Name: name, Digests: SHA256(st.concern())}}, nil
}

// missingKey names the key that a body lacks, or "".
func missingKey(body any) string {
	switch b := body.(type) {
	case *CharterBody:
		if b.SponsorKey == nil {
			return "sponsorKey"
		}
	case *EnrolmentBody:
		if b.Key == nil {
			return "key"
		}
	case *RecoveryBody:
		if b.NewKey == nil {
			return "newKey"
		}
	}
	return ""
}

// NewTimeMark makes a time mark for the notary's key, ready to be signed.
func NewTimeMark(key KeyID, body TimeMarkBody) (*Statement, error) {
	st := &Statement{Predicate: Predicate{
		Kind:   KindTimeMark,
		Signed: NewInstant(body.Time, "UTC"),
		Signer: Signer{KeyID: key, Name: "Trial Notary", Role: RoleNotary, Organisation: body.Origin},
		Body:   &body,
	}}
	if _, err := MarshalStatement(st); err != nil {
		return nil, fmt.Errorf("making a time mark: %w", err)
	}
	return st, nil
}

// without returns the members of a JSON object except the named ones.
func without(object []byte, names ...string) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(object))
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	out := []byte{'{'}
	for dec.PeekKind() == '"' {
		start := dec.InputOffset()
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		drop := false
		for _, n := range names {
			drop = drop || name.String() == n
		}
		if _, err := dec.ReadValue(); err != nil {
			return nil, err
		}
		if drop {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, bytes.TrimLeft(object[start:dec.InputOffset()], " \t\r\n,")...)
	}
	return append(out, '}'), nil
}
