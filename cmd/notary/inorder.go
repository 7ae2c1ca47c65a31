package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ahead is how many results may wait for an earlier one, for each core: a large
// file among small ones must not stop the others, nor may finished work pile up.
const ahead = 64

// inOrder does work(0) to work(n-1) on all cores and hands each result to emit in
// order, as soon as all before it are there. more tells that the next one is
// there already. The first error of emit, or the context's end, ends it.
func inOrder[T any](ctx context.Context, n int, work func(context.Context, int) T, emit func(result T, more bool) error) error {
	ctx, cancel := context.WithCancel(ctx)
	cores := min(runtime.GOMAXPROCS(0), n)
	type job struct {
		i    int
		done chan T
	}
	jobs := make(chan job)
	// waiting holds every job that was begun, in order: its room is the bound.
	waiting := make(chan job, cores*ahead)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	for range cores {
		workers.Go(func() {
			for j := range jobs {
				j.done <- work(ctx, j.i)
			}
		})
	}
	workers.Go(func() {
		defer close(jobs)
		defer close(waiting)
		for i := range n {
			j := job{i, make(chan T, 1)}
			select {
			case waiting <- j:
			case <-ctx.Done():
				return
			}
			select {
			case jobs <- j:
			case <-ctx.Done():
				return
			}
		}
	})
	for range n {
		var result T
		j, ok := <-waiting
		if ok {
			select {
			case result = <-j.done:
			case <-ctx.Done():
			}
		}
		// A result of work that was broken off is none.
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := emit(result, len(waiting) > 0); err != nil {
			return err
		}
	}
	return nil
}

// resultList prints results one by one: as text, or as the one JSON document
// {"results":[…]} that print would print of all of them.
type resultList[T any] struct {
	w     *bufio.Writer
	text  func(io.Writer, T) // nil for JSON
	begun bool
}

func (a *app) resultList(text func(io.Writer, *verifyResult)) *resultList[*verifyResult] {
	l := &resultList[*verifyResult]{w: bufio.NewWriterSize(a.stdout, 64<<10)}
	if a.output != "json" {
		l.text = text
	}
	return l
}

// add prints a result. It reaches the user at once unless more follow.
func (l *resultList[T]) add(result T, more bool) error {
	if l.text != nil {
		l.text(l.w, result)
	} else {
		text, err := json.Marshal(result, json.Deterministic(true), jsontext.WithIndentPrefix("    "), jsontext.WithIndent("  "))
		if err != nil {
			return fmt.Errorf("printing the result: %w", err)
		}
		if err := l.piece("{\n  \"results\": [\n    ", ",\n    "); err != nil {
			return err
		}
		if _, err := l.w.Write(bytes.TrimSpace(text)); err != nil {
			return err
		}
	}
	if more {
		return nil
	}
	return l.w.Flush()
}

// piece writes what stands before a result.
func (l *resultList[T]) piece(first, other string) error {
	text := other
	if !l.begun {
		text = first
	}
	l.begun = true
	_, err := l.w.WriteString(text)
	return err
}

// close ends the document; what was printed of it is valid JSON in any case.
func (l *resultList[T]) close() error {
	if l.text == nil {
		tail := "\n  ]\n}\n"
		if !l.begun {
			tail = "{\n  \"results\": []\n}\n"
		}
		if _, err := l.w.WriteString(tail); err != nil {
			return err
		}
	}
	return l.w.Flush()
}
