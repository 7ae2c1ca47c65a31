package trial

// ReadSubjects returns the subjects of a statement that ParseStatement accepted
// before, at the cost of the part in which they stand, which clients write first.
// It judges no more of the payload than it reads.
func ReadSubjects(payload []byte) ([]Subject, error) {
	var refusal *Refusal
	for _, quick := range []bool{true, false} { // as readDocument does
		r := newReader(payload, ReasonMalformedStatement, "", quick)
		subjects := r.onlySubjects()
		refusal = r.refusal
		r.release()
		if refusal == nil {
			return subjects, nil
		}
	}
	return nil, refusal
}

func (r *reader) onlySubjects() []Subject {
	r.begin('{')
	for r.next() {
		if string(r.name) == "subject" {
			return r.subjects()
		}
		r.skip()
	}
	r.require("subject", false)
	return nil
}
