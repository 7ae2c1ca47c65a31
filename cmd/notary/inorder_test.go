package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
)

func TestInOrder(t *testing.T) {
	const n, cores = 1000, 4
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	// The first one ends last: what is finished meanwhile is bounded.
	var begun atomic.Int64
	release := make(chan struct{})
	var got []int
	err := inOrder(t.Context(), n, func(_ context.Context, i int) int {
		begun.Add(1)
		switch i {
		case 0:
			<-release
		case cores * ahead / 2:
			close(release)
		}
		return i
	}, func(i int, _ bool) error {
		got = append(got, i)
		if at := begun.Load(); at > int64(i+cores*ahead+cores+2) {
			t.Errorf("%d were begun when %d was told", at, i)
		}
		return nil
	})
	if err != nil || len(got) != n || !slices.IsSorted(got) {
		t.Errorf("got %d results, %v", len(got), err)
	}
	if err := inOrder(t.Context(), 0, func(context.Context, int) int { return 0 }, nil); err != nil {
		t.Error(err)
	}
}

func TestInOrderEnds(t *testing.T) {
	full := errors.New("disk full")
	work := func(_ context.Context, i int) int { return i }
	told := 0
	err := inOrder(t.Context(), 5000, work, func(int, bool) error {
		if told++; told == 10 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || told != 10 {
		t.Errorf("got %v after %d results", err, told)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told = 0
	err = inOrder(ctx, 5000, work, func(int, bool) error {
		if told++; told == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || told != 10 {
		t.Errorf("got %v after %d results", err, told)
	}
}

// Results that are printed one by one are the document that print would print.
func TestResultList(t *testing.T) {
	text := func(w io.Writer, r *verifyResult) { r.print(w, false) }
	for _, output := range []string{"text", "json"} {
		for n := range 4 {
			results := make([]*verifyResult, n)
			for i := range results {
				results[i] = testResult()
			}
			var all, one bytes.Buffer
			a := &app{stdout: &all, stderr: io.Discard, output: output}
			if err := a.print(struct {
				Results []*verifyResult `json:"results"`
			}{results}, func(w io.Writer) {
				for _, r := range results {
					text(w, r)
				}
			}); err != nil {
				t.Fatal(err)
			}
			a.stdout = &one
			l := a.resultList(text)
			for i, r := range results {
				if err := l.add(r, i%2 == 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.close(); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(one.Bytes(), all.Bytes()) {
				t.Errorf("%d results as %s: got\n%s\nwant\n%s", n, output, one.Bytes(), all.Bytes())
			}
		}
	}
}
