//go:build linux

package main

import "fmt"

// ratio is a figure with the target that it is held against. It is printed and
// never asserted.
type ratio struct {
	Name   string  `json:"name"`
	Target float64 `json:"target"`
	Most   bool    `json:"atMost"` // the target is a ceiling
	// Clock and CPU are the ratio by the clock, and of the CPU time that was
	// spent, which other programs on the machine falsify less. 0 is none.
	Clock float64 `json:"byClock,omitempty"`
	CPU   float64 `json:"ofCPU,omitempty"`
}

func (x ratio) target() string {
	if x.Most {
		return fmt.Sprintf("<= %.2f", x.Target)
	}
	return fmt.Sprintf(">= %.2f", x.Target)
}

func (x ratio) verdict(v float64) string {
	switch {
	case v == 0:
		return "-"
	case x.Most && v <= x.Target, !x.Most && v >= x.Target:
		return fmt.Sprintf("%.2f PASS", v)
	case x.Most:
		return fmt.Sprintf("%.2f above", v)
	default:
		return fmt.Sprintf("%.2f below", v)
	}
}

// The figures that ratios are made of.
func rate(f figures) float64      { return f.Rate }
func p99(f figures) float64       { return f.P99 }
func p50(f figures) float64       { return f.P50 }
func serverCPU(f figures) float64 { return f.Server }
func peak(f figures) float64      { return f.Peak }

// atFull is the rate if server and generator had all cores to themselves and
// wasted none: what the CPU time a receipt allows.
func atFull(f figures) float64 { return float64(cores) * 1e6 / (f.Server + f.Generator) }

// of is the quotient of a figure's medians in two rows; 0 where one is missing.
func (r *result) of(a string, aFlight int, b string, bFlight int, figure func(figures) float64) float64 {
	x, y := r.row(a, aFlight), r.row(b, bFlight)
	if x == nil || y == nil {
		return 0
	}
	return x.median(figure) / y.median(figure)
}

// inTurns is the median of the quotients of a figure in two rows, round by round:
// what else the machine does changes from one round to the next.
func (r *result) inTurns(a, b string, inFlight int, figure func(figures) float64) float64 {
	x, y := r.row(a, inFlight), r.row(b, inFlight)
	if x == nil || y == nil {
		return 0
	}
	var all []float64
	for i := range min(len(x.Rounds), len(y.Rounds)) {
		all = append(all, figure(x.Rounds[i])/figure(y.Rounds[i]))
	}
	return median(all)
}

// to is the quotient of a row's figure and a number.
func (r *result) to(a string, flight int, figure func(figures) float64, by float64) float64 {
	x := r.row(a, flight)
	if x == nil || by == 0 {
		return 0
	}
	return x.median(figure) / by
}

const publication = 100.0 // ms between two checkpoints

// ratios are all that can be told of what was measured.
func (r *result) ratios() []ratio {
	u, s, k := unary.name, stream.name, best.name
	all := []ratio{
		{Name: "unary / Rekor v2, 8,192 in flight", Target: 2.4,
			Clock: r.of(u, 8192, k, 8192, rate), CPU: r.of(u, 8192, k, 8192, atFull)},
		{Name: "unary, 8,192 in flight / bare P-256 of one core", Target: 0.6,
			Clock: r.to(u, 8192, rate, median(r.Clock)), CPU: r.to(u, 8192, atFull, median(r.CPU))},
		{Name: "p99 / Rekor v2's, 1,024 in flight", Target: 0.5, Most: true, Clock: r.of(u, 1024, k, 1024, p99)},
		{Name: "p50 of one caller / publication interval", Target: 1.4, Most: true, Clock: r.to(u, 1, p50, publication)},
		r.paired("log with proofs / without, in process", 0.9, proofsName),
		{Name: "stream / unary, 8,192 in flight", Target: 1.5,
			Clock: r.of(s, 8192, u, 8192, rate), CPU: r.of(s, 8192, u, 8192, atFull)},
		{Name: "stream / unary, 1,024 in flight", Target: 1.5,
			Clock: r.of(s, 1024, u, 1024, rate), CPU: r.of(s, 1024, u, 1024, atFull)},
		r.subjects(1), r.subjects(16), r.subjects(256),
		r.paired("offline verification / bare P-256, one core", 0.7, offlineName(1)),
		r.paired(fmt.Sprintf("offline verification / bare P-256, %d cores", cores), 0.7, offlineName(cores)),
		r.paired("hashing a folder / cores x sha256sum", 0.9, hashingName),
		r.paired("content digest / sha256sum, transport file", 0.5, digestToolName),
		r.paired("content digest / Go's SHA-256, transport file", 0.5, digestGoName),
		r.paired("replay with rules / folding alone, 40,000 statements", 0.2, rulesName),
		r.paired("folding: rate of 1,000,000 statements / of 40,000", 0.3, linearName),
		r.paired("replay with rules: rate of 1,000,000 statements / of 40,000", 0.3, judgedName),
		r.atMost("replay with rules of 40,000 statements, in seconds", 3, yearName),
		r.paired("following the log / hashing its entries alone", 0.1, followName),
		r.atMost("following 1,000,000 entries, in seconds", 180, millionName),
		r.atMost("following the log: peak heap, in MiB", 256, heapName),
		{Name: "large log / empty log, 1,024 in flight", Target: 0.9,
			Clock: r.inTurns(largeRow, emptyRow, largeInFlight, rate), CPU: r.inTurns(largeRow, emptyRow, largeInFlight, atFull)},
		{Name: "large log: start, in seconds", Target: 2, Most: true, Clock: median(r.Starts)},
		{Name: "large log: resident after the start, in MB", Target: 500, Most: true, Clock: median(r.Resident) * (1 << 20) / 1e6},
		{Name: "large log: peak under load, in MB", Target: 500, Most: true, Clock: r.to(largeRow, largeInFlight, peak, 1e6/(1<<20))},
	}
	var told []ratio
	for _, x := range all {
		if x.Clock != 0 || x.CPU != 0 {
			told = append(told, x)
		}
	}
	return told
}

func (r *result) subjects(inFlight int) ratio {
	return ratio{
		Name: fmt.Sprintf("server CPU, 1,000 subjects / 1 subject, %d in flight", inFlight), Target: 3, Most: true,
		CPU: r.of(manyRow, inFlight, fewRow, inFlight, serverCPU),
	}
}

// atMost is paired, for what must not exceed the target.
func (r *result) atMost(name string, target float64, of string) ratio {
	x := r.paired(name, target, of)
	x.Most = true
	return x
}

// paired is the median of the quotients of what was measured in turns.
func (r *result) paired(name string, target float64, of string) ratio {
	var clock, cpu []float64
	for _, p := range r.Pairs[of] {
		clock, cpu = append(clock, p.Ours/p.Other), append(cpu, p.OursCPU/p.OtherCPU)
	}
	return ratio{Name: name, Target: target, Clock: median(clock), CPU: median(cpu)}
}
