package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset/epcis"
)

func TestCompleteIPEvent(t *testing.T) {
	at := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	shipped := epcis.Event{ID: "urn:uuid:1", Step: "shipping", Time: at, Items: []string{"b", "a"}, Classes: []string{"lot"}, Source: "1", Destination: "2"}
	other := shipped
	other.ID, other.Destination, other.Items, other.Classes = "urn:uuid:2", "3", []string{"c", "a"}, nil
	received := other
	received.Step = "receiving"
	tests := map[string]struct {
		given   trial.IPEventBody
		events  []epcis.Event
		want    trial.IPEventBody
		warning bool
		err     string
	}{
		"one event": {
			events:  []epcis.Event{shipped},
			want:    trial.IPEventBody{Event: trial.IPShipment, EventID: "urn:uuid:1", Items: []string{"a", "b"}, Source: "1", Destination: "2", Time: &at},
			warning: true,
		},
		"two events": {
			events:  []epcis.Event{shipped, other},
			want:    trial.IPEventBody{Event: trial.IPShipment, Items: []string{"a", "b", "c"}, Source: "1"},
			warning: true,
		},
		"what is given stays": {
			given:  trial.IPEventBody{Event: trial.IPReturn, EventID: "x", Items: []string{"lot commitment"}, Source: "701", Destination: "9"},
			events: []epcis.Event{shipped},
			want:   trial.IPEventBody{Event: trial.IPReturn, EventID: "x", Items: []string{"a", "b", "lot commitment"}, Source: "701", Destination: "9", Time: &at},
		},
		"dispensed things go nowhere": {
			given:   trial.IPEventBody{Event: trial.IPDispensing},
			events:  []epcis.Event{shipped},
			want:    trial.IPEventBody{Event: trial.IPDispensing, EventID: "urn:uuid:1", Items: []string{"a", "b"}, Source: "1", Time: &at},
			warning: true,
		},
		"no events":         {given: trial.IPEventBody{Event: trial.IPReceipt}, want: trial.IPEventBody{Event: trial.IPReceipt}},
		"steps that differ": {events: []epcis.Event{shipped, received}, err: "missing event"},
		"an unknown step":   {events: []epcis.Event{{Step: "storing"}}, err: `business step "storing"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			a := &app{stderr: &stderr}
			body := tt.given
			err := a.completeIPEvent(&body, "x.json", tt.events)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if body.Event != tt.want.Event || body.EventID != tt.want.EventID || !slices.Equal(body.Items, tt.want.Items) ||
				body.Source != tt.want.Source || body.Destination != tt.want.Destination || (body.Time == nil) != (tt.want.Time == nil) {
				t.Errorf("got %+v, want %+v", body, tt.want)
			}
			if got := strings.Contains(stderr.String(), "lot or class is left out"); got != tt.warning {
				t.Errorf("warning %v, want %v: %s", got, tt.warning, stderr.String())
			}
		})
	}
}
