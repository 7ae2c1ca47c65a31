package dataset

// Diff is what differs between two tables. Its lists are cut where
// [CompareOptions] say so; the counts are of everything.
type Diff struct {
	// PairedBy names the columns by which rows were paired, and Pairing says
	// where they come from.
	PairedBy []string `json:"pairedBy,omitzero"`
	Pairing  Pairing  `json:"pairing"`

	// OnlyA and OnlyB are columns that one table has, Types those of another type.
	OnlyA []string     `json:"columnsOnlyInA,omitzero"`
	OnlyB []string     `json:"columnsOnlyInB,omitzero"`
	Types []TypeChange `json:"typesChanged,omitzero"`

	// RowsA and RowsB are the numbers of rows, RowsOnlyA and RowsOnlyB those of
	// rows that have no partner, RowsChanged that of pairs with a cell that
	// differs.
	RowsA       uint64 `json:"rowsInA"`
	RowsB       uint64 `json:"rowsInB"`
	RowsOnlyA   uint64 `json:"rowsOnlyInA"`
	RowsOnlyB   uint64 `json:"rowsOnlyInB"`
	RowsChanged uint64 `json:"rowsChanged"`
	// Reordered tells that rows stand in another order, which counts as data.
	Reordered bool `json:"rowsReordered"`

	// Cells is how many cells differ in rows that both have; Precision how many
	// of them are numbers that are equal to 15 digits.
	Cells     uint64 `json:"cellsChanged"`
	Precision uint64 `json:"cellsPrecisionOnly"`
	// Missing is how many of them have a code of a missing number that
	// Dataset-JSON cannot express, in one table only.
	Missing uint64 `json:"cellsMissingCode"`
	// Variables are the columns with such cells, in the order of A.
	Variables []VariableChange `json:"variables,omitzero"`

	// Rows and Changed are the first rows without a partner, and the first cells.
	Rows    []LoneRow    `json:"rows,omitzero"`
	Changed []CellChange `json:"cells,omitzero"`

	// Metadata is what is no data: labels, formats, time stamps. MetadataCount
	// is how much of it differs.
	Metadata      []MetaChange `json:"metadata,omitzero"`
	MetadataCount int          `json:"metadataChanged"`
}

// Pairing says by what rows were paired.
type Pairing string

// The ways to pair rows.
const (
	PairedByKeys     Pairing = "keys of the metadata"
	PairedBySubject  Pairing = "USUBJID and sequence number"
	PairedByPosition Pairing = "position"
)

// TypeChange is a column of different types.
type TypeChange struct {
	Variable string `json:"variable"`
	A        string `json:"a"`
	B        string `json:"b"`
}

// VariableChange counts the cells of a column that differ.
type VariableChange struct {
	Variable  string `json:"variable"`
	Cells     uint64 `json:"cells"`
	Precision uint64 `json:"precisionOnly,omitzero"`
}

// LoneRow is a row that one table has.
type LoneRow struct {
	In  string   `json:"in"`           // "a" or "b"
	Row uint64   `json:"row"`          // from 1
	Key []string `json:"key,omitzero"` // values of PairedBy
}

// CellChange is a cell that differs.
type CellChange struct {
	Variable string   `json:"variable"`
	RowA     uint64   `json:"rowA"` // from 1
	RowB     uint64   `json:"rowB"`
	Key      []string `json:"key,omitzero"` // values of PairedBy
	A        string   `json:"a"`
	B        string   `json:"b"`
	// Note is "precision only" for numbers that are equal to 15 digits, or says
	// that Dataset-JSON has no such code of a missing number.
	Note string `json:"note,omitzero"`
}

// Notes of a [CellChange].
const (
	NotePrecision = "precision only"
	NoteMissing   = "Dataset-JSON cannot express this missing code"
)

// MetaChange is something about a table that is no data.
type MetaChange struct {
	Variable string `json:"variable,omitzero"` // empty: of the table
	Property string `json:"property"`
	A        string `json:"a"`
	B        string `json:"b"`
}

// Same tells whether the tables hold the same data: exactly then they have one
// content digest.
func (d *Diff) Same() bool {
	return len(d.OnlyA) == 0 && len(d.OnlyB) == 0 && len(d.Types) == 0 &&
		d.RowsOnlyA == 0 && d.RowsOnlyB == 0 && d.Cells == 0 && !d.Reordered
}
