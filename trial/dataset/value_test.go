package dataset

import (
	"math"
	"testing"
)

func TestParseIBM(t *testing.T) {
	for u, want := range map[uint64]Value{
		0x0000000000000000: Number(0),
		0x8000000000000000: Number(0), // -0 is 0
		0x4110000000000000: Number(1),
		0xc110000000000000: Number(-1),
		0xc276a00000000000: Number(-118.625), // the example of IBM's description
		0x4019999999999999: ExactNumber(false, 0x19999999999999, -56),
		0x401999999999999a: Number(0.1),
		0x4e80000000000000: Number(1 << 55),
		0x7fffffffffffffff: ExactNumber(false, 1<<56-1, 196), // the largest
		0xffffffffffffffff: ExactNumber(true, 1<<56-1, 196),
		0x0000000000000001: ExactNumber(false, 1, -312), // the smallest, not normalised
		0x4801000000000000: ExactNumber(false, 1, 24),   // not normalised
		0x40ffffffffffffff: ExactNumber(false, 1<<56-1, -56),
		0x2e00000000000000: Missing('.'),
		0x5f00000000000000: Missing('_'),
		0x4100000000000000: Missing('A'),
		0x5a00000000000000: Missing('Z'),
		0x4100000000000001: ExactNumber(false, 1, -52), // no missing value
	} {
		if got, ok := parseIBM(u); !ok || got != want {
			t.Errorf("%016x: got %+v, %v, want %+v", u, got, ok, want)
		}
	}
	for _, first := range []uint64{0x01, '@', '[', '`', 'a', 0xae, 0xc1, 0xff} {
		if got, ok := parseIBM(first << 56); ok || got != (Value{}) {
			t.Errorf("%02x: got %+v, want no number", first, got)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		value Value
		kind  Kind
		text  string
	}{
		{Number(63), KindNumber, "63"},
		{Number(-0.5), KindNumber, "-0.5"},
		{Number(0.1), KindNumber, "0.1"},
		{Number(1e-9), KindNumber, "1e-09"},
		{Number(1e300), KindNumber, "1e+300"},
		{Number(math.SmallestNonzeroFloat64), KindNumber, "5e-324"},
		{Number(math.Copysign(0, -1)), KindNumber, "0"},
		{ExactNumber(false, 1<<56-1, -56), KindNumber, "1.00000000000000000e+00"},
		{Missing('.'), KindMissing, "."},
		{Missing('_'), KindMissing, "._"},
		{Missing('Z'), KindMissing, ".Z"},
		{Text(" a \t "), KindText, " a \t"},
		{Text("   "), KindText, ""},
		{Bool(true), KindBool, "true"},
		{Bool(false), KindBool, "false"},
		{Number(math.NaN()), KindNone, ""},
		{Number(math.Inf(-1)), KindNone, ""},
		{Missing('a'), KindNone, ""},
		{Missing(0), KindNone, ""},
		{ExactNumber(false, 1, 1<<15), KindNone, ""},
	} {
		if c.value.Kind() != c.kind || c.value.String() != c.text {
			t.Errorf("got kind %d and %q, want %d and %q", c.value.Kind(), c.value.String(), c.kind, c.text)
		}
	}
	if Number(96) != ExactNumber(false, 3, 5) || Number(0) != Number(math.Copysign(0, -1)) {
		t.Error("one number has two values")
	}
	if Missing('A').Code() != 'A' || Number(1).Code() != 0 || !Bool(true).Bool() || Text("x").Bool() {
		t.Error("a value tells what it is not")
	}
}

func FuzzNumber(f *testing.F) {
	for _, x := range []float64{0, 1, -1, 0.1, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, math.NaN(), math.Inf(1)} {
		f.Add(math.Float64bits(x))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		x := math.Float64frombits(bits)
		v := Number(x)
		if got, exact := v.Float64(); v.Kind() == KindNumber && (got != x || !exact) {
			t.Errorf("got %v, %v, want %v", got, exact, x)
		}
		negative, mant, exp := v.Exact()
		if ExactNumber(negative, mant, exp) != v && v.Kind() == KindNumber {
			t.Errorf("%v: the parts do not give it back", x)
		}
	})
}
