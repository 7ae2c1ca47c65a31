package trial

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestReadHex32 reads every byte value at every place, as a slow reading does.
func TestReadHex32(t *testing.T) {
	sum := hash32(anyHex)
	text := []byte(hex.EncodeToString(sum[:]))
	for at := range text {
		for c := range 256 {
			changed := bytes.Clone(text)
			changed[at] = byte(c)
			var want [32]byte
			_, err := hex.Decode(want[:], changed)
			wanted := err == nil && lowerHex(changed)
			if !wanted {
				want = [32]byte{}
			}
			if got, ok := decodeHex32(changed); ok != wanted || got != want {
				t.Fatalf("%q: got %x, %v, want %x, %v", changed, got, ok, want, wanted)
			}
		}
	}
	for _, length := range []int{0, 1, 63, 65, 128} {
		if got, ok := decodeHex32(bytes.Repeat([]byte("0"), length)); ok || got != [32]byte{} {
			t.Errorf("got %x of %d characters, want none", got, length)
		}
	}
}
