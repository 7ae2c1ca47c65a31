package trial

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The items of a published EPCIS 2.0 document are items of ours, and the chain of
// each is followed by itself.
func TestCustodyOfAnEPCISDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "openepcis", "epcisEvent.json"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the published EPCIS document is not here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Body struct {
			Events []struct {
				Items []string `json:"epcList"`
			} `json:"eventList"`
		} `json:"epcisBody"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	e := w.enrolment("ip", func(b *EnrolmentBody) { b.Kinds = []Kind{KindIPEvent} })
	const depot = "4012345000009"
	items := 0
	custody := NewCustody(nil)
	for _, event := range doc.Body.Events {
		if len(event.Items) == 0 {
			continue
		}
		items += len(event.Items)
		for i, b := range []*IPEventBody{
			{Event: IPShipment, Source: depot, Destination: "701"},
			{Event: IPReceipt, Source: depot, Destination: "701"},
			{Event: IPDispensing, Source: "701"},
			{Event: IPDispensing, Source: "704"}, // where none of them ever was
		} {
			b.Items = event.Items
			custody.Apply(marshal(t, w.signed(e, "701", KindIPEvent, b,
				Subject{Name: "epcis.json", Digests: SHA256(hash32(anyHex))})), uint64(i))
		}
	}
	gaps := custody.Gaps()
	if items == 0 || len(gaps) != items {
		t.Errorf("got %d gaps, want one for each of %d items", len(gaps), items)
	}
	for _, g := range gaps {
		if g.Index != 3 || g.Event != IPDispensing || g.What != "not at 704 by any earlier event" {
			t.Errorf("got %+v, want the second dispensing", g)
		}
	}
}
