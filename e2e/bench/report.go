//go:build linux

package main

import (
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"time"
)

// result is everything that was measured, as it is written to the JSON file.
type result struct {
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
	Go      string    `json:"go"`
	Machine string    `json:"machine"`
	Cores   int       `json:"cores"`
	Payload int       `json:"payloadBytes"`

	// Bundle and Evidence are the bytes of one receipt.
	Bundle   int `json:"receiptBytes"`
	Evidence int `json:"evidenceBytes"`

	Rows  []*row    `json:"rows"`
	Clock []float64 `json:"bareP256PerSecond"`
	CPU   []float64 `json:"bareP256PerCPUSecond"`
	// Pairs are rates that were measured against each other in turns.
	Pairs map[string][]pair `json:"pairs"`
	// Starts are seconds until the large log was served, and Resident the MiB of
	// the server then.
	Large    int       `json:"largeLogEntries"`
	Starts   []float64 `json:"largeLogStartSeconds"`
	Resident []float64 `json:"largeLogResidentMiB"`
	Ratios   []ratio   `json:"ratios"`
}

// pair is what we reached and what it is held against, by the clock and of CPU
// time.
type pair struct {
	Ours     float64 `json:"ours"`
	Other    float64 `json:"other"`
	OursCPU  float64 `json:"oursOfCPU"`
	OtherCPU float64 `json:"otherOfCPU"`
}

func (r *result) pair(name string, p pair) {
	if r.Pairs == nil {
		r.Pairs = map[string][]pair{}
	}
	r.Pairs[name] = append(r.Pairs[name], p)
}

// row is one server at one number in flight, with one figure a round.
type row struct {
	Name     string    `json:"name"`
	InFlight int       `json:"inFlight"`
	Rounds   []figures `json:"rounds"`
}

func (r *result) describe(b *bench) {
	r.Began, r.Go, r.Cores = b.began.UTC(), runtime.Version(), cores
	r.Large, r.Machine = b.entries, runtime.GOOS+"/"+runtime.GOARCH
}

func (r *result) bare(byClock, byCPU float64) {
	r.Clock, r.CPU = append(r.Clock, byClock), append(r.CPU, byCPU)
}

func (r *result) add(name string, inFlight int, f figures) {
	w := r.row(name, inFlight)
	if w == nil {
		w = &row{Name: name, InFlight: inFlight}
		r.Rows = append(r.Rows, w)
	}
	w.Rounds = append(w.Rounds, f)
}

func (r *result) row(name string, inFlight int) *row {
	for _, w := range r.Rows {
		if w.Name == name && w.InFlight == inFlight {
			return w
		}
	}
	return nil
}

// median of one figure over the rounds.
func (w *row) median(of func(figures) float64) float64 {
	var all []float64
	for _, f := range w.Rounds {
		all = append(all, of(f))
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

func (r *result) save(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
