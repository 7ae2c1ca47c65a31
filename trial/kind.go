package trial

// Kind is what a statement is about.
type Kind string

// Subject is what a statement is about: a file's digests under its name.
type Subject struct {
	Name    string
	Digests map[string]string
}

// Statement is a parsed statement.
type Statement struct{ ID ID }
