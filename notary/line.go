package notary

// line is submissions that wait, the oldest first. A submission stands in one line
// at most, and whoever abandons it takes it out: while no checkpoint is published,
// callers that go away and come again would fill the memory. The service's mu
// guards every line and every submission's place in it.
type line struct {
	first, last *submission
}

// push puts a submission at the end of the line, unless it has ended.
func (l *line) push(w *submission) {
	if w.ended.Load() {
		return // whoever ended it may have looked for its line already
	}
	w.line, w.prev, w.next = l, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
}

// remove takes a submission out of the line that it stands in, if any.
func (w *submission) remove() {
	l := w.line
	if l == nil {
		return
	}
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.line, w.prev, w.next = nil, nil, nil
}

// take takes out those that want says, and appends them to taken.
func (l *line) take(taken []*submission, want func(*submission) bool) []*submission {
	for w := l.first; w != nil; {
		next := w.next
		if want(w) {
			w.remove()
			taken = append(taken, w)
		}
		w = next
	}
	return taken
}

func everyone(*submission) bool { return true }

// lane is submissions whose answers wait for more than the processor: for tiles
// that are not in memory, or for a checkpoint. A few goroutines of its own make
// them, so that they hold up neither the workers nor each other's lanes.
type lane struct {
	most int                 // goroutines
	do   func([]*submission) // must not panic

	// The service's mu guards the fields below.
	waiting line
	running int
}

// later puts submissions into a lane. Once the publisher has ended nobody can be
// waited for any more.
func (s *Service) later(l *lane, some []*submission) {
	s.mu.Lock()
	over := s.published.over
	if !over {
		for _, w := range some {
			l.waiting.push(w)
		}
		for need := (len(some) + answersAtOnce - 1) / answersAtOnce; need > 0 && l.running < l.most; need-- {
			l.running++
			s.running.Go(func() { s.work(l) })
		}
	}
	s.mu.Unlock()
	if over {
		for _, w := range some {
			s.end(w, nil, false, unavailable(errClosing))
		}
	}
}

// work does what waits in a lane until there is nothing.
func (s *Service) work(l *lane) {
	for {
		s.mu.Lock()
		var some []*submission
		for len(some) < answersAtOnce && l.waiting.first != nil {
			some = append(some, l.waiting.first)
			l.waiting.first.remove()
		}
		if some == nil {
			l.running--
		}
		s.mu.Unlock()
		if some == nil {
			return
		}
		l.do(some)
	}
}
