package notary

import "sync"

// pool is the goroutines that do what is deep and takes the processor: reading
// and verifying a statement, proving and checking its receipt. Thousands of
// callers wait for a checkpoint at a time. If each did this itself, each would
// have a stack for it, which is grown by copying and read by every collection of
// garbage.
//
// What waits here is bounded by who lets in: a submission is inside a gate before
// it comes here, and once on each of its two ways through.
type pool struct {
	workers int

	// mu guards the fields below.
	mu     sync.Mutex
	some   sync.Cond // there is something to do, or the pool is closed
	first  fifo      // what is to be answered
	second fifo      // what begins
	closed bool
}

func newPool(workers int) *pool {
	p := &pool{workers: workers}
	p.some.L = &p.mu
	return p
}

// begin has a submission done after all that are to be answered. It returns false
// once the pool is closed.
func (p *pool) begin(job func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.put(&p.second, job)
}

// answer has submissions done before all that begin: an answer gives room to the
// next one. It returns false once the pool is closed.
func (p *pool) answer(job func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.put(&p.first, job)
}

// put needs mu.
func (p *pool) put(to *fifo, job func()) bool {
	if p.closed {
		return false
	}
	to.put(job)
	p.some.Signal()
	return true
}

// work does what comes until the pool is closed and everything is done. A job must
// not wait for another.
func (p *pool) work() {
	for {
		job := p.next()
		if job == nil {
			return
		}
		job()
	}
}

func (p *pool) next() func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if job := p.first.take(); job != nil {
			return job
		}
		if job := p.second.take(); job != nil {
			return job
		}
		if p.closed {
			return nil
		}
		p.some.Wait()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.some.Broadcast()
}

// fifo is a queue. Its zero value is empty.
type fifo struct {
	jobs []func()
	from int // the oldest
}

func (f *fifo) put(job func()) {
	if f.from > 0 && len(f.jobs) == cap(f.jobs) {
		n := copy(f.jobs, f.jobs[f.from:])
		clear(f.jobs[n:])
		f.jobs, f.from = f.jobs[:n], 0
	}
	f.jobs = append(f.jobs, job)
}

// take returns the oldest job, or nil.
func (f *fifo) take() func() {
	if f.from == len(f.jobs) {
		return nil
	}
	job := f.jobs[f.from]
	f.jobs[f.from] = nil
	if f.from++; f.from == len(f.jobs) {
		f.jobs, f.from = f.jobs[:0], 0
	}
	return job
}
