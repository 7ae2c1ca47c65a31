package b64

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// What is written by hand is held against encoding/base64.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{"", "a", "ab", "abc", "abcd", "YQ==", "YWI=", "YWJj", "YWJjZA==", "YR==", "YWJj\n", "YW\r\nJj", "YWJ=", "=", "a===", "YWJjYQ==YWJj", "_-_-", "\xff\xff\xff\xff",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		text := base64.StdEncoding.EncodeToString(b)
		if got := Append([]byte("x"), b); string(got) != "x"+text {
			t.Errorf("got %q, want %q", got[1:], text)
		}
		if got, ok := Decode([]byte(text)); !ok || !bytes.Equal(got, b) {
			t.Errorf("got %q, %v, want %q", got, ok, b)
		}
		if !Is([]byte(text), b) {
			t.Errorf("%q is not taken for the base64 of %q", text, b)
		}
		for i := range text {
			other := []byte(text)
			other[i] ^= 1
			if Is(other, b) {
				t.Errorf("%q is taken for the base64 of %q", other, b)
			}
		}
		// b as a text that somebody sent.
		want, err := base64.StdEncoding.Strict().DecodeString(string(b))
		wantOK := err == nil && base64.StdEncoding.EncodeToString(want) == string(b)
		got, ok := Decode(b)
		if ok != wantOK || ok && !bytes.Equal(got, want) {
			t.Errorf("decoding %q: got %q, %v, want %q, %v", b, got, ok, want, wantOK)
		}
		if hash, ok32 := Decode32(b); ok32 != (wantOK && len(want) == 32) || ok32 && !bytes.Equal(hash[:], want) {
			t.Errorf("decoding %q: got %x, %v, want %x", b, hash, ok32, want)
		}
		if ok && !Is(b, want) {
			t.Errorf("%q is not taken for the base64 of %q", b, want)
		}
	})
}

func BenchmarkBase64(b *testing.B) {
	src := bytes.Repeat([]byte("0123456789abcdefghij"), 130<<10/20)
	text := Append(nil, src)
	dst := make([]byte, 0, len(text))
	for name, f := range map[string]func(){
		"encode":        func() { Append(dst, src) },
		"encode-stdlib": func() { base64.StdEncoding.AppendEncode(dst, src) },
		"compare":       func() { Is(text, src) },
		"decode":        func() { Decode(text) },
		"decode-stdlib": func() { _, _ = base64.StdEncoding.DecodeString(string(text)) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				f()
			}
		})
	}
}
