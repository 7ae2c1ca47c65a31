package receipt

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func policyLines(tb testing.TB, witnesses int) string {
	tb.Helper()
	b := "# of the test\nlog " + logKey(tb, testOrigin, "log").VKey() + "\n"
	for i := range witnesses {
		name := fmt.Sprintf("w%d.example", i)
		b += fmt.Sprintf("witness W%d %s https://%s/\n", i, witnessKey(name).text, name)
	}
	return b
}

func TestPolicyQuorum(t *testing.T) {
	text := checkpointText(testOrigin, 5, Hash{4})
	line := func(i int, at uint64) string {
		name := fmt.Sprintf("w%d.example", i)
		return cosignLine(witnessKey(name), name, text, at)
	}
	for _, tc := range []struct {
		name, rule string
		lines      []string
		met        bool
		by         uint64
	}{
		{"none", "quorum none", nil, true, 0},
		{"none counts nobody", "quorum none", []string{line(0, 9)}, true, 0},
		{"one", "quorum W1", []string{line(1, 9)}, true, 9},
		{"one, another came", "quorum W1", []string{line(0, 9)}, false, 0},
		{"any", "group g any W0 W1\nquorum g", []string{line(1, 9), line(0, 8)}, true, 8},
		{"all", "group g all W0 W1\nquorum g", []string{line(1, 9), line(0, 8)}, true, 9},
		{"all but one", "group g all W0 W1 W2\nquorum g", []string{line(1, 9), line(0, 8)}, false, 0},
		{"two of three", "group g 2 W0 W1 W2\nquorum g", []string{line(2, 9), line(0, 8)}, true, 9},
		{"one of three", "group g 2 W0 W1 W2\nquorum g", []string{line(2, 9)}, false, 0},
		{"groups of groups", "group a any W0 W1\ngroup b 1 W2\ngroup c all a b\nquorum c", []string{line(1, 3), line(2, 4)}, true, 4},
		{"a witness at time 0", "quorum W0", []string{line(0, 0)}, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := ParsePolicy([]byte(policyLines(t, 3) + tc.rule + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			_, n, err := parseCheckpoint([]byte(text + "\n" + logLine(p.Logs()[0], "log", text) + strings.Join(tc.lines, "")))
			if err != nil {
				t.Fatal(err)
			}
			w, err := p.judge(n)
			if err != nil {
				t.Fatal(err)
			}
			if w.met != tc.met || tc.by != 0 && !w.by.Equal(time.Unix(int64(tc.by), 0)) {
				t.Errorf("got %+v, want met %v by %d", w, tc.met, tc.by)
			}
		})
	}
}

func TestPolicyWrongCosignature(t *testing.T) {
	p, err := ParsePolicy([]byte(policyLines(t, 1) + "quorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	text := checkpointText(testOrigin, 5, Hash{4})
	wrong := cosignLine(witnessKey("w0.example"), "somebody else", text, 9)
	_, n, err := parseCheckpoint([]byte(text + "\n" + wrong))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.judge(n); err == nil {
		t.Error("accepted a known witness's wrong signature")
	}
}

func TestPolicyAccepted(t *testing.T) {
	for name, text := range map[string]string{
		"spaces and tabs":   "\t log  " + logKey(t, testOrigin, "log").VKey() + " \n\n  # remark\n quorum\tnone \n",
		"no log":            "quorum none\n",
		"URLs":              "log " + logKey(t, testOrigin, "log").VKey() + " https://x/ \nquorum none\n",
		"non-ASCII":         "# Zürich\nwitness Zeuge-Ü " + witnessKey("w.example").text + "\nquorum Zeuge-Ü\n",
		"quorum before end": "quorum none\nlog " + logKey(t, testOrigin, "log").VKey() + "\n",
	} {
		if p, err := ParsePolicy([]byte(text)); err != nil || string(p.Bytes()) != text {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicyRefused(t *testing.T) {
	head := policyLines(t, 3)
	w := witnessKey("w0.example")
	asLog := newVKey("w0.example", typeEd25519, w.key)
	for name, text := range map[string]string{
		"empty":                      "",
		"no quorum":                  head,
		"two quorums":                head + "quorum none\nquorum none\n",
		"no final newline":           head + "quorum none",
		"carriage return":            head + "quorum none\r\n",
		"unknown word":               head + "threshold 2\nquorum none\n",
		"witness counts twice":       head + "group g 2 W0 W0\nquorum g\n",
		"witness in two groups":      head + "group a any W0 W1\ngroup b any W0 W2\ngroup c all a b\nquorum c\n",
		"group counts twice":         head + "group a any W0\ngroup c 2 a a\nquorum c\n",
		"one key under two names":    head + "witness W9 " + w.text + "\nquorum none\n",
		"one key under two origins":  head + "witness W9 " + newVKey("x.example", typeCosignature, w.key).text + "\nquorum none\n",
		"one key as log and witness": head + "log " + asLog.text + "\nquorum none\n",
		"log twice":                  head + "log " + logKey(t, testOrigin, "log").VKey() + "\nquorum none\n",
		"witness with the log's name": head + "witness L " +
			newVKey(testOrigin, typeCosignature, witnessKey("z").key).text + "\nquorum none\n",
		"witness with a log's type": head + "witness L " + logKey(t, "x.example", "x").VKey() + "\nquorum none\n",
		"log with a witness's type": "log " + w.text + "\nquorum none\n",
		"name twice":                head + "group W0 any W1\nquorum none\n",
		"name none":                 head + "group none any W1\nquorum none\n",
		"member none":               head + "group g any none\nquorum g\n",
		"member below":              head + "group g any h\ngroup h any W0\nquorum g\n",
		"member of itself":          head + "group g any g\nquorum g\n",
		"quorum above":              "quorum W0\n" + head,
		"quorum unknown":            head + "quorum W7\n",
		"threshold 0":               head + "group g 0 W0\nquorum g\n",
		"threshold too high":        head + "group g 2 W0\nquorum g\n",
		"threshold with zero":       head + "group g 01 W0\nquorum g\n",
		"threshold with plus":       head + "group g +1 W0\nquorum g\n",
		"threshold huge":            head + "group g 99999999999999999999 W0\nquorum g\n",
		"empty group":               head + "group g any\nquorum g\n",
		"too many items":            head + "quorum W0 W1\n",
		"bad key":                   "log notary.example+00000000+AAAA\nquorum none\n",
		"control character":         head + "# \x07\nquorum none\n",
		"delete character":          head + "# \x7f\nquorum none\n",
		"too large":                 head + "#" + strings.Repeat("x", MaxPolicy) + "\nquorum none\n",
		"a log with a port":         "log notary.example:80+00000000+AAAA\nquorum none\n",
	} {
		if _, err := ParsePolicy([]byte(text)); err == nil {
			t.Errorf("accepted %q", name)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(policyLines(f, 3) + "group g 2 W0 W1 W2\nquorum g\n"))
	f.Add([]byte("quorum none\n"))
	f.Add([]byte(policyLines(f, 2) + "group g 2 W0 W0\nquorum g\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePolicy(b)
		if err != nil {
			return
		}
		// All witnesses together meet every rule, and each counts once.
		times := make([]uint64, len(p.witnesses))
		for i := range times {
			times[i] = 1
		}
		if p.quorum != nil && p.quorum.time(times) == 0 {
			t.Errorf("no set of witnesses can meet %q", b)
		}
		counts := map[int]int{}
		p.quorum.count(counts)
		for i, n := range counts {
			if n > 1 {
				t.Errorf("witness %d counts %d times in %q", i, n, b)
			}
		}
	})
}

// count counts how often each witness can contribute.
func (q *quorum) count(counts map[int]int) {
	if q == nil {
		return
	}
	if q.witness >= 0 {
		counts[q.witness]++
	}
	for _, m := range q.members {
		m.count(counts)
	}
}
