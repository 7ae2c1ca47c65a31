package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"slices"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
	"github.com/trialnotary/trialnotary/trial/dataset/epcis"
)

// ipSteps are the business steps of EPCIS that say what an ip-event is. A return
// has no step of its own: it is a shipment with another meaning, and is said.
var ipSteps = map[string]trial.IPEvent{
	"shipping": trial.IPShipment, "receiving": trial.IPReceipt, "dispensing": trial.IPDispensing, "destroying": trial.IPDestruction,
}

const ipEventNames = "shipment, receipt, dispensing, return or destruction"

// ipEvents fills the body of each ip-event from its EPCIS document where flags and
// --predicate leave it open.
func (a *app) ipEvents(base *client.Draft, inputs []*input) error {
	body, ok := base.Predicate.Body.(*trial.IPEventBody)
	if !ok {
		return nil
	}
	for _, in := range inputs {
		if in.format != dataset.EPCIS {
			if body.Event == "" {
				return fmt.Errorf("%s: missing event: the file is no EPCIS document to take it from, want --set event=%s", in.path, ipEventNames)
			}
			continue
		}
		events, sum, err := readEvents(in.path)
		if err != nil {
			a.notef("note: %s is not read, its fields are yours to give: %v", in.path, err)
			continue
		}
		if sum != in.files[0].SHA256 {
			return fmt.Errorf("%w %s: it changed while it was read; wait until it is complete", client.ErrFile, in.path)
		}
		own := *body
		if err := a.completeIPEvent(&own, in.path, events); err != nil {
			return fmt.Errorf("%s: %w", in.path, err)
		}
		in.body = &own
	}
	return nil
}

// readEvents reads a document, and hashes it on the way.
func readEvents(path string) (events []epcis.Event, sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, sum, err
	}
	defer f.Close()
	hash := sha256.New()
	events, err = epcis.Read(io.TeeReader(f, hash))
	hash.Sum(sum[:0])
	return events, sum, err
}

func (a *app) completeIPEvent(body *trial.IPEventBody, path string, events []epcis.Event) error {
	if len(events) == 0 {
		return nil // what is missing is refused by name
	}
	if body.Event == "" {
		step, same := common(events, func(e epcis.Event) string { return e.Step })
		if body.Event = ipSteps[step]; !same || body.Event == "" {
			return fmt.Errorf("missing event: the document has the business step %q, want --set event=%s", step, ipEventNames)
		}
	}
	a.addItems(body, path, events)
	if body.EventID == "" {
		body.EventID, _ = common(events, func(e epcis.Event) string { return e.ID })
	}
	if at := events[0].Time; body.Time == nil && len(events) == 1 {
		body.Time = &at
	}
	if body.Source == "" {
		body.Source, _ = common(events, func(e epcis.Event) string { return e.Source })
	}
	moves := body.Event == trial.IPShipment || body.Event == trial.IPReturn || body.Event == trial.IPReceipt
	if moves && body.Destination == "" {
		body.Destination, _ = common(events, func(e epcis.Event) string { return e.Destination })
	}
	return nil
}

// addItems adds what the document names to what the user did. Lots and classes stay
// out: the number of a lot can tell the treatment.
func (a *app) addItems(body *trial.IPEventBody, path string, events []epcis.Event) {
	named, lots := len(body.Items), 0
	items := slices.Clone(body.Items)
	for _, e := range events {
		items = append(items, e.Items...)
		lots += len(e.Classes)
	}
	slices.Sort(items)
	body.Items = slices.Compact(items)
	if lots > 0 && named == 0 {
		a.notef("warning: %s: %s left out of the statement, since the number of a lot can tell the treatment; add a commitment by --set items=HEX",
			path, count(lots, "lot or class is", "lots or classes are"))
	}
}

// common returns what all events have; "" with false where they differ.
func common(events []epcis.Event, of func(epcis.Event) string) (value string, same bool) {
	value = of(events[0])
	for _, e := range events[1:] {
		if of(e) != value {
			return "", false
		}
	}
	return value, true
}
