package trial

import (
	"fmt"
	"slices"
	"testing"
)

const (
	pack = "urn:epc:id:sgtin:4012345.012345.9876"
	lot  = "urn:epc:class:lgtin:4012345.012345.998877"
)

func TestCustody(t *testing.T) {
	ship := func(item, from, to string) *IPEventBody {
		return &IPEventBody{Event: IPShipment, Items: []string{item}, Source: from, Destination: to}
	}
	receive := func(item, at string) *IPEventBody {
		return &IPEventBody{Event: IPReceipt, Items: []string{item}, Destination: at}
	}
	use := func(what IPEvent, item, at string) *IPEventBody {
		return &IPEventBody{Event: what, Items: []string{item}, Source: at}
	}
	back := func(item, from, to string) *IPEventBody {
		return &IPEventBody{Event: IPReturn, Items: []string{item}, Source: from, Destination: to}
	}
	for name, c := range map[string]struct {
		events []*IPEventBody
		want   []string // index of the event, and what it lacks
	}{
		"whole": {[]*IPEventBody{
			ship(pack, "depot", "704"), receive(pack, "704"), use(IPDispensing, pack, "704"), back(pack, "704", "depot"),
			receive(pack, "depot"), use(IPDestruction, pack, "depot"),
		}, nil},
		"a site by its GLN": {[]*IPEventBody{
			ship(pack, "depot", "4012345000009"), receive(pack, "704"), use(IPDispensing, pack, "4012345000009"),
		}, nil},
		"used, then destroyed there": {[]*IPEventBody{
			ship(pack, "depot", "704"), receive(pack, "704"), use(IPDispensing, pack, "704"), use(IPDestruction, pack, "704"),
		}, nil},
		"used, then destroyed elsewhere": {[]*IPEventBody{
			ship(pack, "depot", "704"), receive(pack, "704"), use(IPDispensing, pack, "704"), use(IPDestruction, pack, "701"),
		}, []string{"3 not at 701 by any earlier event"}},
		"no shipment":   {[]*IPEventBody{receive(pack, "704")}, []string{"0 received at 704 without a shipment"}},
		"two receipts":  {[]*IPEventBody{ship(pack, "depot", "704"), receive(pack, "704"), receive(pack, "704")}, []string{"2 received twice at 704"}},
		"wrong place":   {[]*IPEventBody{ship(pack, "depot", "704"), receive(pack, "701")}, []string{"1 received at 701, where it was not sent"}},
		"sent again":    {[]*IPEventBody{ship(pack, "depot", "704"), ship(pack, "depot", "701")}, []string{"1 not at depot by any earlier event"}},
		"no receipt":    {[]*IPEventBody{ship(pack, "depot", "704"), use(IPDispensing, pack, "704")}, []string{"1 not at 704 by any earlier event"}},
		"used twice":    {[]*IPEventBody{ship(pack, "depot", "704"), receive(pack, "704"), use(IPDispensing, pack, "704"), use(IPDispensing, pack, "704")}, []string{"3 not at 704 by any earlier event"}},
		"from nowhere":  {[]*IPEventBody{back(pack, "704", "depot")}, []string{"0 not at 704 by any earlier event"}},
		"out of ashes":  {[]*IPEventBody{ship(pack, "a", "b"), receive(pack, "b"), use(IPDestruction, pack, "b"), ship(pack, "b", "c")}, []string{"3 after its destruction"}},
		"lot at places": {[]*IPEventBody{ship(lot, "depot", "704"), receive(lot, "704"), receive(lot, "704"), use(IPDispensing, lot, "704"), use(IPDispensing, lot, "704")}, nil},
		"lot elsewhere": {[]*IPEventBody{ship(lot, "depot", "704"), receive(lot, "704"), use(IPDispensing, lot, "701")}, []string{"2 not at 701 by any earlier event"}},
	} {
		custody := NewCustody([]Site{{ID: "704", GLN: "4012345000009"}})
		for i, b := range c.events {
			custody.Apply(&Statement{ID: ID{byte(i)}, Predicate: Predicate{Kind: KindIPEvent, Body: b}}, uint64(i))
		}
		custody.Apply(&Statement{Predicate: Predicate{Kind: KindDataset, Body: &DataBody{}}}, 99)
		var got []string
		for _, g := range custody.Gaps() {
			got = append(got, fmt.Sprintf("%d %s", g.Index, g.What))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// What the log holds without effect is no step of the chain.
func TestCustodyOfATrial(t *testing.T) {
	y := tell(t)
	y.add("cra", "704", KindIPEvent, &IPEventBody{Event: IPReceipt, Items: []string{pack, lot}, Destination: "704"})
	outside := y.write("pi701", "704", KindIPEvent, &IPEventBody{Event: IPReceipt, Items: []string{lot}, Destination: "704"})
	y.feed(outside)
	gaps := y.state.CustodyGaps()
	if len(gaps) != 2 || gaps[0].Item != pack || gaps[1].Item != lot || gaps[0].Site != "704" {
		t.Errorf("got %+v", gaps)
	}
}

func TestSerialItems(t *testing.T) {
	for id, want := range map[string]bool{
		pack: true, lot: false, "urn:epc:idpat:sgtin:4012345.012345.*": false, "https://id.gs1.org/01/04012345123456/21/9876": true,
		"https://id.gs1.org/01/04012345123456/10/LOT1": false, "https://id.gs1.org/00/340123453111111115": true,
		"340123453111111115": true, hexOf('a'): false,
	} {
		if got := isSerial(id); got != want {
			t.Errorf("%s: got %v, want %v", id, got, want)
		}
	}
}
