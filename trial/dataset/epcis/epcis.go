// Package epcis reads events of GS1 EPCIS 2.0 in JSON, as far as an ip-event
// statement needs them: what was moved, from where, to where, when and how.
//
// It promises bounded memory and to refuse what is not well-formed. Files are
// untrusted. It imports nothing of this module, opens no file and knows no clock.
package epcis

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Why a document is refused. Every error about a document wraps one of them.
var (
	ErrSyntax   = errors.New("not well-formed JSON")
	ErrLimit    = errors.New("beyond a limit")
	ErrNotEPCIS = errors.New("no EPCIS document")
)

// Limits on a document: a shipment of a trial is far below.
const (
	maxDocument = 16 << 20
	maxEvents   = 100_000
)

// Event is what was seen.
type Event struct {
	Type string // ObjectEvent and so on
	ID   string
	// Step is the business step as the core business vocabulary calls it, such as
	// shipping, without the prefix that it may be spelled with.
	Step string
	Time time.Time
	// Items are the single things, by their EPC: parent, children, inputs, outputs.
	Items []string
	// Classes are those known by class or lot alone.
	Classes []string
	// Source and Destination are GLNs of 13 digits, empty where none is given.
	Source, Destination string
}

// The parts of EPCIS 2.0 that are read; a document may have more.
type document struct {
	Type string `json:"type"`
	Body struct {
		Events []event `json:"eventList"`
	} `json:"epcisBody"`
}

type event struct {
	Type         string     `json:"type"`
	ID           string     `json:"eventID"`
	Time         time.Time  `json:"eventTime"`
	Step         string     `json:"bizStep"`
	Parent       string     `json:"parentID"`
	EPCs         []string   `json:"epcList"`
	Children     []string   `json:"childEPCs"`
	Inputs       []string   `json:"inputEPCList"`
	Outputs      []string   `json:"outputEPCList"`
	Quantities   []quantity `json:"quantityList"`
	ChildAmounts []quantity `json:"childQuantityList"`
	InAmounts    []quantity `json:"inputQuantityList"`
	OutAmounts   []quantity `json:"outputQuantityList"`
	Sources      []party    `json:"sourceList"`
	Destinations []party    `json:"destinationList"`
}

type quantity struct {
	Class string `json:"epcClass"`
}

type party struct {
	Type        string `json:"type"`
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

// Read returns the events of an EPCIS document in their order.
func Read(src io.Reader) ([]Event, error) {
	text, err := io.ReadAll(io.LimitReader(src, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxDocument {
		return nil, fmt.Errorf("%w: the document has more than %d bytes", ErrLimit, maxDocument)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		if _, ok := errors.AsType[*json.SemanticError](err); ok {
			return nil, fmt.Errorf("%w: %w", ErrNotEPCIS, err)
		}
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if d.Type != "EPCISDocument" {
		return nil, fmt.Errorf("%w: its type is %.40q, want EPCISDocument", ErrNotEPCIS, d.Type)
	}
	if len(d.Body.Events) > maxEvents {
		return nil, fmt.Errorf("%w: the document has more than %d events", ErrLimit, maxEvents)
	}
	events := make([]Event, len(d.Body.Events))
	for i := range events {
		e := &d.Body.Events[i]
		if e.Type == "" || e.Time.IsZero() {
			return nil, fmt.Errorf("%w: event %d has no type or no eventTime", ErrNotEPCIS, i+1)
		}
		events[i] = e.read()
	}
	return events, nil
}

func (e *event) read() Event {
	out := Event{Type: e.Type, ID: e.ID, Step: word(e.Step), Time: e.Time.UTC()}
	if e.Parent != "" {
		out.Items = append(out.Items, e.Parent)
	}
	for _, list := range [][]string{e.EPCs, e.Children, e.Inputs, e.Outputs} {
		out.Items = append(out.Items, list...)
	}
	for _, list := range [][]quantity{e.Quantities, e.ChildAmounts, e.InAmounts, e.OutAmounts} {
		for _, q := range list {
			if q.Class != "" {
				out.Classes = append(out.Classes, q.Class)
			}
		}
	}
	out.Source = place(e.Sources, func(p party) string { return p.Source })
	out.Destination = place(e.Destinations, func(p party) string { return p.Destination })
	return out
}

// word strips the prefixes under which the words of the core business vocabulary
// are spelled.
func word(s string) string {
	for _, prefix := range []string{"urn:epcglobal:cbv:bizstep:", "https://ref.gs1.org/cbv/BizStep-", "urn:epcglobal:cbv:sdt:", "https://ref.gs1.org/cbv/SDT-"} {
		if rest, ok := strings.CutPrefix(s, prefix); ok {
			return rest
		}
	}
	return s
}

// place returns the GLN of the place, else of who holds the things, else of who
// owns them.
func place(parties []party, id func(party) string) string {
	for _, kind := range []string{"location", "possessing_party", "owning_party"} {
		i := slices.IndexFunc(parties, func(p party) bool { return word(p.Type) == kind && GLN(id(p)) != "" })
		if i >= 0 {
			return GLN(id(parties[i]))
		}
	}
	return ""
}

// GLN returns the 13 digits of a location's or party's EPC URI or GS1 Digital Link,
// or "" if it is none.
func GLN(uri string) string {
	for _, prefix := range []string{"urn:epc:id:sgln:", "urn:epc:id:pgln:"} {
		rest, ok := strings.CutPrefix(uri, prefix)
		if !ok {
			continue
		}
		company, rest, _ := strings.Cut(rest, ".")
		location, _, _ := strings.Cut(rest, ".")
		if digits := company + location; len(digits) == 12 && isDigits(digits) {
			return digits + checkDigit(digits)
		}
		return ""
	}
	if !strings.HasPrefix(uri, "https://") && !strings.HasPrefix(uri, "http://") {
		return ""
	}
	parts := strings.Split(uri, "/")
	for i := 3; i+1 < len(parts); i++ {
		gln, _, _ := strings.Cut(parts[i+1], "?")
		if (parts[i] == "414" || parts[i] == "417") && len(gln) == 13 && isDigits(gln) && gln[12:] == checkDigit(gln[:12]) {
			return gln
		}
	}
	return ""
}

func isDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// checkDigit is GS1's, over 12 digits.
func checkDigit(digits string) string {
	sum := 0
	for i := range len(digits) {
		weight := 1 + 2*(i%2)
		sum += int(digits[i]-'0') * weight
	}
	return string('0' + byte((10-sum%10)%10))
}
