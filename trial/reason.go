package trial

import "fmt"

// Reason is why something was refused, from one fixed list. It is sent as
// google.rpc.ErrorInfo.reason, so a value is never renamed.
type Reason string

// Refusal is an input that is not accepted: malformed, unsigned or not
// authorised. It is never the answer to evidence that is merely late or out of
// order.
type Refusal struct {
	Reason Reason
	// Path is the place in the document, such as "predicate.subject[3].name";
	// empty where it concerns the whole.
	Path string
	// Detail says what was wrong and what to do, in plain words, without
	// content of the statement beyond names of fields and keys.
	Detail string
}

func (r *Refusal) Error() string {
	if r.Path == "" {
		return fmt.Sprintf("%s (%s)", r.Detail, r.Reason)
	}
	return fmt.Sprintf("%s: %s (%s)", r.Path, r.Detail, r.Reason)
}
