package main

import (
	"fmt"

	client "github.com/trialnotary/trialnotary/clients/go"
	"github.com/trialnotary/trialnotary/trial"
	"github.com/trialnotary/trialnotary/trial/dataset"
)

// readAs says how tables are read whose statement is drafted, and gives the
// encoding that it names its one spelling. UTF-8 is said by naming none.
func readAs(d *client.Draft) (dataset.Options, error) {
	body, ok := d.Predicate.Body.(*trial.DataBody)
	if !ok || body.Encoding == "" {
		return dataset.Options{}, nil
	}
	name, err := dataset.EncodingName(body.Encoding)
	if err != nil {
		return dataset.Options{}, fmt.Errorf("invalid --encoding: %w", err)
	}
	if name == "utf-8" {
		name = ""
	}
	body.Encoding = name
	return dataset.Options{Encoding: name}, nil
}

// forEncoding drops the encoding from statements about no file that it was used
// for, and tells whether any is left.
func forEncoding(base *client.Draft, inputs []*input) bool {
	body, ok := base.Predicate.Body.(*trial.DataBody)
	if !ok {
		return false
	}
	used := false
	for _, in := range inputs {
		if in.hasTransport() {
			used = true
			continue
		}
		own := *body
		if of, ok := in.body.(*trial.DataBody); ok {
			own = *of
		}
		own.Encoding = ""
		in.body = &own
	}
	return used
}

// hasTransport tells whether there is a SAS transport file among the input's.
func (in *input) hasTransport() bool {
	for _, f := range in.files {
		if f.Table.Format == dataset.XPT5 || f.Table.Format == dataset.XPT8 {
			return true
		}
	}
	return false
}

// recordedEncoding is how a statement says that its tables were read.
func recordedEncoding(st *trial.Statement) string {
	if st == nil {
		return ""
	}
	if body, ok := st.Predicate.Body.(*trial.DataBody); ok {
		return body.Encoding
	}
	return ""
}
