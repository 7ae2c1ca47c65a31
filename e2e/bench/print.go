//go:build linux

package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// print writes the tables: what was measured, and the ratios.
func (r *result) print(out io.Writer) {
	r.printRows(out)
	if len(r.Clock) > 0 {
		fmt.Fprintf(out, "\nbare P-256 verification, one core: %.0f/s by the clock, %.0f/s of CPU time\n", median(r.Clock), median(r.CPU))
	}
	if r.Bundle > 0 {
		fmt.Fprintf(out, "a statement has %d bytes, its receipt %d, the evidence beside it %d\n", r.Payload, r.Bundle, r.Evidence)
	}
	r.printPairs(out)
	r.printRatios(out)
}

// printPairs writes the rates that were measured in turns.
func (r *result) printPairs(out io.Writer) {
	if len(r.Pairs) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nby the clock, in turns\tours\theld against")
	for _, name := range slices.Sorted(maps.Keys(r.Pairs)) {
		var ours, other []float64
		for _, p := range r.Pairs[name] {
			ours, other = append(ours, p.Ours), append(other, p.Other)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", name, number(median(ours)), number(median(other)))
	}
	_ = w.Flush() // as below
}

// number has no more digits than it means.
func number(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r *result) printRows(out io.Writer) {
	if len(r.Rows) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "in flight\treceipts/s\tp50 ms\tp99 ms\tp99.9 ms\tserver us\tgenerator us\tat full/s\tpeak MiB\tothers %\t  ")
	for _, row := range r.Rows {
		m := row.median
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t  %s\n", row.InFlight,
			m(rate), m(p50), m(p99), m(func(f figures) float64 { return f.P999 }),
			m(serverCPU), m(func(f figures) float64 { return f.Generator }), m(atFull),
			m(peak), m(func(f figures) float64 { return 100 * f.Others }), row.Name)
	}
	_ = w.Flush() // a terminal that went away cannot be told
	for _, row := range r.Rows {
		if n := row.median(func(f figures) float64 { return float64(f.Pushed) }); n > 0 {
			fmt.Fprintf(out, "%s, %d in flight: %.0f calls a run were told to come back later, and did\n", row.Name, row.InFlight, n)
		}
	}
}

func (r *result) printRatios(out io.Writer) {
	if r.Ratios = r.ratios(); len(r.Ratios) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nratio\ttarget\tby the clock\tof CPU time")
	for _, x := range r.Ratios {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", x.Name, x.target(), x.verdict(x.Clock), x.verdict(x.CPU))
	}
	_ = w.Flush() // as above
}
