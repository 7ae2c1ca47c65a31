//go:build linux

package main

import (
	"context"
	"errors"
)

// The statement of many subjects is held against one of a single subject.
const (
	manySubjects = 1000
	fewRow       = "notaryd unary, 1 subject"
	manyRow      = "notaryd unary, 1,000 subjects"
)

// subjectsInFlight are the numbers in flight that are measured: what one costs
// falls with what is in flight beside it, because a checkpoint and a transaction
// cost the same for few and for many.
var subjectsInFlight = []int{1, 16, 256}

// measureSubjects compares the server's CPU for statements of one subject and of
// a thousand, all submitted once to one server, in turns.
func (b *bench) measureSubjects(ctx context.Context) (err error) {
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
		for _, inFlight := range subjectsInFlight {
			if err := b.compareSubjects(ctx, s, inFlight); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareSubjects submits statements of both sizes, as many as give enough of the
// server's time to read.
func (b *bench) compareSubjects(ctx context.Context, s server, inFlight int) error {
	count := 16 * inFlight
	if b.quick {
		count = 4 * inFlight
	}
	for _, one := range []struct {
		name            string
		count, subjects int
	}{{fewRow, max(count, 30), 1}, {manyRow, max(count/4, 30), manySubjects}} {
		p, err := newPool(b.id, one.count, one.subjects, b.began)
		if err != nil {
			return err
		}
		if err := s.dial(connections(inFlight), p); err != nil {
			return err
		}
		f, err := newLoad(s, p, inFlight, false).runAll(ctx, s.proc())
		if err != nil {
			return err
		}
		b.logf("%s, %d in flight: %.0f us of server CPU", one.name, inFlight, f.Server)
		b.result.add(one.name, inFlight, f)
	}
	return nil
}
