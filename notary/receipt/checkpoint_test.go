package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

const testOrigin = "notary.example"

// edKey returns the Ed25519 key of a name: the same in every run, as its
// signatures are.
func edKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("ed25519 " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func logKey(tb testing.TB, origin, name string) LogKey {
	tb.Helper()
	k, err := NewLogKey(origin, edKey(name).Public().(ed25519.PublicKey))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// sigLine writes a signature line of a key over a note's text.
func sigLine(k vkey, sig []byte) string {
	id := k.id()
	return "— " + k.name + " " + base64.StdEncoding.EncodeToString(append(id[:4], sig...)) + "\n"
}

func logLine(k LogKey, name, text string) string {
	return sigLine(k.key, ed25519.Sign(edKey(name), []byte(text)))
}

// cosignLine writes a timestamped Ed25519 cosignature (C2SP tlog-cosignature).
func cosignLine(k vkey, name, text string, seconds uint64) string {
	msg := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text)
	sig := []byte{
		byte(seconds >> 56), byte(seconds >> 48), byte(seconds >> 40), byte(seconds >> 32),
		byte(seconds >> 24), byte(seconds >> 16), byte(seconds >> 8), byte(seconds),
	}
	return sigLine(k, append(sig, ed25519.Sign(edKey(name), []byte(msg))...))
}

func witnessKey(name string) vkey {
	return newVKey(name, typeCosignature, edKey(name).Public().(ed25519.PublicKey))
}

func checkpointText(origin string, size uint64, root Hash) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
}

func TestCheckpoint(t *testing.T) {
	k := logKey(t, testOrigin, "log")
	text := checkpointText(testOrigin, 1042, Hash{1, 2, 3})
	line := logLine(k, "log", text)
	unknown := cosignLine(witnessKey("unknown.example"), "unknown.example", text, 1700000000)
	for name, signed := range map[string]string{
		"log only":           text + "\n" + line,
		"unknown line after": text + "\n" + line + unknown,
		"unknown line first": text + "\n" + unknown + line,
		"unknown line twice": text + "\n" + unknown + line + unknown,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := OpenCheckpoint([]byte(signed), k)
			if err != nil {
				t.Fatal(err)
			}
			if c.Origin != testOrigin || c.Size != 1042 || c.Root != (Hash{1, 2, 3}) || string(c.Note) != signed {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestCheckpointRefused(t *testing.T) {
	k := logKey(t, testOrigin, "log")
	text := checkpointText(testOrigin, 1042, Hash{1})
	good := text + "\n" + logLine(k, "log", text)
	sign := func(text string) string { return text + "\n" + logLine(k, "log", text) }
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	other := logKey(t, testOrigin, "other")
	for name, signed := range map[string]string{
		"empty":                  "",
		"no signature":           text + "\n",
		"no empty line":          text,
		"no final newline":       strings.TrimSuffix(good, "\n"),
		"empty line at the end":  good + "\n",
		"carriage returns":       strings.ReplaceAll(good, "\n", "\r\n"),
		"leading zero":           sign(testOrigin + "\n01042\n" + root + "\n"),
		"plus sign":              sign(testOrigin + "\n+1042\n" + root + "\n"),
		"negative size":          sign(testOrigin + "\n-1\n" + root + "\n"),
		"size beyond 2^63":       sign(testOrigin + "\n9223372036854775808\n" + root + "\n"),
		"size beyond 2^64":       sign(testOrigin + "\n18446744073709551616\n" + root + "\n"),
		"size in hexadecimal":    sign(testOrigin + "\n0x10\n" + root + "\n"),
		"size with underscore":   sign(testOrigin + "\n1_0\n" + root + "\n"),
		"short root":             sign(testOrigin + "\n1\nAAAA\n"),
		"root not canonical":     sign(testOrigin + "\n1\n" + strings.Replace(root, "A=", "B=", 1) + "\n"),
		"root without padding":   sign(testOrigin + "\n1\n" + strings.TrimSuffix(root, "=") + "\n"),
		"empty origin":           sign("\n1\n" + root + "\n"),
		"origin with space":      sign("notary example\n1\n" + root + "\n"),
		"other origin":           sign("other.example\n1\n" + root + "\n"),
		"extension line":         sign(testOrigin + "\n1\n" + root + "\nmore\n"),
		"two lines":              sign(testOrigin + "\n1\n"),
		"wrong signature":        text + "\n" + logLine(k, "other", text),
		"signature of other":     text + "\n" + logLine(other, "other", text),
		"only an unknown line":   text + "\n" + cosignLine(witnessKey("w.example"), "w.example", text, 1),
		"log line twice":         good + logLine(k, "log", text),
		"second log line wrong":  good + logLine(k, "other", text),
		"hyphen for em dash":     strings.Replace(good, "— ", "- ", 1),
		"two spaces":             strings.Replace(good, "— ", "—  ", 1),
		"signature not base64":   text + "\n— " + testOrigin + " ****\n",
		"signature too short":    text + "\n— " + testOrigin + " AAAA\n",
		"signature of an alias":  strings.Replace(good, "— "+testOrigin, "— Notary.example", 1),
		"changed size":           strings.Replace(good, "1042", "1043", 1),
		"not UTF-8":              strings.Replace(good, "— "+testOrigin, "\xff "+testOrigin, 1),
		"too many signatures":    text + "\n" + strings.Repeat(logLine(other, "other", text), 65),
		"beyond the size limit":  text + "\n" + logLine(k, "log", text) + strings.Repeat("x", MaxCheckpoint),
		"text after signatures":  good + "more\n",
		"tab in a signature":     strings.Replace(good, testOrigin+" ", testOrigin+"\t", 2),
		"signature trailing tab": strings.TrimSuffix(good, "\n") + "\t\n",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := OpenCheckpoint([]byte(signed), k); err == nil {
				t.Errorf("accepted %+v", c)
			}
		})
	}
	if _, err := OpenCheckpoint([]byte(good)); err == nil {
		t.Error("accepted without any key")
	}
}

// A log may have a second key: then a checkpoint that lacks either signature is
// refused, or stripping one would be free.
func TestEveryLogKeyMustSign(t *testing.T) {
	skey, vtext, err := fnote.GenerateMLDSAKey(testOrigin)
	if err != nil {
		t.Fatal(err)
	}
	mldsa, err := ParseLogKey(vtext)
	if err != nil {
		t.Fatal(err)
	}
	if mldsa.IsEd25519() || mldsa.Origin() != testOrigin || mldsa.VKey() != vtext {
		t.Errorf("got %+v", mldsa)
	}
	signer, err := fnote.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	one, two := logKey(t, testOrigin, "log"), logKey(t, testOrigin, "second")
	text := checkpointText(testOrigin, 7, Hash{9})
	sig, err := signer.Sign([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{logLine(one, "log", text), logLine(two, "second", text), sigLine(mldsa.key, sig)}
	keys := []LogKey{one, two, mldsa}
	all := text + "\n" + strings.Join(lines, "")
	if _, err := OpenCheckpoint([]byte(all), keys...); err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		stripped := strings.Replace(all, lines[i], "", 1)
		if _, err := OpenCheckpoint([]byte(stripped), keys...); err == nil {
			t.Errorf("accepted without signature %d", i)
		}
	}
}

func TestLogKey(t *testing.T) {
	k := logKey(t, testOrigin, "log")
	if again, err := ParseLogKey(k.VKey()); err != nil || again.ID() != k.ID() {
		t.Errorf("reading %s: %v", k.VKey(), err)
	}
	pub := k.Ed25519()
	want := sha256.Sum256(append([]byte(testOrigin+"\n\x01"), pub...))
	if k.ID() != want {
		t.Errorf("got id %x, want %x", k.ID(), want)
	}
	std, err := note.NewVerifier(k.VKey())
	if err != nil || std.KeyHash() != k.Verifier().KeyHash() {
		t.Errorf("golang.org/x/mod reads another key: %v", err)
	}
	long := strings.Repeat("a", 64)
	for _, origin := range []string{
		"", "Notary.example", "notary.example/log", "notary.example:443", "https://notary.example", "notary example",
		"notary..example", ".notary", "notary.", "-a.example", "a-.example", "nötary.example", "a_b.example",
		"a+b", long + ".example", strings.Repeat("a.", 130) + "b",
	} {
		if _, err := NewLogKey(origin, pub); err == nil {
			t.Errorf("accepted the origin %q", origin)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "newline": k.VKey() + "\n", "no hash": testOrigin + "+" + strings.SplitN(k.VKey(), "+", 3)[2],
		"other name":    strings.Replace(k.VKey(), "notary", "rotary", 1),
		"capital hash":  strings.ToUpper(k.VKey()),
		"line break":    k.VKey()[:len(k.VKey())-4] + "\n" + k.VKey()[len(k.VKey())-4:],
		"witness key":   witnessKey(testOrigin).text,
		"short key":     newVKey(testOrigin, typeEd25519, pub[:31]).text,
		"unknown type":  newVKey(testOrigin, 2, pub).text,
		"short ML-DSA":  newVKey(testOrigin, typeMLDSA44, pub).text,
		"trailing bits": k.VKey()[:len(k.VKey())-1] + "!",
	} {
		if _, err := ParseLogKey(text); err == nil {
			t.Errorf("%s: accepted %q", name, text)
		}
	}
	if _, err := NewLogKey(testOrigin, pub[:31]); err == nil {
		t.Error("accepted a short key")
	}
}

func FuzzCheckpoint(f *testing.F) {
	k := logKey(f, testOrigin, "log")
	text := checkpointText(testOrigin, 3, Hash{1})
	f.Add([]byte(text + "\n" + logLine(k, "log", text)))
	f.Add([]byte(text + "\n" + logLine(k, "log", text) + cosignLine(witnessKey("w.example"), "w.example", text, 5)))
	f.Add([]byte("a\n0\n\n— a AAAAAAA=\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, n, err := parseCheckpoint(b)
		if err != nil {
			return
		}
		again := []byte(checkpointText(c.Origin, c.Size, c.Root) + "\n")
		for _, s := range n.sigs {
			raw := append([]byte{byte(s.hash >> 24), byte(s.hash >> 16), byte(s.hash >> 8), byte(s.hash)}, s.sig...)
			again = append(again, "— "+s.name+" "+base64.StdEncoding.EncodeToString(raw)+"\n"...)
		}
		if !bytes.Equal(again, b) {
			t.Errorf("accepted %q, writes %q", b, again)
		}
	})
}
