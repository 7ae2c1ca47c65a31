package trial

import "strings"

// Custody follows investigational products through the ip-event statements of a
// trial in log order, and shows where the chain lacks a link: where an item
// arrived, left or was used where no earlier statement had brought it. The first
// shipment of an item begins its chain.
//
// An item with a serial number is at one place. What has a lot or class number
// only may be at several.
type Custody struct {
	places map[string]string // a site's GLN to its id
	items  map[string]*custodyItem
	gaps   []CustodyGap
}

// CustodyGap is a link that a chain of custody lacks.
type CustodyGap struct {
	Item      string
	Event     IPEvent // that does not follow from those before it
	Site      string  // that the statement is about
	Statement ID
	Index     uint64
	What      string // in plain words
}

// custodyItem is an item, or a lot. gone says why an item is at no place.
type custodyItem struct {
	serial    bool
	at, bound map[string]struct{}
	gone      IPEvent // dispensing or destruction
	from      string  // where it was dispensed
}

// NewCustody begins with nothing. A site is the same place as its GLN.
func NewCustody(sites []Site) *Custody {
	c := &Custody{places: map[string]string{}, items: map[string]*custodyItem{}}
	for i := range sites {
		if sites[i].GLN != "" {
			c.places[sites[i].GLN] = sites[i].ID
		}
	}
	return c
}

// Apply folds a statement; those of other kinds change nothing.
func (c *Custody) Apply(st *Statement, index uint64) {
	b, ok := st.Predicate.Body.(*IPEventBody)
	if !ok {
		return
	}
	from, to := c.place(b.Source), c.place(b.Destination)
	for _, id := range b.Items {
		it := c.items[id]
		known := it != nil
		if !known {
			it = &custodyItem{serial: isSerial(id), at: map[string]struct{}{}, bound: map[string]struct{}{}}
			c.items[strings.Clone(id)] = it
		}
		if lacks := it.lacks(b.Event, from, to, known); lacks != "" {
			c.gaps = append(c.gaps, CustodyGap{id, b.Event, st.Predicate.Site, st.ID, index, lacks})
		}
		it.move(b.Event, from, to)
	}
}

// Gaps returns the links that are lacking, in log order.
func (c *Custody) Gaps() []CustodyGap { return append([]CustodyGap(nil), c.gaps...) }

// place returns the one name of a place.
func (c *Custody) place(name string) string {
	if site, ok := c.places[name]; ok {
		return site
	}
	return strings.Clone(name)
}

// lacks tells what an event lacks, "" for nothing.
func (it *custodyItem) lacks(event IPEvent, from, to string, known bool) string {
	_, here := it.at[from]
	_, arrived := it.at[to]
	_, expected := it.bound[to]
	switch {
	case it.gone == IPDestruction:
		return "after its destruction"
	case !known && event == IPShipment:
		return ""
	case event == IPReceipt && expected:
		return ""
	case event == IPReceipt && arrived && it.serial:
		return "received twice at " + to
	case event == IPReceipt && !known:
		return "received at " + to + " without a shipment"
	case event == IPReceipt:
		return "received at " + to + ", where it was not sent"
	case (event == IPReturn || event == IPDestruction) && it.gone == IPDispensing && it.from == from:
		return ""
	case !here:
		return "not at " + from + " by any earlier event"
	}
	return ""
}

// move takes the item to where an event brings it, whatever it lacked.
func (it *custodyItem) move(event IPEvent, from, to string) {
	if it.serial {
		clear(it.at)
		clear(it.bound)
		it.gone, it.from = "", ""
	}
	switch event {
	case IPShipment:
		it.bound[to] = struct{}{}
	case IPReceipt:
		it.at[to] = struct{}{}
	case IPReturn:
		// Whoever takes something back may use it without a receipt of its own.
		it.bound[to], it.at[to] = struct{}{}, struct{}{}
	case IPDispensing, IPDestruction:
		if it.serial {
			it.gone, it.from = event, from
		}
	}
}

// isSerial tells whether an identifier is of one item or one logistic unit, by the
// forms of GS1.
func isSerial(id string) bool {
	switch {
	case strings.HasPrefix(id, "urn:epc:"):
		return strings.HasPrefix(id, "urn:epc:id:")
	case strings.Contains(id, "://"):
		// Application identifiers: 21 is a serial number, 00 a logistic unit.
		return strings.Contains(id, "/21/") || strings.Contains(id, "/00/")
	}
	return len(id) == 18 // an SSCC; a commitment to a lot is longer
}
