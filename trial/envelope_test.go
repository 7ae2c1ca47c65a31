package trial

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"
)

func TestEnvelopeRoundTrip(t *testing.T) {
	e, err := Sign(testKey(t, "dm"), []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(publicKey(t, "dm")); err != nil {
		t.Fatal(err)
	}
	got, err := ParseEnvelope(e.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Marshal(), e.Marshal()) || got.KeyID != publicKey(t, "dm").ID.String() {
		t.Errorf("got %s, want %s", got.Marshal(), e.Marshal())
	}
	if want := "DSSEv1 28 application/vnd.in-toto+json 7 {\"a\":1}"; string(e.PAE()) != want {
		t.Errorf("PAE: got %q, want %q", e.PAE(), want)
	}
	spelled := `{ "signatures" : [ { "sig" : "` + base64.StdEncoding.EncodeToString(e.Sig) + `", "keyid":"" } ],` +
		` "\u0070ayload" : "eyJhIjox\u0066Q==", "payloadType":"application\/vnd.in-toto+json"}`
	if got, err = ParseEnvelope([]byte(spelled)); err != nil {
		t.Fatalf("another spelling: %v", err)
	}
	if err := got.Verify(publicKey(t, "dm")); err != nil {
		t.Errorf("another spelling: %v", err)
	}
}

// The other S is a signature as well: the identity of an act is its payload.
func TestEnvelopeTakesEitherS(t *testing.T) {
	e, err := Sign(testKey(t, "dm"), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(e.Sig, &sig); err != nil {
		t.Fatal(err)
	}
	sig.S.Sub(elliptic.P256().Params().N, sig.S)
	if e.Sig, err = asn1.Marshal(sig); err != nil {
		t.Fatal(err)
	}
	if err := e.Verify(publicKey(t, "dm")); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	good, err := Sign(testKey(t, "dm"), []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(e *Envelope)
		path   string
	}{
		"another payload":      {func(e *Envelope) { e.Payload = []byte(`{ }`) }, "signatures[0].sig"},
		"another payload type": {func(e *Envelope) { e.PayloadType = AsOfType }, "signatures[0].sig"},
		"another key's hint":   {func(e *Envelope) { e.KeyID = hexOf('a') }, "signatures[0].keyid"},
		"a changed signature":  {func(e *Envelope) { e.Sig[len(e.Sig)-1] ^= 1 }, "signatures[0].sig"},
		"a trailing byte":      {func(e *Envelope) { e.Sig = append(e.Sig, 0) }, "signatures[0].sig"},
		"an empty signature":   {func(e *Envelope) { e.Sig = nil }, "signatures[0].sig"},
	} {
		t.Run(name, func(t *testing.T) {
			e := *good
			e.Sig = bytes.Clone(good.Sig)
			c.change(&e)
			wantRefusal(t, e.Verify(publicKey(t, "dm")), ReasonBadSignature, c.path)
		})
	}
	wantRefusal(t, good.Verify(publicKey(t, "qa")), ReasonBadSignature, "signatures[0].keyid")
}

func TestParseEnvelopeRefuses(t *testing.T) {
	sig := base64.StdEncoding.EncodeToString(make([]byte, 70))
	good := `{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"` + sig + `"}]}`
	if _, err := ParseEnvelope([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string // of good; new alone is the document
		reason   Reason
		path     string
	}{
		"empty":                 {"", " ", ReasonMalformedEnvelope, ""},
		"not an object":         {"", "[]", ReasonMalformedEnvelope, ""},
		"byte-order mark":       {"", "\xef\xbb\xbf" + good, ReasonMalformedEnvelope, ""},
		"cut off":               {"", good[:40], ReasonMalformedEnvelope, "*"},
		"trailing document":     {"", good + "{}", ReasonMalformedEnvelope, ""},
		"too large":             {"", good + strings.Repeat(" ", MaxEnvelope), ReasonTooLarge, ""},
		"unknown field":         {`{"payload"`, `{"extra":1,"payload"`, ReasonUnknownField, "extra"},
		"field in capitals":     {`"payload"`, `"Payload"`, ReasonUnknownField, "Payload"},
		"duplicate field":       {`{"payload"`, `{"payload":"e30=","payload"`, ReasonDuplicateField, "payload"},
		"escaped duplicate":     {`{"payload"`, `{"\u0070ayload":"e30=","payload"`, ReasonDuplicateField, "payload"},
		"no payload":            {`"payload":"e30=",`, ``, ReasonMissingField, "payload"},
		"empty payload":         {`e30=`, ``, ReasonBadValue, "payload"},
		"unpadded base64":       {`e30=`, `e30`, ReasonMalformedEnvelope, "payload"},
		"base64 with line":      {`e30=`, `e3\n0=`, ReasonMalformedEnvelope, "payload"},
		"base64 with spare bit": {`e30=`, `e31=`, ReasonMalformedEnvelope, "payload"},
		"URL base64":            {`e30=`, `e3_-`, ReasonMalformedEnvelope, "payload"},
		"null payload":          {`"e30="`, `null`, ReasonMalformedEnvelope, "payload"},
		"another type":          {`in-toto+json`, `in-toto+yaml`, ReasonMalformedEnvelope, "payloadType"},
		"no type":               {`"payloadType":"application/vnd.in-toto+json",`, ``, ReasonMalformedEnvelope, "payloadType"},
		"no signatures":         {`,"signatures":[{"sig":"` + sig + `"}]`, ``, ReasonMissingField, "signatures"},
		"empty signatures":      {`{"sig":"` + sig + `"}`, ``, ReasonMalformedEnvelope, "signatures"},
		"two signatures":        {`[{`, `[{"sig":"` + sig + `"},{`, ReasonMalformedEnvelope, "signatures[0]"},
		"no sig":                {`"sig":"` + sig + `"`, ``, ReasonMissingField, "signatures[0].sig"},
		"short sig":             {sig, "e30=", ReasonMalformedEnvelope, "signatures[0].sig"},
		"long sig":              {sig, base64.StdEncoding.EncodeToString(make([]byte, 90)), ReasonTooLarge, "signatures[0].sig"},
		"short keyid":           {`{"sig"`, `{"keyid":"ab","sig"`, ReasonMalformedEnvelope, "signatures[0].keyid"},
		"keyid in capitals":     {`{"sig"`, `{"keyid":"` + hexOf('A') + `","sig"`, ReasonMalformedEnvelope, "signatures[0].keyid"},
		"keyid a number":        {`{"sig"`, `{"keyid":1,"sig"`, ReasonMalformedEnvelope, "signatures[0].keyid"},
		"certificate":           {`{"sig"`, `{"cert":"x","sig"`, ReasonUnknownField, "signatures[0].cert"},
		"bad UTF-8":             {`{"payload"`, "{\"\xff\":1,\"payload\"", ReasonBadUTF8, "*"},
		"lone surrogate":        {`{"payload"`, `{"\ud800":1,"payload"`, ReasonBadUTF8, "*"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := c.new
			if c.old != "" {
				doc = strings.Replace(good, c.old, c.new, 1)
			}
			_, err := ParseEnvelope([]byte(doc))
			wantRefusal(t, err, c.reason, c.path)
		})
	}
}

func TestOpen(t *testing.T) {
	st := charterStatement(t)
	e, err := Sign(testKey(t, "sponsor"), st.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := Open(e.Marshal()); err != nil || got.ID != st.ID {
		t.Errorf("got %v, want statement %s", err, st.ID)
	}
	e.KeyID = hexOf('a')
	_, _, err = Open(e.Marshal())
	wantRefusal(t, err, ReasonMalformedEnvelope, "signatures[0].keyid")
	e.KeyID, e.Payload = "", []byte("{}")
	_, _, err = Open(e.Marshal())
	wantRefusal(t, err, ReasonMissingField, "_type")
}

func TestKeys(t *testing.T) {
	priv, pub := testKey(t, "dm"), publicKey(t, "dm")
	got, err := ParsePublicKeyPEM(pub.PEM())
	if err != nil || got.ID != pub.ID {
		t.Errorf("public: got %v", err)
	}
	text, err := MarshalPrivateKeyPEM(priv)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParsePrivateKeyPEM(text)
	if err != nil || !back.Equal(priv) {
		t.Errorf("private: got %v", err)
	}
	if id, err := ParseKeyID(pub.ID.String()); err != nil || id != pub.ID {
		t.Errorf("ParseKeyID: got %v, %v", id, err)
	}
	for _, s := range []string{"", "ab", hexOf('A'), hexOf('g'), hexOf('a') + "a"} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("ParseID(%q): got no error", s)
		}
	}
}

func TestKeysRefuse(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pub := publicKey(t, "dm")
	_, err = NewPublicKey(p384.Public())
	wantRefusal(t, err, ReasonMalformedKey, "")
	_, err = NewPublicKey("key")
	wantRefusal(t, err, ReasonMalformedKey, "")
	_, err = MarshalPrivateKeyPEM(p384)
	wantRefusal(t, err, ReasonMalformedKey, "")
	_, err = Sign(p384, []byte("{}"))
	wantRefusal(t, err, ReasonMalformedKey, "")
	// A compressed point is the same key in another encoding.
	compressed := append(bytes.Clone(pub.DER[:26]), elliptic.MarshalCompressed(elliptic.P256(), pub.Key.X, pub.Key.Y)...) //nolint:staticcheck // the test needs the deprecated form
	compressed[1] -= 32
	compressed[24] -= 32
	for name, der := range map[string][]byte{
		"empty": nil, "cut": pub.DER[:90], "trailing byte": append(bytes.Clone(pub.DER), 0), "compressed": compressed,
		"not on the curve": append(bytes.Clone(pub.DER[:90]), pub.DER[90]^1),
	} {
		t.Run("DER "+name, func(t *testing.T) {
			_, err := ParsePublicKeyDER(der)
			wantRefusal(t, err, ReasonMalformedKey, "")
		})
	}
	_, err = ParsePublicKeyDER(make([]byte, 300))
	wantRefusal(t, err, ReasonTooLarge, "")
	private, err := MarshalPrivateKeyPEM(testKey(t, "dm"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "private": string(private), "two": string(pub.PEM()) + string(pub.PEM()), "text before": "x\n" + string(pub.PEM()),
		"text after": string(pub.PEM()) + "x", "header": strings.Replace(string(pub.PEM()), "KEY-----\n", "KEY-----\nA: b\n\n", 1),
	} {
		t.Run("PEM "+name, func(t *testing.T) {
			_, err := ParsePublicKeyPEM([]byte(text))
			wantRefusal(t, err, ReasonMalformedKey, "")
		})
	}
	_, err = ParsePrivateKeyPEM(pub.PEM())
	wantRefusal(t, err, ReasonMalformedKey, "")
	_, err = ParsePublicKeyPEM(make([]byte, 17<<10))
	wantRefusal(t, err, ReasonTooLarge, "")
}
