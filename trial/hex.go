package trial

import "encoding/binary"

// decodeHex32 reads 64 lowercase hexadecimal characters.
func decodeHex32(text []byte) (d [32]byte, ok bool) {
	if len(text) != 64 || !readHex32(&d, (*[64]byte)(text)) {
		return [32]byte{}, false
	}
	return d, true
}

// readHex32 reads 64 lowercase hexadecimal characters, eight at once: a statement
// has thousands of digests. Where it returns false, what is in to means nothing.
func readHex32(to *[32]byte, text *[64]byte) bool {
	const ones = 0x0101010101010101
	var bad uint64
	for i := range 8 {
		x := binary.LittleEndian.Uint64(text[8*i:])
		// The value of each byte, were it a digit or a letter. No sum is above 0x7f,
		// so none reaches into the next byte.
		v := x&(ones*0x0f) + x>>6&ones*9
		// It was one if writing the value again gives what was read.
		letter := (v + ones*6) >> 4 & ones
		bad |= x ^ (v + ones*'0' + letter*('a'-10-'0')) | v&(ones*0xf0)
		v = (v<<4 | v>>8) & 0x00ff00ff00ff00ff
		v = (v | v>>8) & 0x0000ffff0000ffff
		binary.LittleEndian.PutUint32(to[4*i:], uint32(v|v>>16))
	}
	return bad == 0
}

// lowerHex tells whether s holds nothing but lowercase hexadecimal characters.
func lowerHex[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
