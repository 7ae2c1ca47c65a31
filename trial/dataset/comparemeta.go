package dataset

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// pairBy chooses the columns by which rows are paired.
func (c *comparison) pairBy() {
	c.d.Pairing = PairedByKeys
	names := keysOf(c.a.r.Meta())
	if !c.canPair(names) {
		names = keysOf(c.b.r.Meta())
	}
	if !c.canPair(names) {
		c.d.Pairing = PairedBySubject
		names = c.subjectKeys()
	}
	if !c.canPair(names) {
		c.d.Pairing = PairedByPosition
		return
	}
	for _, name := range names {
		i := c.a.names[name]
		c.a.keys = append(c.a.keys, i)
		c.b.keys = append(c.b.keys, c.b.names[name])
		c.d.PairedBy = append(c.d.PairedBy, c.a.r.Meta().Columns[i].Name)
	}
}

// keysOf returns the names of the keys that metadata give, in their order.
func keysOf(m *Meta) []string {
	var keys []Column
	for _, col := range m.Columns {
		if col.KeySequence > 0 {
			keys = append(keys, col)
		}
	}
	slices.SortStableFunc(keys, func(a, b Column) int { return cmp.Compare(a.KeySequence, b.KeySequence) })
	names := make([]string, 0, len(keys))
	for _, col := range keys {
		names = append(names, UpperName(col.Name))
	}
	return names
}

// canPair tells whether both tables have the columns, in the same types.
func (c *comparison) canPair(names []string) bool {
	for _, name := range names {
		i, inA := c.a.names[name]
		j, inB := c.b.names[name]
		if !inA || !inB || c.a.r.Meta().Columns[i].Type != c.b.r.Meta().Columns[j].Type {
			return false
		}
	}
	return len(names) > 0
}

// subjectKeys are USUBJID and the sequence number, if there is one: AESEQ in
// SDTM, ASEQ in ADaM. Without USUBJID there are none.
func (c *comparison) subjectKeys() []string {
	if _, ok := c.a.names["USUBJID"]; !ok {
		return nil
	}
	names := []string{"USUBJID"}
	for _, col := range c.a.r.Meta().Columns {
		name := UpperName(col.Name)
		if prefix, ok := strings.CutSuffix(name, "SEQ"); ok && (name == "ASEQ" || len(prefix) == 2) && c.canPair([]string{name}) {
			return append(names, name)
		}
	}
	return names
}

// metadata lists what differs and is no data.
func (c *comparison) metadata() {
	a, b := c.a.r.Meta(), c.b.r.Meta()
	c.meta("", "format", string(a.Format), string(b.Format))
	c.meta("", "name", a.Name, b.Name)
	c.meta("", "label", a.Label, b.Label)
	c.meta("", "encoding", a.Encoding, b.Encoding)
	sources := maps.Clone(a.Source)
	if sources == nil {
		sources = map[string]string{}
	}
	maps.Copy(sources, b.Source)
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		c.meta("", name, a.Source[name], b.Source[name])
	}
	var orderA, orderB []string
	for i, col := range a.Columns {
		if j, ok := c.b.names[UpperName(col.Name)]; ok {
			c.column(&a.Columns[i], &b.Columns[j])
			orderA = append(orderA, UpperName(col.Name))
		}
	}
	for _, col := range b.Columns {
		if _, ok := c.a.names[UpperName(col.Name)]; ok {
			orderB = append(orderB, UpperName(col.Name))
		}
	}
	for i := range orderA {
		if orderA[i] != orderB[i] {
			c.meta("", "first variable in another order", orderA[i], orderB[i])
			break
		}
	}
}

func (c *comparison) column(a, b *Column) {
	c.meta(a.Name, "name", a.Name, b.Name)
	c.meta(a.Name, "label", a.Label, b.Label)
	c.meta(a.Name, "length", strconv.Itoa(a.Length), strconv.Itoa(b.Length))
	c.meta(a.Name, "format", a.Format, b.Format)
	c.meta(a.Name, "data type", a.DataType, b.DataType)
	c.meta(a.Name, "target data type", a.TargetDataType, b.TargetDataType)
	c.meta(a.Name, "place among the keys", strconv.Itoa(a.KeySequence), strconv.Itoa(b.KeySequence))
}

func (c *comparison) meta(variable, property, a, b string) {
	if a == b {
		return
	}
	c.d.MetadataCount++
	if len(c.d.Metadata) < c.o.MaxListed {
		c.d.Metadata = append(c.d.Metadata, MetaChange{variable, property, clip(a), clip(b)})
	}
}
