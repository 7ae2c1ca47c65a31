package blinding

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// telling are words that say what a treatment is, and two words that do so together
// when the second follows the first. All are of letters, in lower case.
var (
	telling = map[string]bool{
		"placebo": true, "sham": true, "verum": true, "unblinded": true, "unblinding": true, "unmasked": true,
	}
	tellingPairs = map[[2]string]bool{
		{"treatment", "arm"}: true, {"treatment", "group"}: true, {"treatment", "assignment"}: true, {"treatment", "allocation"}: true,
		{"active", "arm"}: true, {"control", "arm"}: true, {"active", "comparator"}: true, {"active", "treatment"}: true,
		{"randomised", "to"}: true, {"randomized", "to"}: true,
		{"code", "broken"}: true, {"blind", "broken"}: true, {"code", "break"}: true,
	}
	// supplyWords are those of the supply chain's documents beside them.
	supplyWords = map[string]bool{"lgtin": true, "lotnumber": true, "batchnumber": true}
)

// maxWord bounds what is kept of a word: none that tells is longer.
const maxWord = 32

// words finds telling words in text that comes in pieces.
type words struct {
	more map[string]bool // beside telling
	// found is called for each telling word, or two.
	found func(word string, line int)

	word     []byte // letters of the running word, in lower case
	previous string
	line     int // of the running word, from 1
}

// write takes the next piece.
func (w *words) write(text []byte) {
	for _, c := range text {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
			fallthrough
		case c >= 'a' && c <= 'z' || c >= utf8.RuneSelf:
			if len(w.word) <= maxWord {
				w.word = append(w.word, c)
			}
		default:
			w.end()
			// "active, comparator" and "active. Comparator" are no pair.
			if c == '.' || c == ',' || c == ';' || c == ':' || c == '"' {
				w.previous = ""
			}
			if c == '\n' {
				w.line++
			}
		}
	}
}

// end ends the running word.
func (w *words) end() {
	if len(w.word) == 0 {
		return
	}
	word := string(w.word)
	w.word = w.word[:0]
	if telling[word] || w.more[word] {
		w.found(word, w.line)
	}
	if tellingPairs[[2]string{w.previous, word}] {
		w.found(w.previous+" "+word, w.line)
	}
	w.previous = word
}

// text looks for telling words in a file of text.
func (r *Report) text(ctx context.Context, src io.Reader, what What) error {
	seen := map[string]bool{}
	w := &words{line: 1, found: func(word string, line int) {
		if !seen[word] {
			seen[word] = true
			r.addf(fmt.Sprintf("line %d", line), "it says %q", word)
		}
	}}
	if what == Supply {
		w.more = supplyWords
	}
	buffer := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buffer)
		w.write(buffer[:n])
		if errors.Is(err, io.EOF) {
			w.end()
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// inText returns the first telling word of a short text, or "".
func inText(text string) string {
	found := ""
	w := &words{found: func(word string, _ int) {
		if found == "" {
			found = word
		}
	}}
	w.write([]byte(text))
	w.end()
	return found
}

// inName looks at a file's name.
func inName(name string) []Clue {
	if word := inText(strings.NewReplacer("/", ".", "_", " ", "-", " ").Replace(name)); word != "" {
		return []Clue{{"its name", fmt.Sprintf("it goes into the statement, and says %q", word)}}
	}
	return nil
}

// isUTF16 tells whether a file begins with the mark of UTF-16.
func isUTF16(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff})
}

// isText tells whether a file is text in UTF-8 or an encoding of one byte, by its
// head.
func isText(head []byte) bool {
	control := bytes.ContainsFunc(head, func(c rune) bool {
		return c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f
	})
	return len(head) > 0 && !control
}

// lot tells whether the class of an EPC names a lot: as a URI, or as a GS1 Digital
// Link with the application identifier 10.
func lot(class string) bool {
	return strings.HasPrefix(class, "urn:epc:class:lgtin:") || strings.Contains(class, "/10/")
}

// product returns the part of an EPC that names the product, or "".
func product(item string) string {
	for _, prefix := range []string{"urn:epc:id:sgtin:", "urn:epc:class:lgtin:", "urn:epc:idpat:sgtin:"} {
		if rest, ok := strings.CutPrefix(item, prefix); ok {
			company, rest, _ := strings.Cut(rest, ".")
			reference, _, _ := strings.Cut(rest, ".")
			return company + "." + reference
		}
	}
	if _, rest, ok := strings.Cut(item, "/01/"); ok {
		gtin, _, _ := strings.Cut(rest, "/")
		return gtin
	}
	return ""
}
