package trial

import "bytes"

// skip reads a value of any form and returns its text inside the document. It
// checks what holds everywhere: depth, numbers, and characters of names and
// strings.
func (r *reader) skip() []byte {
	start := r.dec.InputOffset()
	base := r.dec.StackDepth()
	for r.refusal == nil {
		switch kind := r.dec.PeekKind(); kind {
		case '{', '[':
			r.token()
			if r.dec.StackDepth()-base > maxDepth {
				r.fail(ReasonTooDeep, "nested more than %d deep", maxDepth)
			}
		case '"':
			r.anyString()
		case '0':
			r.numeral()
		default:
			r.token()
		}
		if r.dec.StackDepth() == base {
			break
		}
	}
	if r.refusal != nil {
		return nil
	}
	return textBetween(r.src, start, r.dec.InputOffset())
}

// anyString reads a string, which may be a member's name.
func (r *reader) anyString() {
	raw, err := r.dec.ReadValue()
	if err != nil {
		r.syntax(err)
		return
	}
	if i := forbidden(r.unquote(raw), true); i >= 0 {
		r.fail(ReasonForbiddenCharacter, "a control or direction character at byte %d", i)
	}
}

// textBetween returns the one value between two offsets of the decoder.
func textBetween(src []byte, start, end int64) []byte {
	return bytes.TrimLeft(src[start:end], " \t\r\n:,")
}
