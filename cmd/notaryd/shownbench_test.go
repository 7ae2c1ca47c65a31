package main

import (
	"testing"
)

// BenchmarkShown is BenchmarkSubmit with instruments, to be compared by
// server-CPU-µs. The collector runs in the server's process: where all calls are
// traced, a part of the time is its.
func BenchmarkShown(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*Config, string)
	}{
		{"nothing", func(c *Config, _ string) { c.Listen.Metrics = "" }},
		{"metrics", func(*Config, string) {}},
		{"metrics-and-a-hundredth-traced", func(c *Config, to string) { c.Tracing = TracingConfig{Endpoint: to, SampleRatio: 0.01} }},
		{"metrics-and-all-traced", func(c *Config, to string) { c.Tracing = TracingConfig{Endpoint: to, SampleRatio: 1} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			to := collect(b)
			to.forget = true
			benchmarkTrial(b, shownTrial(b, func(config *Config) { c.change(config, to.addr) }), load{InFlight: 1024})
		})
	}
}
