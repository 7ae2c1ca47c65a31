//go:build linux

package main

import (
	"context"
	"errors"
)

// The statement of many subjects is held against one of a single subject.
const (
	manySubjects     = 1000
	subjectsInFlight = 256
	fewRow           = "notaryd unary, 1 subject"
	manyRow          = "notaryd unary, 1,000 subjects"
)

// measureSubjects compares the server's CPU for statements of one subject and of
// a thousand, all submitted once to one server, in turns.
func (b *bench) measureSubjects(ctx context.Context) (err error) {
	few, many := 4000, 1000
	if b.quick {
		few, many = 1000, 250
	}
	dir, remove, err := b.fresh()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, err := unary.start(ctx, b, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for range b.rounds {
		for _, one := range []struct {
			name            string
			count, subjects int
		}{{fewRow, few, 1}, {manyRow, many, manySubjects}} {
			p, err := newPool(b.id, one.count, one.subjects, b.began)
			if err != nil {
				return err
			}
			if err := s.dial(connections(subjectsInFlight), p); err != nil {
				return err
			}
			f, err := newLoad(s, p, subjectsInFlight, false).runAll(ctx, s.proc())
			if err != nil {
				return err
			}
			b.logf("%s: %.0f us of server CPU", one.name, f.Server)
			b.result.add(one.name, subjectsInFlight, f)
		}
	}
	return nil
}
