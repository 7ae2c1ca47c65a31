package notary

import (
	"slices"
	"sync"
	"testing"
)

func TestPoolAnswersFirst(t *testing.T) {
	p := newPool(1)
	var got []string
	job := func(name string) func() { return func() { got = append(got, name) } }
	for _, name := range []string{"begin 1", "begin 2"} {
		if !p.begin(job(name)) {
			t.Fatal("the pool is closed")
		}
	}
	p.answer(job("answer 1"))
	p.answer(func() {
		job("answer 2")()
		p.begin(job("begin 3"))
		p.answer(job("answer 3"))
		p.close()
	})
	p.work()
	if want := []string{"answer 1", "answer 2", "answer 3", "begin 1", "begin 2", "begin 3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if p.begin(job("late")) || p.answer(job("late")) {
		t.Error("a closed pool took a job")
	}
}

func TestPoolDoesEverything(t *testing.T) {
	p := newPool(4)
	var workers, done sync.WaitGroup
	for range p.workers {
		workers.Go(p.work)
	}
	for i := range 1000 {
		done.Add(1)
		put := p.begin
		if i%3 == 0 {
			put = p.answer
		}
		if !put(done.Done) {
			t.Fatal("the pool is closed")
		}
	}
	done.Wait()
	p.close()
	workers.Wait()
}

// A queue that never runs empty stays as large as what it holds.
func TestFifoKeepsItsSize(t *testing.T) {
	var f fifo
	next, taken := 0, 0
	put := func() {
		n := next
		next++
		f.put(func() {
			if n != taken {
				t.Errorf("got job %d, want %d", n, taken)
			}
			taken++
		})
	}
	for range 100 {
		put()
	}
	for range 10_000 {
		put()
		f.take()()
	}
	if cap(f.jobs) > 1000 {
		t.Errorf("got room for %d jobs, want about 100", cap(f.jobs))
	}
	for job := f.take(); job != nil; job = f.take() {
		job()
	}
	if taken != next || f.take() != nil {
		t.Errorf("took %d of %d jobs", taken, next)
	}
}
