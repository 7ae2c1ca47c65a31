//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
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

	Rows  []*row    `json:"rows"`
	Clock []float64 `json:"bareP256PerSecond"`
	CPU   []float64 `json:"bareP256PerCPUSecond"`
}

// row is one server at one number in flight, with one figure a round.
type row struct {
	Name     string    `json:"name"`
	InFlight int       `json:"inFlight"`
	Rounds   []figures `json:"rounds"`
}

func (r *result) describe(b *bench) {
	r.Began, r.Go, r.Cores = b.began.UTC(), runtime.Version(), cores
	r.Machine = runtime.GOOS + "/" + runtime.GOARCH
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

func (r *result) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "in flight\treceipts/s\tp50 ms\tp99 ms\tp99.9 ms\tserver us\tgenerator us\tpeak MiB\tothers %\t  ")
	for _, row := range r.Rows {
		m := row.median
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t  %s\n", row.InFlight,
			m(func(f figures) float64 { return f.Rate }), m(func(f figures) float64 { return f.P50 }),
			m(func(f figures) float64 { return f.P99 }), m(func(f figures) float64 { return f.P999 }),
			m(func(f figures) float64 { return f.Server }), m(func(f figures) float64 { return f.Generator }),
			m(func(f figures) float64 { return f.Peak }), m(func(f figures) float64 { return 100 * f.Others }), row.Name)
	}
	_ = w.Flush() // a terminal that went away cannot be told
	fmt.Fprintf(out, "bare P-256 verification, one core: %.0f/s by the clock, %.0f/s of CPU time\n", median(r.Clock), median(r.CPU))
}

func (r *result) save(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
