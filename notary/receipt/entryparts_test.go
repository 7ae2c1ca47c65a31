package receipt

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/trialnotary/trialnotary/trial"
)

func signedBy(tb testing.TB, a *actor, payload []byte) *trial.Envelope {
	tb.Helper()
	env, err := trial.Sign(a, payload)
	if err != nil {
		tb.Fatal(err)
	}
	return env
}

// someEntry is an entry as the notary writes them.
func someEntry(tb testing.TB) []byte {
	tb.Helper()
	a := newActor(tb, "entry", "", "")
	return Entry(signedBy(tb, a, []byte("{}")), a.key)
}

func TestSplitEntry(t *testing.T) {
	a := newActor(t, "entry", "", "")
	env := signedBy(t, a, []byte("{}"))
	p, err := SplitEntry(Entry(env, a.key))
	if err != nil {
		t.Fatal(err)
	}
	if string(p.Key) != EntryKey(a.key) || string(p.Digest) != EntryDigest(env) || string(p.Signature) != base64.StdEncoding.EncodeToString(env.Sig) {
		t.Errorf("got %s, %s, %s", p.Key, p.Digest, p.Signature)
	}
}

// TestSplitEntryRefuses takes no entry apart that Entry would not write: another
// spelling could hide whose it is.
func TestSplitEntryRefuses(t *testing.T) {
	good := string(someEntry(t))
	key := good[strings.Index(good, entryKey)+len(entryKey) : strings.Index(good, entryTail)]
	beforeSignature, signature, _ := strings.Cut(good, entrySignature)
	_, afterSignature, _ := strings.Cut(signature, entryKey)
	for name, bad := range map[string]string{
		"nothing":              "",
		"another kind":         strings.Replace(good, "hashedrekord", "dsse", 1),
		"a blank":              strings.Replace(good, ",", ", ", 1),
		"a blank at the end":   good + " ",
		"another algorithm":    strings.Replace(good, "SHA2_256", "SHA2_512", 1),
		"no digest":            strings.Replace(good, good[len(entryHead):len(entryHead)+44], "", 1),
		"no signature":         beforeSignature + entrySignature + entryKey + afterSignature,
		"no key":               strings.Replace(good, key, "", 1),
		"a key with a newline": strings.Replace(good, key, key[:8]+"\n"+key[8:], 1),
		"another curve":        strings.Replace(good, key, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0x30}, keySize)), 1),
		"stray bits of a key":  strings.Replace(good, key, key[:len(key)-3]+string(key[len(key)-3]+1)+"==", 1),
		"a compressed key":     strings.Replace(good, key, base64.StdEncoding.EncodeToString(append([]byte{0x30, 0x39}, keyHead[2:]...)), 1),
		"a shorter key":        strings.Replace(good, key, key[4:], 1),
	} {
		if bad == good {
			t.Fatalf("%s: nothing was changed", name)
		}
		if p, err := SplitEntry([]byte(bad)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, p)
		}
	}
}

// FuzzSplitEntry puts an entry that is taken apart together again.
func FuzzSplitEntry(f *testing.F) {
	good := someEntry(f)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte(entryHead + entrySignature + entryKey + entryTail))
	f.Fuzz(func(t *testing.T, entry []byte) {
		p, err := SplitEntry(entry)
		if err != nil {
			return
		}
		again := entryHead + string(p.Digest) + entrySignature + string(p.Signature) + entryKey + string(p.Key) + entryTail
		if again != string(entry) {
			t.Errorf("got %s of %s", again, entry)
		}
	})
}

func BenchmarkSplitEntry(b *testing.B) {
	entry := someEntry(b)
	b.SetBytes(int64(len(entry)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SplitEntry(entry); err != nil {
			b.Fatal(err)
		}
	}
}
