package receipt

import (
	"encoding/base64"
	"math/big"
	"strings"

	"crypto/elliptic"
	"encoding/asn1"
)

// badReceipts changes one field each of a receipt that stays well-formed.
func (s *caseSet) badReceipts() {
	s.badStatements()
	s.badEntries()
	s.badProofs()
	s.badCheckpoints()
}

func (s *caseSet) badStatements() {
	s.field("statement-changed", "the declared purpose was changed after signing", CheckSignature, func(_ *story, r *Receipt) {
		r.Envelope.Payload = []byte(strings.Replace(string(r.Envelope.Payload), `"routine"`, `"interim"`, 1))
	})
	s.field("statement-not-one", "the payload is no statement", CheckStatementForm, func(_ *story, r *Receipt) {
		r.Envelope.Payload = []byte(`{"_type":"https://in-toto.io/Statement/v1"}`)
	})
	s.field("signature-of-another-key", "the signature is another key's over the same statement", CheckSignature, func(st *story, r *Receipt) {
		r.Envelope.Sig = st.signPayload(st.sponsor, r.Envelope.Payload).env.Sig
	})
	s.field("signature-malleated", "the signature's other valid spelling, which was not logged", CheckEntry, func(_ *story, r *Receipt) {
		r.Envelope.Sig = malleate(s, r.Envelope.Sig)
	})
	s.field("hint-of-another-key", "the hint names another key", CheckEntry, func(st *story, r *Receipt) {
		r.KeyHint = st.sponsor.key.ID.String()
	})
}

// malleate returns (r, n-s), which verifies wherever (r, s) does.
func malleate(s *caseSet, sig []byte) []byte {
	var v struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &v); err != nil {
		s.t.Fatal(err)
	}
	v.S.Sub(elliptic.P256().Params().N, v.S)
	out, err := asn1.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *caseSet) badEntries() {
	s.field("entry-of-another-statement", "the entry of another statement of the same signer", CheckEntry, func(st *story, r *Receipt) {
		l := st.sign(st.coordinator, st.datasetStatement(st.coordinator, otherSite))
		r.Entry = Entry(l.env, l.key)
	})
	s.field("entry-key-of-another", "the entry names another public key", CheckEntry, func(st *story, r *Receipt) {
		r.Entry = Entry(r.Envelope, st.sponsor.key)
	})
	s.field("entry-not-json", "the entry is no JSON", CheckEntry, func(_ *story, r *Receipt) { r.Entry = []byte("entry") })
	s.field("entry-empty", "the entry is empty", CheckEntry, func(_ *story, r *Receipt) { r.Entry = nil })
	s.field("entry-respelt", "the entry with a space that was not logged", CheckEntry, func(_ *story, r *Receipt) {
		r.Entry = append([]byte(" "), r.Entry...)
	})
	s.field("entry-other-version", "an entry of another version", CheckEntry, func(_ *story, r *Receipt) {
		r.Entry = []byte(strings.Replace(string(r.Entry), "0.0.2", "0.0.1", 1))
	})
}

func (s *caseSet) badProofs() {
	s.field("index-outer-changed", "the outer index was changed", CheckIndexes, func(_ *story, r *Receipt) { r.OuterIndex-- })
	s.field("index-inner-changed", "the proof's index was changed", CheckIndexes, func(_ *story, r *Receipt) { r.Index-- })
	s.field("index-both-changed", "both indexes were changed", CheckInclusion, func(_ *story, r *Receipt) {
		r.Index--
		r.OuterIndex--
	})
	s.field("index-beyond-the-tree", "an index that the tree does not have", CheckInclusion, func(_ *story, r *Receipt) {
		r.Index, r.OuterIndex = r.Size, r.Size
	})
	s.field("tree-size-changed", "the receipt's tree size is not the checkpoint's", CheckSizeAndRoot, func(_ *story, r *Receipt) { r.Size++ })
	s.field("root-changed", "the receipt's root is not the checkpoint's", CheckSizeAndRoot, func(_ *story, r *Receipt) { r.Root[0] ^= 1 })
	s.field("proof-hash-changed", "one hash of the proof was changed", CheckInclusion, func(_ *story, r *Receipt) { r.Path[0][31] ^= 1 })
	s.field("proof-hash-missing", "the proof lacks its last hash", CheckInclusion, func(_ *story, r *Receipt) {
		r.Path = r.Path[:len(r.Path)-1]
	})
	s.field("proof-hash-added", "the proof has one hash more", CheckInclusion, func(_ *story, r *Receipt) {
		r.Path = append(r.Path, Hash{})
	})
	s.field("proof-empty", "the proof has no hash", CheckInclusion, func(_ *story, r *Receipt) { r.Path = nil })
	s.field("log-id-changed", "the receipt names another log key", CheckCheckpointSigned, func(_ *story, r *Receipt) { r.LogID[31] ^= 1 })
}

// note changes the checkpoint's note and keeps the receipt's own fields equal to
// it, so that the signature alone can tell.
func (s *caseSet) note(name, what string, failed CheckName, change func(st *story, note string) string) {
	s.field(name, what, failed, func(st *story, r *Receipt) {
		c, err := ParseCheckpoint([]byte(change(st, string(r.Checkpoint.Note))))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Checkpoint, r.Size, r.Root = c, c.Size, c.Root
	})
}

func (s *caseSet) badCheckpoints() {
	text := func(note string) string { return note[:strings.Index(note, "\n\n")+1] }
	s.note("checkpoint-size-changed", "the checkpoint's size was changed after signing", CheckCheckpointSigned,
		func(st *story, note string) string {
			lines := strings.SplitN(note, "\n", 3)
			return lines[0] + "\n1000\n" + lines[2]
		})
	s.note("checkpoint-root-changed", "the checkpoint's root was changed after signing", CheckCheckpointSigned,
		func(st *story, note string) string {
			lines := strings.SplitN(note, "\n", 4)
			return lines[0] + "\n" + lines[1] + "\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n" + lines[3]
		})
	s.note("checkpoint-origin-changed", "the checkpoint is of another origin", CheckCheckpointSigned,
		func(st *story, note string) string { return strings.Replace(note, testOrigin, "other.example", 1) })
	s.note("checkpoint-of-another-log", "another log's checkpoint, well signed by that log", CheckCheckpointSigned,
		func(st *story, note string) string {
			t := strings.Replace(text(note), testOrigin, "other.example", 1)
			return t + "\n" + logLine(logKey(s.t, "other.example", "other"), "other", t)
		})
	s.note("checkpoint-signed-by-another-key", "the log's name and another key's signature", CheckCheckpointSigned,
		func(st *story, note string) string {
			return text(note) + "\n" + logLine(logKey(s.t, testOrigin, "other"), "other", text(note))
		})
	s.note("checkpoint-signature-wrong", "the log's signature line does not fit the text", CheckCheckpointSigned,
		func(st *story, note string) string { return text(note) + "\n" + logLine(st.log, "other", text(note)) })
	s.note("checkpoint-signature-twice", "the log's signature line stands twice", CheckCheckpointSigned,
		func(st *story, note string) string { return note + logLine(st.log, "log", text(note)) })
	s.note("checkpoint-log-signature-missing", "only a witness signed", CheckCheckpointSigned,
		func(st *story, note string) string {
			return text(note) + "\n" + cosignLine(witnessKey("w.example"), "w.example", text(note), 1700000000)
		})
	s.note("checkpoint-older-than-entry", "an older checkpoint that does not have the entry yet", CheckInclusion,
		func(st *story, note string) string { return string(st.checkpoint(st.dataset).Note) })
}

// badForms changes the receipt's text so that it is no receipt.
func (s *caseSet) badForms() {
	s.text("form-white-space", "white space", `{"mediaType"`, `{ "mediaType"`)
	s.text("form-trailing-newline", "a newline at the end", `]}}`, "]}}\n")
	s.text("form-trailing-object", "a second document behind it", `]}}`, "]}}{}")
	s.text("form-truncated", "the last character is missing", `]}}`, `]}`)
	s.text("form-unknown-field", "a field that no bundle has", `{"mediaType"`, `{"extra":1,"mediaType"`)
	s.text("form-duplicate-field", "a field stands twice", `{"mediaType"`, `{"mediaType":"`+MediaType+`","mediaType"`)
	s.text("form-field-respelt", "a field in another spelling that protobuf accepts", `"mediaType"`, `"media_type"`)
	s.text("form-other-media-type", "a bundle of another version", "bundle.v0.3+json", "bundle.v0.2+json")
	s.text("form-index-leading-zero", "an index with a leading zero", `"logIndex":"`, `"logIndex":"0`)
	s.text("form-index-as-number", "an index as a number", `"logIndex":"7"`, `"logIndex":7`)
	s.text("form-index-negative", "a negative index", `"logIndex":"`, `"logIndex":"-`)
	s.text("form-size-beyond-limit", "a tree size beyond 2^63", `"treeSize":"`, `"treeSize":"99999999999999999999`)
	s.text("form-base64-without-padding", "base64 without its padding", `=","treeSize"`, `","treeSize"`)
	s.text("form-base64-line-break", "base64 with a line break inside", `"rootHash":"`, `"rootHash":"\n`)
	s.text("form-escaped-letter", "a letter written as an escape", `"hashedrekord"`, `"\u0068ashedrekord"`)
	s.text("form-integrated-time", "a time that the log did not sign", `"inclusionProof"`, `"integratedTime":"1700000000","inclusionProof"`)
	s.text("form-other-kind", "an entry kind that is not ours", `"kind":"hashedrekord"`, `"kind":"dsse"`)
	s.text("form-two-signatures", "a second signature in the envelope", `"signatures":[`, `"signatures":[{"sig":"AAAA"},`)
	s.text("form-keyid", "an unsigned key id in the envelope", `{"sig":`, `{"keyid":"x","sig":`)
	s.text("form-other-payload-type", "another payload type", "application/vnd.in-toto+json", "application/json")
	s.text("form-checkpoint-carriage-returns", "carriage returns in the checkpoint", `"envelope":"`+testOrigin+`\n`, `"envelope":"`+testOrigin+`\r\n`)
	s.text("form-checkpoint-extension", "an extension line in the checkpoint", `\n\n— `, `\nextension\n\n— `)
	s.text("form-second-log-entry", "a second log entry", `"tlogEntries":[`, `"tlogEntries":[{},`)
	s.text("form-certificate", "a certificate beside the key", `"publicKey":{"hint"`, `"certificate":{"rawBytes":"AAAA"},"publicKey":{"hint"`)
}
